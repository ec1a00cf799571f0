"""Failures of one connection each, to be repeated: `FAILURES` maps their names to coroutine functions."""

import asyncio
import socket
import ssl

from _faults import Recorder, pair, reset, settled
from _sockets import Buffered
from _tls import Peer, client_context, connecting

FAILURES = {}


def failure(function):
    FAILURES[function.__name__] = function
    return function


def quiet(*what):
    pass


def fails(self):
    raise ValueError("expected")


async def raising(method, kind=Recorder):
    asyncio.get_running_loop().set_exception_handler(quiet)
    near, far = pair()
    made = []

    def factory():
        made.append(kind(quiet, **{method: fails}))
        return made[0]

    await asyncio.get_running_loop().create_connection(factory, sock=near)
    made[0].transport.write(b"x" * 300_000)
    far.send(b"hello")
    await settled()
    far.close()
    await settled()
    if not made[0].lost.done():
        made[0].transport.abort()
        await settled()
    assert made[0].lost.done()


for _method in ("connection_made", "data_received", "eof_received", "pause_writing", "connection_lost"):
    FAILURES[_method] = lambda aio, method=_method: raising(method)
for _method in ("get_buffer", "buffer_updated"):
    FAILURES[_method] = lambda aio, method=_method: raising(method, Buffered)


@failure
async def a_reset_while_reading(aio):
    near, far = pair("tcp")
    reader, writer = await aio.open_connection(sock=near)
    waiting = asyncio.ensure_future(reader.read(10))
    await settled()
    reset(far)
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], ConnectionResetError)
    await closed(writer)


@failure
async def a_reset_while_data_waits(aio):
    near, far = pair("tcp")
    reader, writer = await aio.open_connection(sock=near)
    writer.write(b"x" * 3_000_000)
    draining = asyncio.ensure_future(writer.drain())
    await settled()
    reset(far)
    assert isinstance((await asyncio.gather(draining, return_exceptions=True))[0], ConnectionResetError)
    await closed(writer)


@failure
async def a_refused_connection(aio):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        try:
            await aio.open_connection(*sock.getsockname())
        except ConnectionRefusedError:
            pass


@failure
async def a_cancelled_reading(aio):
    near, far = pair()
    reader, writer = await aio.open_connection(sock=near)
    waiting = asyncio.ensure_future(reader.readexactly(100))
    await settled()
    waiting.cancel()
    await asyncio.wait([waiting])
    far.close()
    await closed(writer)


@failure
async def cancelled_socket_methods(aio):
    loop = asyncio.get_running_loop()
    near, far = pair()
    waiting = [
        asyncio.ensure_future(loop.sock_recv(near, 10)),
        asyncio.ensure_future(loop.sock_sendall(near, b"x" * 1_000_000)),
    ]
    await settled()
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    near.close()
    far.close()


@failure
async def a_handshake_with_nobody(aio):
    task, peer = await connecting(lambda: Recorder(quiet))
    await settled()
    peer.close()
    await asyncio.wait([task])
    assert isinstance(task.exception(), OSError)


@failure
async def a_handshake_with_rubbish(aio):
    task, peer = await connecting(lambda: Recorder(quiet))
    peer.sock.send(b"rubbish" * 10)
    await asyncio.wait([task])
    assert isinstance(task.exception(), ssl.SSLError)
    peer.close()


@failure
async def a_cancelled_handshake(aio):
    task, peer = await connecting(lambda: Recorder(quiet))
    await settled()
    task.cancel()
    await asyncio.wait([task])
    await settled()
    peer.close()


@failure
async def a_reset_of_a_tls_connection(aio):
    ours, theirs = pair("tcp")
    opening = asyncio.ensure_future(
        aio.open_connection(sock=ours, ssl=client_context(), server_hostname="localhost")
    )
    peer = Peer(theirs)
    await peer.handshake()
    reader, writer = await opening
    waiting = asyncio.ensure_future(reader.read(10))
    writer.write(b"x" * 1_000_000)
    await settled()
    reset(peer.sock)
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], ConnectionResetError)
    await closed(writer)


async def closed(writer):
    writer.close()
    try:
        await writer.wait_closed()
    except (OSError, asyncio.CancelledError):
        pass
