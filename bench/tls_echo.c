/* The two ends of the network rows with TLS: net_echo.c, whose sockets speak TLS 1.3.
 *
 *   tls_echo serve CERTIFICATE   as net_echo serve, with the certificate and key of that file
 *   tls_echo load ...            as net_echo's; who the server is, is not looked at
 *   tls_echo connect ...
 *
 * The load's cipher is the one that all servers get, and it takes no session up again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS = 65536, READ_AHEAD = 256 * 1024 };

static SSL_CTX *context;
static SSL *sessions[DESCRIPTORS]; /* by descriptor */

static void fail(const char *what)
{
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void make_context(const SSL_METHOD *method)
{
    context = SSL_CTX_new(method);
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") ||
        !SSL_CTX_set1_groups_list(context, "X25519") || !SSL_CTX_set_num_tickets(context, 0))
        fail("context");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
}

static SSL *session_of(int fd)
{
    if (fd < 0 || fd >= DESCRIPTORS || !sessions[fd])
        fail("a descriptor without a session");
    return sessions[fd];
}

static void begin(int fd, void (*side)(SSL *))
{
    SSL *session = fd < DESCRIPTORS ? SSL_new(context) : NULL;
    if (!session || !SSL_set_fd(session, fd))
        fail("session");
    side(session);
    sessions[fd] = session;
}

/* What send and recv answer after a step that did not go on. */
static ssize_t stopped(SSL *session, int result)
{
    switch (SSL_get_error(session, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_WRITE:
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        if (errno == 0)
            return 0;
        return -1;
    default:
        errno = EPROTO;
        return -1;
    }
}

static ssize_t tls_send(int fd, const void *data, size_t size, int flags)
{
    (void)flags;
    SSL *session = session_of(fd);
    size_t done = 0;
    while (done < size) {
        ERR_clear_error();
        errno = 0;
        int count = SSL_write(session, (const char *)data + done, size - done);
        if (count <= 0)
            return done ? (ssize_t)done : stopped(session, count);
        done += count;
    }
    return done;
}

static ssize_t tls_recv(int fd, void *data, size_t size, int flags)
{
    (void)flags;
    SSL *session = session_of(fd);
    size_t done = 0;
    while (done < size) {
        ERR_clear_error();
        errno = 0;
        int count = SSL_read(session, (char *)data + done, size - done);
        if (count <= 0)
            return done ? (ssize_t)done : stopped(session, count);
        done += count;
        /* All has been read ahead; to ask once more would be a call of the system. */
        if (!SSL_has_pending(session))
            break;
    }
    return done;
}

static int tls_accept(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
    int fd = accept4(listener, address, length, flags);
    if (fd >= 0)
        begin(fd, SSL_set_accept_state);
    return fd;
}

static int tls_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int result = connect(fd, address, length);
    if (!result)
        begin(fd, SSL_set_connect_state);
    return result;
}

static int tls_close(int fd)
{
    SSL *session = session_of(fd);
    sessions[fd] = NULL;
    SSL_shutdown(session);
    SSL_free(session);
    return close(fd);
}

/* Whether a send that was put off waits for the socket, and not for the peer. */
static int tls_wants_room(int fd)
{
    return SSL_want_write(session_of(fd));
}

static int net_main(int argc, char **argv);

int main(int argc, char **argv)
{
    static char *serve[] = {"tls_echo", "serve", NULL};
    signal(SIGPIPE, SIG_IGN);
    if (argc != 3 || argv[1][0] != 's') {
        make_context(TLS_client_method());
        return net_main(argc, argv);
    }
    make_context(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1)
        fail(argv[2]);
    return net_main(2, serve);
}

#define send tls_send
#define recv tls_recv
#define accept4 tls_accept
#define connect tls_connect
#define close tls_close
#define wants_room tls_wants_room
#define main net_main
#include "net_echo.c"
