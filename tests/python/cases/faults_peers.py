"""Peers that reset, stall, half-close, send one byte at a time or never read, and what each kind of user sees."""

import asyncio
import socket
import ssl

from _faults import Recorder, connect, pair, received, report, reset, say, settled
from _sockets import Buffered
from _tls import client_context, secured

KINDS = ("unix", "tcp")


# What a peer does -----------------------------------------------------------------------------------


async def resets(peer):
    peer.send(b"before")
    await settled()
    reset(peer)


async def resets_with_data_unread(peer):
    await settled()
    peer.close()


async def half_closes(peer):
    peer.send(b"question")
    peer.shutdown(socket.SHUT_WR)
    await settled()
    say("peer got", received(peer))


async def half_closes_the_other_half(peer):
    peer.shutdown(socket.SHUT_RD)
    peer.send(b"question")
    await settled()
    peer.close()


async def closes_at_once(peer):
    peer.close()


async def closes_after_the_last_word(peer):
    peer.send(b"last word\n")
    peer.close()


async def speaks_slowly(peer):
    for byte in b"one\ntwo":
        peer.send(bytes([byte]))
        await settled()
    peer.close()


async def says_nothing(peer):
    await asyncio.sleep(0.01)
    say("peer got", received(peer))


async def is_gone_after_a_while(peer):
    await says_nothing(peer)
    peer.close()


PEERS = (
    resets,
    resets_with_data_unread,
    half_closes,
    half_closes_the_other_half,
    closes_at_once,
    closes_after_the_last_word,
    speaks_slowly,
    says_nothing,
    is_gone_after_a_while,
)


# Who talks to it ------------------------------------------------------------------------------------


async def protocol(sock, acting, kind=Recorder):
    recorder = await connect(lambda: kind(say), sock)
    recorder.transport.write(b"hello")
    await acting()
    await settled()
    say("lost", recorder.lost, recorder.transport)
    for _ in range(3):
        recorder.transport.write(b"more")
        await settled()
    say("got", bytes(recorder.received))
    if not recorder.lost.done():
        recorder.transport.abort()
    say("lost", await recorder.lost)


async def buffered(sock, acting):
    await protocol(sock, acting, Buffered)


async def streams(sock, acting):
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(b"hello")
    acting = asyncio.ensure_future(acting())
    for read in (reader.readline, lambda: reader.readexactly(3), lambda: reader.read(100), reader.read):
        await told(asyncio.wait_for(read(), 0.05))
    await acting
    for _ in range(3):
        writer.write(b"more")
        await told(writer.drain())
        await settled()
    say(reader.at_eof(), reader.exception())
    writer.close()
    await told(writer.wait_closed())


async def socket_methods(sock, acting):
    loop = asyncio.get_running_loop()
    await told(loop.sock_sendall(sock, b"hello"))
    acting = asyncio.ensure_future(acting())
    for count in (3, 3, 100, 100):
        await told(asyncio.wait_for(loop.sock_recv(sock, count), 0.05))
    buffer = bytearray(100)
    await told(asyncio.wait_for(loop.sock_recv_into(sock, buffer), 0.05))
    await acting
    for _ in range(2):
        await told(loop.sock_sendall(sock, b"more"))
        await settled()
    sock.close()


async def told(awaitable):
    try:
        say("answer", await awaitable)
    except (OSError, EOFError, TimeoutError) as error:
        # What a TimeoutError says depends on the version, and whether it is one of OSError's.
        say("raised", type(error).__name__, getattr(error, "errno", None), getattr(error, "partial", None))


async def meet(user):
    asyncio.get_running_loop().set_exception_handler(report)
    for kind in KINDS:
        for peer in PEERS:
            print("---", kind, peer.__name__)
            near, far = pair(kind)
            await user(near, lambda peer=peer, far=far: peer(far))
            await settled()
            far.close()


async def case_protocol():
    await meet(protocol)


async def case_buffered_protocol():
    await meet(buffered)


async def case_streams():
    await meet(streams)


async def case_socket_methods():
    await meet(socket_methods)


# Full buffers ---------------------------------------------------------------------------------------


async def fill(kind, ending):
    """Writes to a peer that reads nothing, until the end comes in the way of `ending`."""
    near, far = pair(kind)
    recorder = await connect(lambda: Recorder(say), near)
    for _ in range(10):
        recorder.transport.write(b"x" * 40_000)
    await settled()
    say(recorder.transport.get_write_buffer_size() > 100_000, recorder.lost)
    await ending(recorder, far)
    await settled()
    say(type(recorder.lost.result()) if recorder.lost.done() else "not lost", near.fileno() < 0)
    if not recorder.lost.done():
        recorder.transport.abort()
        await recorder.lost
    far.close()


async def peer_resets(recorder, far):
    reset(far)


async def peer_half_closes(recorder, far):
    far.shutdown(socket.SHUT_WR)


async def we_close(recorder, far):
    recorder.transport.close()
    await settled()
    say("closing", recorder.lost.done(), recorder.transport.get_write_buffer_size() > 100_000)


async def we_close_and_the_peer_resets(recorder, far):
    await we_close(recorder, far)
    reset(far)


