"""Connections, datagrams, pipes and child processes."""

import asyncio
import contextlib
import os
import socket
import tempfile

from .register import ignore, workload


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Replies(asyncio.Protocol):
    """The other end: `reply` is done when as much came as was asked for."""

    def ask(self, transport, reply, data):
        self.left, self.reply = len(data), reply
        transport.write(data)

    def data_received(self, data):
        self.left -= len(data)
        if not self.left and not self.reply.done():
            self.reply.set_result(None)


class BufferedReplies(Replies, asyncio.BufferedProtocol):
    def get_buffer(self, sizehint):
        return bytearray(1000)

    def buffer_updated(self, count):
        self.data_received(bytes(count))


@contextlib.asynccontextmanager
async def echo(aio, protocol):
    loop = aio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    transport, replies = await loop.create_connection(protocol, *address)
    yield transport, replies
    transport.close()
    server.close()
    await aio.sleep(0.01)


@workload
async def requests(aio, count):
    async with echo(aio, Replies) as (transport, replies):
        for number in range(count):
            reply = aio.get_running_loop().create_future()
            replies.ask(transport, reply, b"x" * (number % 100 + 1))
            await reply


@workload
async def requests_through_a_buffer(aio, count):
    async with echo(aio, BufferedReplies) as (transport, replies):
        for number in range(count):
            reply = aio.get_running_loop().create_future()
            replies.ask(transport, reply, bytearray(number % 100 + 1))
            await reply


@workload
async def requests_that_are_queued(aio, count):
    async with echo(aio, Replies) as (transport, replies):
        for _ in range(count // 100):
            reply = aio.get_running_loop().create_future()
            transport.pause_reading()
            replies.ask(transport, reply, b"x" * 5_000_000)
            transport.writelines([b"", bytearray(b"y")])
            replies.left += 1
            transport.resume_reading()
            await reply


@workload
async def connections(aio, count):
    loop = aio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    for number in range(count // 10):
        transport, _ = await loop.create_connection(aio.Protocol, *address)
        transport.get_extra_info("peername")
        if number % 2:
            transport.write(b"nobody waits for the answer")
            transport.abort()
        else:
            transport.close()
        await aio.sleep(0)
    server.close()
    await aio.sleep(0.01)


@workload
async def stream_requests(aio, count):
    async def serve(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await aio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await aio.open_connection(*server.sockets[0].getsockname())
    for number in range(count):
        writer.write(b"some line\n")
        match number % 3:
            case 0:
                await reader.readline()
            case 1:
                await reader.readexactly(10)
            case _:
                await reader.readuntil(b"e\n")
    writer.close()
    await writer.wait_closed()
    server.close()
    await aio.sleep(0.01)


@workload
async def socket_reads(aio, count):
    loop = aio.get_running_loop()
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    buffer = bytearray(10)
    for number in range(count):
        if number % 2:
            waiting = aio.ensure_future(loop.sock_recv(one, 100))
        else:
            waiting = aio.ensure_future(loop.sock_recv_into(one, buffer))
        await aio.sleep(0)
        if number % 10 == 5:
            waiting.cancel()
            await aio.wait([waiting])
        else:
            await loop.sock_sendall(other, b"some data")
            await waiting
    one.close()
    other.close()


class DatagramEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


class DatagramReply(DatagramEcho):
    def datagram_received(self, data, addr):
        self.reply.set_result(data)

    def error_received(self, exc):
        self.reply.set_exception(exc)


@workload
async def datagrams(aio, count):
    loop = aio.get_running_loop()
    loop.set_exception_handler(ignore)
    server, _ = await loop.create_datagram_endpoint(DatagramEcho, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    client, replies = await loop.create_datagram_endpoint(DatagramReply, remote_addr=address)
    free, _ = await loop.create_datagram_endpoint(aio.DatagramProtocol, family=socket.AF_INET)
    for number in range(count):
        replies.reply = loop.create_future()
        if number % 10 == 5:
            free.sendto(b"not understood", "nowhere")
            free, _ = await loop.create_datagram_endpoint(aio.DatagramProtocol, family=socket.AF_INET)
        client.sendto(bytearray(b"some data") if number % 2 else b"other data", address)
        await replies.reply
    for transport in (server, client, free):
        transport.close()
    await aio.sleep(0.01)


@workload
async def datagrams_that_are_queued(aio, count):
    loop = aio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        peer.bind(f"{folder}/peer")
        peer.setblocking(False)
        for number in range(count // 100):
            transport, _ = await loop.create_datagram_endpoint(
                aio.DatagramProtocol, family=socket.AF_UNIX
            )
            for _ in range(100):
                transport.sendto(b"some data", f"{folder}/peer")
            if number % 2:
                transport.abort()
            else:
                transport.close()
                while transport.get_write_buffer_size():
                    with contextlib.suppress(BlockingIOError):
                        peer.recv(100)
                    await aio.sleep(0)
            await aio.sleep(0)
        peer.close()


@workload
async def socket_datagrams(aio, count):
    loop = aio.get_running_loop()
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    address = sock.getsockname()
    buffer = bytearray(10)
    for number in range(count):
        if number % 2:
            waiting = aio.ensure_future(loop.sock_recvfrom(sock, 100))
        else:
            waiting = aio.ensure_future(loop.sock_recvfrom_into(sock, buffer))
        await aio.sleep(0)
        if number % 10 == 5:
            waiting.cancel()
            await aio.wait([waiting])
        else:
            await loop.sock_sendto(sock, b"some data", address)
            await waiting
    sock.close()


@workload
async def socket_connections(aio, count):
    loop = aio.get_running_loop()
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    address = server.getsockname()
    for number in range(count // 10):
        client = socket.socket()
        client.setblocking(False)
        accepting = aio.ensure_future(loop.sock_accept(server))
        await aio.sleep(0)
        await loop.sock_connect(client, address)
        connection, _ = await accepting
        client.close()
        connection.close()
    server.close()
    closed = socket.socket()
    closed.setblocking(False)
    with contextlib.suppress(ConnectionRefusedError):
        await loop.sock_connect(closed, address)
    closed.close()


@workload
async def pipes(aio, count):
    loop = aio.get_running_loop()
    for number in range(count // 10):
        reader, writer = os.pipe()
        reading, _ = await loop.connect_read_pipe(aio.Protocol, open(reader, "rb", 0))
        writing, _ = await loop.connect_write_pipe(aio.Protocol, open(writer, "wb", 0))
        match number % 4:
            case 0:
                writing.write(b"data")
                writing.close()
            case 1:
                writing.write(bytes(100_000))
                writing.abort()
            case 2:
                reading.close()
                await aio.sleep(0)
                writing.write(b"nobody gets it")
            case _:
                reading.pause_reading()
                writing.write(b"data")
                writing.write_eof()
                reading.resume_reading()
        while not (reading.is_closing() and writing.is_closing()):
            await aio.sleep(0)
        await aio.sleep(0)
    await aio.sleep(0.01)


@workload
async def subprocesses(aio, count):
    pipe = aio.subprocess.PIPE
    for number in range(count // 40):
        if number % 2:
            process = await aio.create_subprocess_exec("/bin/true")
            await process.wait()
        else:
            process = await aio.create_subprocess_exec("/bin/cat", stdin=pipe, stdout=pipe)
            await process.communicate(b"some data")
    await aio.sleep(0.01)
