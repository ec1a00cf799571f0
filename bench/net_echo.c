/* The two ends of the network rows that are no contestants.
 *
 *   net_echo serve [udp|unix|keep|own]
 *                                an echo server on epoll, as plain as C allows: the unit that the
 *                                servers in Python are measured in. Prints its port, and ends with
 *                                its standard input. With udp it echoes datagrams, one for each
 *                                event; with unix its socket has an abstract name, made of a number
 *                                that is printed in the place of a port. With keep it puts what
 *                                came into memory of its own, and keeps that until more has come, as
 *                                a program does that has it in a variable while it waits for the
 *                                next; with own each connection has its buffer, and what is sent is
 *                                copied out of it.
 *   net_echo load PORT CONNECTIONS BYTES REQUESTS SECONDS [udp|unix]
 *                                connects, has each connection echo once, says how many did, and
 *                                waits for a line. Then sends REQUESTS requests in all, one at a
 *                                time on each connection, compares every echo with what was sent,
 *                                prints how many were answered, and waits for another line before
 *                                it closes. Gives up after SECONDS.
 *   net_echo connect ...         the same, but that each request has a connection of its own: the
 *                                one before is closed first.
 *   net_echo dial                a client. For each line of a port and a count it connects to the
 *                                port that many times, one after the other, without blocking,
 *                                closes each, and says how many they were.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Whether a send that was put off waits for room in the socket. Another file that includes this one
 * may have sockets that wait for something else. */
#ifndef wants_room
#define wants_room(fd) 1
#endif

enum { EVENTS = 256, MOST = 256 * 1024, LARGE = 32 * 1024 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int poll, int op, int fd, unsigned events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(poll, op, fd, &event))
        die("epoll_ctl");
}

static void no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Which kind of socket, and where it is: numbers are ports of the loopback, or stand for names. */

enum kind { TCP, UDP, UNIX };

union address {
    struct sockaddr any;
    struct sockaddr_in internet;
    struct sockaddr_un unix_name;
};

static enum kind kind_of(const char *name)
{
    if (!name)
        return TCP;
    if (!strcmp(name, "udp"))
        return UDP;
    if (!strcmp(name, "unix"))
        return UNIX;
    fprintf(stderr, "no kind of socket: %s\n", name);
    exit(2);
}

static socklen_t address_of(enum kind kind, int number, union address *address)
{
    memset(address, 0, sizeof *address);
    if (kind == UNIX) {
        address->unix_name.sun_family = AF_UNIX;
        int length = snprintf(address->unix_name.sun_path + 1, sizeof address->unix_name.sun_path - 1,
                              "net_echo-%d", number);
        return offsetof(struct sockaddr_un, sun_path) + 1 + length;
    }
    address->internet.sin_family = AF_INET;
    address->internet.sin_port = htons(number);
    address->internet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof address->internet;
}

