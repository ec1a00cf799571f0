"""Reads of which as much is expected as the last ones brought: whatever comes, it is as with stock asyncio."""

import asyncio
import contextlib
import os
import random
import socket

import pytest
from _sockets import connected, same, settled, told, turns


#: Two of them, so that a third is expected.
USUAL = 3000
#: What comes then: less, as much, one more, and much more in one piece.
NEXT = [1, 100, USUAL - 1, USUAL, USUAL + 1, USUAL + 2, 50_000, 150_000]


def pair(kind=socket.SOCK_STREAM):
    ours, theirs = socket.socketpair(type=kind)
    for sock in (ours, theirs):
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
    return ours, theirs


async def sent(peer, sizes):
    """Sends each when the one before has been read."""
    for number, size in enumerate(sizes):
        data = bytes([number]) * size
        await asyncio.get_running_loop().sock_sendall(peer, data)
        await settled()


@pytest.mark.parametrize("size", NEXT)
def test_a_protocol_is_told_of_all_at_once(size):
    async def scenario(log):
        recorder, peer = await connected(log)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        await sent(peer, [USUAL, USUAL, size, USUAL, USUAL, USUAL])
        peer.close()
        await recorder.lost
        log([recorder.received.count(number) for number in range(6)])

    assert f"data_received {told(bytes([2]) * size)}" in same(scenario)


@pytest.mark.parametrize("size", NEXT)
def test_a_reader_gets_all_at_once(size):
    async def scenario(log):
        ours, theirs = pair()
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        for number, count in enumerate([USUAL, USUAL, size, USUAL, USUAL]):
            task = asyncio.ensure_future(reader.read(1 << 20))
            await turns()
            theirs.send(bytes([number]) * count)
            data = await task
            log(len(data), data == bytes([number]) * count)
        theirs.close()
        log(await reader.read())
        writer.close()

    same(scenario)


@pytest.mark.parametrize("most", [1, USUAL - 1, USUAL, USUAL + 1, USUAL + 2, 200_000])
@pytest.mark.parametrize("size", NEXT)
def test_sock_recv_keeps_to_its_limit(size, most):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        for number, (count, limit) in enumerate(
            [(USUAL, 10_000), (USUAL, 10_000), (size, most), (USUAL, 10_000)]
        ):
            task = asyncio.ensure_future(loop.sock_recv(ours, limit))
            await turns()
            theirs.send(bytes([number]) * count)
            log(len(first := await task))
            rest = count - len(first)
            if rest:
                whole = first + await loop.sock_recv(ours, 200_000)
                log(whole == bytes([number]) * count)
        theirs.close()
        ours.close()

    same(scenario)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
@pytest.mark.parametrize("size", NEXT)
def test_the_rest_of_a_message_is_not_lost(size, kind):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        ours, theirs = pair(kind)
        for number, count in enumerate([USUAL, USUAL, size, USUAL]):
            task = asyncio.ensure_future(loop.sock_recv(ours, 200_000))
            await turns()
            theirs.send(bytes([number]) * count)
            data = await task
            log(len(data), data == bytes([number]) * count)
        theirs.close()
        ours.close()

    same(scenario)


@pytest.mark.parametrize("size", [1, 100, USUAL - 1, USUAL, USUAL + 1, 4096])
def test_the_rest_of_a_packet_in_a_pipe_is_not_lost(size):
    async def scenario(log):
        reading, writing = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        got = []
        for number, count in enumerate([USUAL, USUAL, size, USUAL]):
            os.write(writing, bytes([number]) * count)
            got.append(len(await reader.read(100_000)))
        os.close(writing)
        log(got, await reader.read())
        transport.close()

    same(scenario)


@pytest.mark.parametrize("last", [0, 1, USUAL, USUAL + 1, USUAL + 2])
def test_the_end_or_a_reset_behind_the_last(last):
    async def scenario(log):
        listener = socket.create_server(("127.0.0.1", 0))
        for reset in (False, True):
            peer = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
            loop = asyncio.get_running_loop()
            reader, writer = await asyncio.open_connection(sock=accepted)
            for number in (1, 2):
                peer.sendall(b"%d" % number * USUAL)
                log(len(await reader.read(100_000)))
            await loop.sock_sendall(peer, b"x" * last)
            if reset:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            await settled()
            try:
                log(len(await reader.read(100_000)))
                log(len(await reader.read(100_000)))
            except OSError as error:
                log(error)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        listener.close()

    same(scenario)


def test_random_sizes_arrive_as_they_were_sent():
    async def scenario(log):
        choose = random.Random(5)
        ours, theirs = pair()
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        usual = [choose.randrange(2000, 60_000) for _ in range(4)]
        for _ in range(500):
            for _ in range(choose.randrange(1, 5)):
                size = choose.choice(usual) + choose.choice([0, 0, 0, -1, 1, 2, 5000])
                data = choose.randbytes(size)
                task = asyncio.ensure_future(reader.read(1 << 20))
                await turns(choose.randrange(3))
                theirs.send(data)
                assert await task == data
        theirs.close()
        writer.close()

    same(scenario)
