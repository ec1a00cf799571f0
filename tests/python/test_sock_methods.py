"""`loop.sock_*`: the same as the standard library's, and watches that stay behind do no harm."""

import asyncio
import gc
import os
import selectors
import socket
import weakref

import pytest
from _sockets import same, settled, turns

import rasyncio


def pair():
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    return one, other


def watched(loop, sock):
    return bool(loop._interest(sock.fileno()) & selectors.EVENT_READ)


def test_reading():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, other = pair()
        other.send(b"at once")
        log(await loop.sock_recv(one, 100))
        for number in range(5):
            waiting = asyncio.ensure_future(loop.sock_recv(one, 3))
            await turns()
            log(waiting.done())
            other.send(b"later %d" % number)
            log(await waiting, await loop.sock_recv(one, 100))
        buffer = bytearray(10)
        waiting = asyncio.ensure_future(loop.sock_recv_into(one, buffer))
        await turns()
        other.send(b"filled")
        log(await waiting, bytes(buffer))
        other.close()
        log(await loop.sock_recv(one, 100))
        log(await loop.sock_recv_into(one, buffer))
        one.close()

    same(scenario)


def test_what_is_refused():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, other = pair()
        closed, _ = pair()
        closed.close()
        other.send(b"data")
        for call in (
            lambda: loop.sock_recv(closed, 10),
            lambda: loop.sock_recv(one, -1),
            lambda: loop.sock_recv(one, "many"),
            lambda: loop.sock_recv_into(one, b"read-only"),
            lambda: loop.sock_recv_into(closed, bytearray(5)),
            lambda: loop.sock_sendall(closed, b"data"),
            lambda: loop.sock_sendall(one, "text"),
        ):
            try:
                log(await call())
            except (OSError, TypeError, ValueError) as error:
                log(error)
        one.close()
        other.close()

    same(scenario)


def test_a_reset_while_waiting():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
        near.setblocking(False)
        waiting = asyncio.ensure_future(loop.sock_recv(near, 10))
        await turns()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        far.close()
        try:
            log(await waiting)
        except OSError as error:
            log(error)
        near.close()
        listener.close()

    same(scenario)


def test_sending_more_than_fits():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, other = pair()
        data = os.urandom(3_000_000)
        for given in (data, bytearray(data), memoryview(data)):
            sending = asyncio.ensure_future(loop.sock_sendall(one, given))
            got = bytearray()
            while len(got) < len(data):
                got += await loop.sock_recv(other, 100_000)
            log(await sending, got == data)
        one.close()
        other.close()

    same(scenario)


def test_a_transport_owns_its_descriptor():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, other = pair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=one)
        try:
            await loop.sock_recv(one, 10)
        except RuntimeError as error:
            log("RuntimeError", "is used by transport" in str(error))
        transport.abort()
        other.close()
        await turns()

    same(scenario)


def test_cancelled():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, other = pair()
        waiting = asyncio.ensure_future(loop.sock_recv(one, 10))
        await turns()
        waiting.cancel()
        await turns()
        log(waiting.cancelled())
        other.send(b"not lost")
        await settled()
        log(await loop.sock_recv(one, 10))
        one.close()
        other.close()

    same(scenario)


def test_a_wait_that_is_cancelled_takes_nothing():
    async def main():
        loop = asyncio.get_running_loop()
        one, other = pair()
        hint, hinted = pair()
        task = loop.create_task(loop.sock_recv(one, 10))
        await turns()

        def event():
            loop.remove_reader(hinted)
            task.cancel()

        loop.add_reader(hinted, event)
        # Ready in this order, hence told in this order: the task is woken, then cancelled.
        other.send(b"data")
        hint.send(b"now")
        with pytest.raises(asyncio.CancelledError):
            await task
        # In asyncio it would be lost.
        assert await loop.sock_recv(one, 10) == b"data"
        for sock in (one, other, hint, hinted):
            sock.close()

    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        runner.run(main())


def test_debug_mode_wants_sockets_that_do_not_block():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        one, other = socket.socketpair()
        for call in (loop.sock_recv(one, 10), loop.sock_sendall(one, b"x")):
            try:
                log(await call)
            except ValueError as error:
                log(error)
        one.close()
        other.close()

    same(scenario)


def test_a_watch_stays_until_it_fires_for_nobody():
    async def main():
        loop = asyncio.get_running_loop()
        one, other = pair()
        waiting = asyncio.ensure_future(loop.sock_recv(one, 10))
        await turns()
        assert watched(loop, one)
        other.send(b"data")
        assert await waiting == b"data"
        assert watched(loop, one)
        other.send(b"more")
        await settled()
        assert not watched(loop, one)
        assert await loop.sock_recv(one, 10) == b"more"
        one.close()
        other.close()

    rasyncio.run(main())


async def leave_a_watch(loop):
    one, other = pair()
    waiting = asyncio.ensure_future(loop.sock_recv(one, 10))
    await turns()
    other.send(b"data")
    await waiting
    return one, other


def test_a_watch_that_stays_does_not_keep_its_socket():
    async def main():
        loop = asyncio.get_running_loop()
        one, other = await leave_a_watch(loop)
        reference = weakref.ref(one)
        number = one.fileno()
        one.close()
        del one
        gc.collect()
        assert reference() is None
        other.close()
        # The number, and maybe the address, are another socket's now.
        for _ in range(5):
            first, second = pair()
            waiting = asyncio.ensure_future(loop.sock_recv(first, 10))
            await turns()
            second.send(b"for the new one")
            assert await asyncio.wait_for(waiting, 5) == b"for the n" + b"e"
            used = first.fileno() == number
            first.close()
            second.close()
        assert used

    rasyncio.run(main())


def test_a_watch_that_stays_is_no_reader():
    async def main():
        loop = asyncio.get_running_loop()
        one, other = await leave_a_watch(loop)
        assert loop.remove_reader(one) is False
        one.close()
        other.close()
        one, other = await leave_a_watch(loop)
        called = asyncio.Event()
        loop.add_reader(one, called.set)
        other.send(b"x")
        await asyncio.wait_for(called.wait(), 5)
        assert loop.remove_reader(one) is True
        assert await loop.sock_recv(one, 10) == b"x"
        one.close()
        other.close()

    rasyncio.run(main())


def test_a_transport_takes_a_socket_with_a_watch():
    async def main():
        loop = asyncio.get_running_loop()
        one, other = await leave_a_watch(loop)
        reader, writer = await asyncio.open_connection(sock=one)
        other.send(b"for the stream")
        assert await reader.read(100) == b"for the stream"
        writer.close()
        await writer.wait_closed()
        other.close()

    rasyncio.run(main())


@pytest.mark.parametrize("size", [1, 70_000])
def test_a_conversation(size):
    async def main():
        loop = asyncio.get_running_loop()
        one, other = pair()

        async def echo():
            while data := await loop.sock_recv(other, 100_000):
                await loop.sock_sendall(other, data)

        task = asyncio.ensure_future(echo())
        for number in range(300):
            data = bytes([number % 256]) * size
            await loop.sock_sendall(one, data)
            got = b""
            while len(got) < size:
                got += await loop.sock_recv(one, 50_000)
            assert got == data
        one.close()
        await task
        other.close()

    rasyncio.run(main())