static int new_socket(enum kind kind, int flags)
{
    int fd = socket(kind == UNIX ? AF_UNIX : AF_INET,
                    (kind == UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        die("socket");
    return fd;
}

/* The server. */

enum memory { SHARED, KEEP, OWN };

static enum memory memory;

struct peer {
    int fd;
    unsigned events;
    size_t kept, from; /* what the socket did not take yet */
    char *rest;
    size_t last; /* with KEEP and OWN: how much came */
    char *data;
};

static void drop(struct peer *peer)
{
    close(peer->fd);
    free(peer->rest);
    free(peer->data);
    free(peer);
}

static int keep(struct peer *peer, const char *data, size_t size)
{
    if (!peer->rest && !(peer->rest = malloc(MOST)))
        return -1;
    memcpy(peer->rest, data, size);
    peer->from = 0;
    peer->kept = size;
    return 0;
}

static char *copy_of(const char *data, size_t size)
{
    char *copy = malloc(size);
    if (!copy)
        die("malloc");
    return memcpy(copy, data, size);
}

/* Answers as recv does, and where the data is. */
static ssize_t receive(struct peer *peer, char *scratch, char **data)
{
    char *fresh = NULL;
    size_t room = MOST;
    int waiting;
    *data = scratch;
    if (memory == OWN) {
        if (!peer->data && !(peer->data = calloc(1, MOST)))
            die("calloc");
        *data = peer->data;
    } else if (memory == KEEP && peer->last >= LARGE && !ioctl(peer->fd, FIONREAD, &waiting) && waiting >= LARGE) {
        /* Straight to where it stays; else by a copy, for nobody knows how much comes. */
        room = waiting < MOST ? waiting : MOST;
        if (!(*data = fresh = malloc(room)))
            die("malloc");
    }
    ssize_t got = recv(peer->fd, *data, room, 0);
    if (memory == SHARED)
        return got;
    if (got <= 0) {
        free(fresh);
        return got;
    }
    peer->last = got;
    if (!fresh)
        *data = copy_of(*data, got);
    if (memory == KEEP) {
        free(peer->data);
        peer->data = *data;
    }
    return got;
}

static int echo(int poll, struct peer *peer, char *scratch)
{
    while (peer->kept) {
        ssize_t sent = send(peer->fd, peer->rest + peer->from, peer->kept, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        peer->from += sent;
        peer->kept -= sent;
    }
    if (peer->events != EPOLLIN)
        watch(poll, EPOLL_CTL_MOD, peer->fd, peer->events = EPOLLIN, peer);
    char *data;
    ssize_t got = receive(peer, scratch, &data);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    ssize_t sent = send(peer->fd, data, got, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return -1;
    if (sent < 0)
        sent = 0;
    if (sent < got) {
        if (keep(peer, data + sent, got - sent))
            return -1;
        watch(poll, EPOLL_CTL_MOD, peer->fd, peer->events = EPOLLOUT, peer);
    }
    if (memory == OWN)
        free(data);
    return 0;
}

static void accept_all(int poll, int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        no_delay(fd);
        struct peer *peer = calloc(1, sizeof *peer);
        if (!peer)
            die("calloc");
        peer->fd = fd;
        watch(poll, EPOLL_CTL_ADD, fd, peer->events = EPOLLIN, peer);
    }
}

static void echo_datagram(int fd, char *scratch)
{
    union address from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(fd, scratch, MOST, 0, &from.any, &length);
    if (got >= 0)
        sendto(fd, scratch, got, MSG_NOSIGNAL, &from.any, length);
}

static int serve(enum kind kind)
{
    union address address;
    int number = kind == UNIX ? getpid() : 0;
    socklen_t length = address_of(kind, number, &address);
    int listener = new_socket(kind, SOCK_NONBLOCK);
    if (bind(listener, &address.any, length) || (kind != UDP && listen(listener, 4096)))
        die("listen");
    length = sizeof address;
    if (kind != UNIX) {
        if (getsockname(listener, &address.any, &length))
            die("getsockname");
        number = ntohs(address.internet.sin_port);
    }
    int poll = epoll_create1(EPOLL_CLOEXEC);
    static char scratch[MOST];
    static int standard_input, the_listener;
    watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN, &the_listener);
    watch(poll, EPOLL_CTL_ADD, 0, EPOLLIN, &standard_input);
    printf("%d\n", number);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            void *what = events[i].data.ptr;
            if (what == &standard_input)
                return 0;
            if (what == &the_listener && kind == UDP)
                echo_datagram(listener, scratch);
            else if (what == &the_listener)
                accept_all(poll, listener);
            else if (echo(poll, what, scratch))
                drop(what);
        }
    }
}

/* The load. */

struct client {
    int fd;
    unsigned events;
    size_t sent, got;
};

