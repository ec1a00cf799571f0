"""An echo server of one contestant, or a client: `python net_servers.py CONTESTANT KIND`.

A server prints the port that it listens on, on the loopback, or the number that its Unix name is made of,
and ends with its standard input. A client reads a port and a count from each line of that, connects so
many times, and says when it has.
"""

import ctypes
import random

# The kernel copies 100 KiB a third slower from some places in a page than from others, as the processor
# takes a load for one of what was stored 4 KiB before. A program has one place all its life, by chance. So
# the heap goes on somewhere else in each process, and it takes several rounds to be lucky.
ctypes.CDLL(None).sbrk(ctypes.c_ssize_t(random.randrange(0, 4096, 16)))

import asyncio
import os
import socket
import ssl
import sys
from pathlib import Path

import contestants

CERTIFICATE = Path(__file__).resolve().parent.parent / "tests" / "python" / "localhost.pem"

#: What one read may bring: the largest request, so that a whole one can come at once.
MOST = 256 * 1024


class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class BufferedProtocol(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = memoryview(bytearray(MOST))

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        # A copy: the transport may keep what it is given, and the buffer is used again.
        self.transport.write(bytes(self.buffer[:nbytes]))


def tls():
    """As `tls_echo.c` has it: TLS 1.3, and no session is taken up again. The load chooses the cipher."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(CERTIFICATE)
    return {"ssl": context}


async def with_protocol(protocol, **options):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=4096, **options)
    return server.sockets[0].getsockname()[1], server


async def with_streams(**options):
    async def serve(reader, writer):
        while data := await reader.read(MOST):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096, **options)
    return server.sockets[0].getsockname()[1], server


async def with_sockets():
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    tasks = set()

    async def serve(connection):
        with connection:
            while data := await loop.sock_recv(connection, MOST):
                await loop.sock_sendall(connection, data)

    async def accept():
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(serve(connection))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    tasks.add(loop.create_task(accept()))
    return listener.getsockname()[1], tasks


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def with_datagrams():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    return transport.get_extra_info("sockname")[1], transport


async def with_datagram_sockets():
    loop = asyncio.get_running_loop()
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)

    async def serve():
        while True:
            data, address = await loop.sock_recvfrom(sock, MOST)
            await loop.sock_sendto(sock, data, address)

    return sock.getsockname()[1], loop.create_task(serve())


async def with_unix():
    loop = asyncio.get_running_loop()
    number = os.getpid()
    path = f"\0net_echo-{number}"
    return number, await loop.create_unix_server(Protocol, path, backlog=4096)


async def dial_protocol(port):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Closing, "127.0.0.1", port)
    transport.close()
    await protocol.closed


class Closing(asyncio.Protocol):
    def connection_made(self, transport):
        self.closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc):
        self.closed.set_result(None)


async def dial_streams(port):
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


async def dial_socket(port):
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))


async def with_client(dial):
    loop = asyncio.get_running_loop()

    async def serve():
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            port, count = map(int, line.split())
            for _ in range(count):
                await dial(port)
            print(count, flush=True)

    return 0, loop.create_task(serve())


#: What connects and closes again.
CLIENTS = {
    "client-protocol": lambda: with_client(dial_protocol),
    "client-streams": lambda: with_client(dial_streams),
    "client-sock": lambda: with_client(dial_socket),
}
#: Each answers the port, and what must live as long as the server.
SERVERS = {
    "protocol": lambda: with_protocol(Protocol),
    "buffered": lambda: with_protocol(BufferedProtocol),
    "streams": with_streams,
    "sock": with_sockets,
    "unix": with_unix,
    "udp": with_datagrams,
    "udp-sock": with_datagram_sockets,
    "tls-protocol": lambda: with_protocol(Protocol, **tls()),
    "tls-buffered": lambda: with_protocol(BufferedProtocol, **tls()),
    "tls-streams": lambda: with_streams(**tls()),
}
KINDS = SERVERS | CLIENTS


async def main(kind: str) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    port, kept = await KINDS[kind]()
    print(port, flush=True)
    if kind in CLIENTS:
        await kept
        return
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    del kept


if __name__ == "__main__":
    factory = contestants.activate(sys.argv[1])
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(sys.argv[2]))
