"""TLS: random programs on both ends of a connection whose link cuts as it likes, or lies.

Both ends are ours. Whatever happens, what arrives is what was sent, from the beginning and without a
gap; each protocol is told of its end once; and an orderly end comes after everything.
"""

import asyncio
import contextlib
import functools
import gc
import os
import random
import socket
import ssl
import weakref

import pytest
from _tls import CERTIFICATE, server_context

import rasyncio


class End(asyncio.Protocol):
    """Notes what it is told, and that it is told in order."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.sent = bytearray()
        self.received = bytearray()
        self.made = self.eof = self.paused = False
        self.transport = None
        self.lost = self.loop.create_future()
        #: The program's own doing: then what is on its way may be lost.
        self.cut = False

    def connection_made(self, transport):
        assert not self.made
        self.made = True
        self.transport = transport

    def data_received(self, data):
        assert self.made and not self.eof and not self.lost.done() and data
        assert isinstance(data, bytes)
        self.received += data

    def eof_received(self):
        assert self.made and not self.eof and not self.lost.done()
        self.eof = True

    def pause_writing(self):
        assert not self.paused
        self.paused = True

    def resume_writing(self):
        assert self.paused
        self.paused = False

    def connection_lost(self, error):
        self.error = error
        self.lost.set_result(None)

    def write(self, *pieces):
        if self.transport.is_closing():
            return
        for piece in pieces:
            self.sent += piece
        if len(pieces) == 1:
            self.transport.write(pieces[0])
        else:
            self.transport.writelines(pieces)


class BufferedEnd(End, asyncio.BufferedProtocol):
    """With a buffer of another size each time."""

    def __init__(self, chance):
        super().__init__()
        self.chance = chance

    def get_buffer(self, sizehint):
        self.buffer = bytearray(self.chance.choice([1, 7, 1000, 16_384, 70_000]))
        return self.buffer

    def buffer_updated(self, count):
        assert 0 < count <= len(self.buffer)
        self.data_received(bytes(self.buffer[:count]))


@functools.cache
def contexts(version):
    client = ssl.create_default_context(cafile=CERTIFICATE)
    client.minimum_version = client.maximum_version = version
    return client, server_context()


async def carry(chance, source, target, damage):
    """One direction of the link. A damaged one alters a byte, loses some, or ends too early."""
    loop = asyncio.get_running_loop()
    carried = 0
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, chance.choice([1, 100, 5000, 100_000])):
            if damage is not None and carried + len(data) > damage[1]:
                place = damage[1] - carried
                if damage[0] == "alter":
                    data = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
                elif damage[0] == "lose":
                    data = data[:place] + data[place + 1 :]
                else:
                    break
                damage = None
            carried += len(data)
            while data:
                count = chance.choice([1, 3, 17, 1000, len(data), len(data)])
                await loop.sock_sendall(target, data[:count])
                data = data[count:]
                if chance.random() < 0.3:
                    await asyncio.sleep(0)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


async def act(chance, end):
    """A program for one end."""
    transport = end.transport
    for _ in range(chance.randrange(1, 30)):
        step = chance.random()
        if step < 0.5:
            end.write(chance.randbytes(chance.choice([1, 2, 100, 16_384, 16_385, 60_000])))
        elif step < 0.6:
            end.write(*(chance.randbytes(chance.choice([1, 50, 9000])) for _ in range(5)))
        elif step < 0.7:
            transport.pause_reading()
        elif step < 0.8:
            transport.resume_reading()
        elif step < 0.85:
            transport.set_write_buffer_limits(high=chance.choice([0, 1000, 100_000]))
        elif step < 0.9:
            transport.set_read_buffer_limits(high=chance.choice([1, 1000, 100_000]))
        elif step < 0.92:
            end.cut = True
            chance.choice([transport.abort, transport.close])()
        for _ in range(chance.choice([0, 1, 3, 10])):
            await asyncio.sleep(0)
    transport.resume_reading()


async def play(seed, damaged):
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    client, server = contexts(
        chance.choice([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    )
    left, middle_left = socket.socketpair()
    right, middle_right = socket.socketpair()
    for sock in (left, right, middle_left, middle_right):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, chance.choice([4000, 100_000]))
    damages = [None, None]
    if damaged:
        damages[chance.randrange(2)] = (
            chance.choice(["alter", "lose", "end"]),
            chance.choice([chance.randrange(3000), chance.randrange(300_000)]),
        )
    link = asyncio.gather(
        carry(random.Random(seed + 1), middle_left, middle_right, damages[0]),
        carry(random.Random(seed + 2), middle_right, middle_left, damages[1]),
    )
    options = {"ssl_handshake_timeout": 0.3 if damaged else 20, "ssl_shutdown_timeout": 0.3}

    def end():
        return BufferedEnd(chance) if chance.random() < 0.5 else End()

    made = await asyncio.gather(
        loop.create_connection(
            end, sock=left, ssl=client, server_hostname="localhost", **options
        ),
        loop.connect_accepted_socket(end, right, ssl=server, **options),
        return_exceptions=True,
    )
    ends = []
    for one in made:
        if isinstance(one, BaseException):
            assert damaged and isinstance(one, OSError), one
        else:
            ends.append(one[1])
    acting = [act(random.Random(seed + 3 + number), one) for number, one in enumerate(ends)]
    await asyncio.gather(*acting)
    if len(ends) == 2 and not damaged and not any(one.cut for one in ends):
        # Nobody has ended it, so all arrives.
        async with asyncio.timeout(20):
            while not all(
                len(one.sent) == len(other.received) for one, other in zip(ends, reversed(ends))
            ):
                await asyncio.sleep(0.001)
    for one in ends:
        one.transport.close()
    async with asyncio.timeout(20):
        for one in ends:
            await one.lost
        for sock in (middle_left, middle_right):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        await link
    for sock in (middle_left, middle_right):
        sock.close()
    if len(ends) == 2:
        for one, other in zip(ends, reversed(ends)):
            assert other.sent.startswith(one.received)
            if not damaged and not any(one.cut for one in ends):
                assert other.sent == one.received
    assert not loop._transports
    return [weakref.ref(one) for one in ends]


#: What a damaged link may lead to: nothing else may be told to the exception handler.
EXPECTED = (ssl.SSLError, OSError)


def run(seeds, damaged):
    """Plays them one after the other, and says what was reported."""
    unexpected = []

    def handler(loop, context):
        exception = context.get("exception")
        if not damaged or not isinstance(exception, EXPECTED):
            unexpected.append(context)

    async def main():
        asyncio.get_running_loop().set_exception_handler(handler)
        for seed in seeds:
            try:
                kept = await play(seed, damaged)
            except BaseException as error:
                error.add_note(f"seed {seed}, damaged: {damaged}")
                raise
            await asyncio.sleep(0)
            gc.collect()
            assert not any(reference() for reference in kept), seed
            assert not unexpected, (seed, unexpected)

    before = len(os.listdir("/proc/self/fd"))
    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        runner.run(main())
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("damaged", [False, True])
def test_random_programs(damaged):
    run(range(40), damaged)


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_many_random_programs(damaged):
    run(range(1000, 4000), damaged)
