"""An echo server of one contestant: `python net_servers.py CONTESTANT KIND`.

Prints the port that it listens on, on the loopback, and ends with its standard input.
"""

import asyncio
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


#: Each answers the port, and what must live as long as the server.
KINDS = {
    "protocol": lambda: with_protocol(Protocol),
    "buffered": lambda: with_protocol(BufferedProtocol),
    "streams": with_streams,
    "sock": with_sockets,
    "tls-protocol": lambda: with_protocol(Protocol, **tls()),
    "tls-buffered": lambda: with_protocol(BufferedProtocol, **tls()),
    "tls-streams": lambda: with_streams(**tls()),
}


async def main(kind: str) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    port, kept = await KINDS[kind]()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    print(port, flush=True)
    await ended.wait()
    del kept


if __name__ == "__main__":
    factory = contestants.activate(sys.argv[1])
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(sys.argv[2]))