async def we_end_and_the_peer_resets(recorder, far):
    recorder.transport.write_eof()
    await settled()
    reset(far)


async def we_close_and_abort(recorder, far):
    await we_close(recorder, far)
    recorder.transport.abort()


async def all_is_read(recorder, far):
    total = 0
    while total < 400_000:
        await settled()
        try:
            total += len(far.recv(1 << 20))
        except BlockingIOError:
            pass
    say(total)


async def case_full_buffers():
    asyncio.get_running_loop().set_exception_handler(report)
    endings = (
        peer_resets,
        peer_half_closes,
        we_close,
        we_close_and_the_peer_resets,
        we_end_and_the_peer_resets,
        we_close_and_abort,
        all_is_read,
    )
    for kind in KINDS:
        for ending in endings:
            print("---", kind, ending.__name__)
            await fill(kind, ending)


# TLS ------------------------------------------------------------------------------------------------


async def tls_resets(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


async def tls_closes(peer):
    peer.close()


async def tls_says_goodbye(peer):
    try:
        await peer.unwrap()
    except (EOFError, OSError, ssl.SSLError) as error:
        say("peer's unwrap raised", type(error).__name__)


async def tls_half_closes_the_socket(peer):
    peer.sock.shutdown(socket.SHUT_WR)


async def tls_speaks_slowly(peer):
    await peer.write(b"one byte after the other", piece=1)


async def tls_is_cut_off_in_a_record(peer):
    peer.session.write(b"half of this")
    data = peer.take()
    peer.sock.send(data[: len(data) // 2])
    peer.close()


async def tls_rubbish(peer):
    peer.sock.send(b"no record of TLS at all" * 10)


async def case_tls():
    for kind in (Recorder, Buffered):
        for acts in (
            tls_resets,
            tls_closes,
            tls_says_goodbye,
            tls_half_closes_the_socket,
            tls_speaks_slowly,
            tls_is_cut_off_in_a_record,
            tls_rubbish,
        ):
            print("---", kind.__name__, acts.__name__)
            asyncio.get_running_loop().set_exception_handler(quiet)
            recorder, peer = await secured(lambda kind=kind: kind(quiet))
            await acts(peer)
            await settled()
            await settled()
            say("got", bytes(recorder.received), told_of(recorder.lost))
            recorder.transport.abort()
            await settled()
            say("lost", recorder.lost.done())
            peer.close()


def quiet(*what):
    pass


def told_of(future):
    return type(future.result()).__name__ if future.done() else "not lost"


async def case_tls_handshake():
    """Peers that end, reset or say nothing in the handshake."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(quiet)
    for acts in (closes_at_once, reset_at_once, says_nothing, says_rubbish, half_closes_at_once):
        print("---", acts.__name__)
        near, far = pair("tcp")
        made = asyncio.ensure_future(
            loop.create_connection(
                lambda: Recorder(quiet),
                sock=near,
                ssl=client_context(),
                server_hostname="localhost",
                ssl_handshake_timeout=0.05,
            )
        )
        await settled()
        await acts(far)
        await asyncio.wait([made])
        error = made.exception()
        say(type(error).__name__, near.fileno())
        far.close()


async def reset_at_once(peer):
    reset(peer)


async def says_rubbish(peer):
    peer.send(b"HTTP/1.0 400 Bad Request\r\n\r\n")


async def half_closes_at_once(peer):
    peer.shutdown(socket.SHUT_WR)


# Connecting and accepting ---------------------------------------------------------------------------


async def case_connecting_to_nobody():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    for call in (
        lambda: loop.create_connection(asyncio.Protocol, *address),
        lambda: asyncio.open_connection(*address),
        lambda: loop.create_unix_connection(asyncio.Protocol, "/nowhere/at/all"),
        lambda: asyncio.open_unix_connection("/nowhere/at/all"),
        lambda: plainly(address),
    ):
        try:
            await call()
        except OSError as error:
            say(type(error).__name__, error.errno)


async def plainly(address):
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)


async def case_connecting_is_cancelled():
    """The backlog is full, so connecting takes for ever."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.create_connection(listener.getsockname())]
        for call in (
            lambda: loop.create_connection(asyncio.Protocol, *listener.getsockname()),
            lambda: asyncio.open_connection(*listener.getsockname()),
            lambda: plainly(listener.getsockname()),
        ):
            task = asyncio.ensure_future(call())
            await settled()
            task.cancel()
            await asyncio.wait([task])
            say(task.cancelled())
        for sock in waiting:
            sock.close()


async def case_accepting():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        waiting = asyncio.ensure_future(loop.sock_accept(listener))
        await settled()
        waiting.cancel()
        await asyncio.wait([waiting])
        say(waiting.cancelled())
        # One that is gone before it is accepted, by a reset.
        reset(socket.create_connection(listener.getsockname()))
        with socket.create_connection(listener.getsockname()):
            first, _ = await asyncio.wait_for(loop.sock_accept(listener), 1)
            await told(loop.sock_recv(first, 1))
            second, _ = await asyncio.wait_for(loop.sock_accept(listener), 1)
            first.close()
            second.close()