static size_t size;
static char *pattern;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Sends as much as goes now; what is to be waited for is its answer. */
static unsigned push(struct client *client)
{
    while (client->sent < size) {
        ssize_t sent = send(client->fd, pattern + client->sent, size - client->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return wants_room(client->fd) ? EPOLLIN | EPOLLOUT : EPOLLIN;
        if (sent < 0)
            die("send");
        client->sent += sent;
    }
    return EPOLLIN;
}

/* Takes what came; true when that was the whole echo. */
static int pull(struct client *client, char *scratch)
{
    if (client->got == size) { /* nothing is due: it was closed */
        fprintf(stderr, "the server closed a connection\n");
        exit(1);
    }
    while (client->got < size) {
        ssize_t got = recv(client->fd, scratch, size - client->got, 0);
        if (got < 0 && errno == EAGAIN)
            return 0;
        if (got < 0)
            die("recv");
        if (!got) {
            fprintf(stderr, "the server closed a connection\n");
            exit(1);
        }
        if (memcmp(scratch, pattern + client->got, got)) {
            fprintf(stderr, "the echo differs from what was sent\n");
            exit(1);
        }
        client->got += got;
    }
    return 1;
}

static struct client *clients;
static int poller, connections;
static union address server;
static socklen_t server_length;
static enum kind kind;
static int always_anew;

static void wait_for(struct client *client, unsigned wanted)
{
    if (wanted != client->events)
        watch(poller, EPOLL_CTL_MOD, client->fd, client->events = wanted, client);
}

static void connect_one(struct client *client)
{
    client->fd = new_socket(kind, 0);
    if (connect(client->fd, &server.any, server_length))
        die("connect");
    /* Connected while it blocked; from here on it must not. */
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    no_delay(client->fd);
    watch(poller, EPOLL_CTL_ADD, client->fd, client->events = EPOLLIN, client);
}

/* Begins a request. */
static void start(struct client *client)
{
    if (always_anew && client->got) {
        close(client->fd);
        connect_one(client);
    }
    client->sent = client->got = 0;
    wait_for(client, push(client));
}

/* Sends `total` requests and waits for their echoes. */
static void ask(long total, double end, char *scratch)
{
    long started = 0, answered = 0;
    for (; started < connections && started < total; started++)
        start(&clients[started]);
    while (answered < started) {
        struct epoll_event ready[EVENTS];
        double left = end - now();
        int count = left > 0 ? epoll_wait(poller, ready, EVENTS, left * 1000 + 1) : 0;
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        if (!count) {
            fprintf(stderr, "%ld of %ld requests were not answered in time\n", total - answered, total);
            exit(1);
        }
        for (int i = 0; i < count; i++) {
            struct client *client = ready[i].data.ptr;
            if (!pull(client, scratch)) {
                wait_for(client, push(client));
                continue;
            }
            answered++;
            if (started < total) {
                started++;
                start(client);
            }
        }
    }
    printf("%ld\n", answered);
    fflush(stdout);
}

static void wait_for_a_line(void)
{
    char line[16];
    if (read(0, line, sizeof line) < 0)
        die("read");
}

static int load(int port, long requests, double seconds)
{
    poller = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(connections, sizeof *clients);
    char *scratch = malloc(size);
    if (!clients || !scratch)
        die("malloc");
    double end = now() + seconds;
    server_length = address_of(kind, port, &server);
    for (int i = 0; i < connections; i++)
        connect_one(&clients[i]);
    ask(connections, end, scratch);
    wait_for_a_line();
    ask(requests, end, scratch);
    wait_for_a_line();
    return 0;
}

/* A client that only connects. */

static void dial_one(int poll, int port)
{
    union address address;
    socklen_t length = address_of(TCP, port, &address);
    int fd = new_socket(TCP, SOCK_NONBLOCK), error = 0;
    no_delay(fd);
    if (connect(fd, &address.any, length)) {
        struct epoll_event event;
        if (errno != EINPROGRESS)
            die("connect");
        watch(poll, EPOLL_CTL_ADD, fd, EPOLLOUT, NULL);
        epoll_wait(poll, &event, 1, -1);
        length = sizeof error;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error)
        die("connect");
    close(fd);
}

static int dial(void)
{
    int poll = epoll_create1(EPOLL_CLOEXEC), port;
    long count;
    printf("0\n");
    fflush(stdout);
    while (scanf("%d %ld", &port, &count) == 2) {
        for (long i = 0; i < count; i++)
            dial_one(poll, port);
        printf("%ld\n", count);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if ((argc == 2 || argc == 3) && !strcmp(argv[1], "serve")) {
        memory = !argv[2] ? SHARED : !strcmp(argv[2], "keep") ? KEEP : !strcmp(argv[2], "own") ? OWN : SHARED;
        return serve(memory == SHARED ? kind_of(argv[2]) : TCP);
    }
    if (argc == 2 && !strcmp(argv[1], "dial"))
        return dial();
    always_anew = argc >= 7 && !strcmp(argv[1], "connect");
    if ((argc == 7 || argc == 8) && (always_anew || !strcmp(argv[1], "load"))) {
        kind = kind_of(argv[7]);
        connections = atoi(argv[3]);
        size = atol(argv[4]);
        pattern = malloc(size);
        if (!pattern)
            die("malloc");
        for (size_t i = 0; i < size; i++)
            pattern[i] = (char)(i * 31 + i / 251);
        return load(atoi(argv[2]), atol(argv[5]), atof(argv[6]));
    }
    fprintf(stderr, "usage: net_echo serve [KIND] | (load | connect) PORT CONNECTIONS BYTES REQUESTS SECONDS [KIND] | dial\n");
    return 2;
}
