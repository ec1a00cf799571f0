"""Stream readers and writers: the same as the standard library's, whatever comes and however it comes."""

import asyncio
import random
import sys

import pytest
from _sockets import connected, told, turns
from _streams import outcome, same

import rasyncio
from rasyncio import streams

TAKES_TUPLES = sys.version_info >= (3, 13)


class Transport:
    """Remembers what a reader asks of it."""

    def __init__(self, log):
        self.log = log

    def pause_reading(self):
        self.log("pause")

    def resume_reading(self):
        self.log("resume")

    def __repr__(self):
        return "<Transport>"


def test_repr_of_every_state():
    async def scenario(log, module):
        reader = module.StreamReader(limit=5)
        log(reader)
        reader.set_transport(Transport(log))
        reader.feed_data(b"x" * 20)
        log(reader)
        reader.feed_eof()
        reader.set_exception(ValueError("expected"))
        log(reader, reader.at_eof(), reader.exception())

    same(scenario)


def test_bad_arguments():
    async def scenario(log, module):
        for limit in (0, -1):
            with pytest.raises(ValueError) as raised:
                module.StreamReader(limit=limit)
            log(raised.value)
        reader = module.StreamReader()
        reader.feed_data(b"some data")
        for call in (
            lambda: reader.readexactly(-1),
            lambda: reader.readuntil(b""),
            lambda: reader.readuntil("text"),
            lambda: reader.readexactly(0),
            lambda: reader.read(0),
        ):
            await outcome(log, call())
        reader.set_transport(Transport(log))
        with pytest.raises(AssertionError) as raised:
            reader.set_transport(Transport(log))
        log(raised.value)
        reader.feed_eof()
        with pytest.raises(AssertionError) as raised:
            reader.feed_data(b"late")
        log(raised.value)

    same(scenario)


def test_one_reads_at_a_time():
    async def scenario(log, module):
        reader = module.StreamReader()
        first = asyncio.ensure_future(reader.read(1))
        await turns()
        for call in (reader.read(1), reader.readline(), reader.readexactly(1), reader.readuntil(b"x")):
            await outcome(log, call)
        reader.feed_data(b"ab")
        log(await first)
        await outcome(log, reader.read(1))

    same(scenario)


@pytest.mark.parametrize("method", ["read", "readline", "readexactly", "readuntil"])
def test_cancelled_while_it_waits(method):
    async def scenario(log, module):
        arguments = {"read": (5,), "readexactly": (5,)}.get(method, ())
        reader = module.StreamReader()
        waiting = asyncio.ensure_future(getattr(reader, method)(*arguments))
        await turns()
        if method != "read":
            reader.feed_data(b"abc")
        await turns()
        waiting.cancel()
        await turns()
        log(waiting.cancelled(), reader)
        reader.feed_data(b"def\n")
        await outcome(log, getattr(reader, method)(*arguments))

    assert same(scenario)


@pytest.mark.parametrize("method", ["read", "readline", "readexactly", "readuntil"])
def test_the_connection_fails(method):
    async def scenario(log, module):
        arguments = {"read": (5,), "readexactly": (5,)}.get(method, ())
        reader = module.StreamReader()
        waiting = asyncio.ensure_future(getattr(reader, method)(*arguments))
        await turns()
        reader.set_exception(ConnectionResetError("expected"))
        await outcome(log, waiting)
        reader.feed_data(b"abcdefgh\n")
        await outcome(log, getattr(reader, method)(*arguments))

    same(scenario)


def test_a_transport_that_cannot_pause_is_asked_once():
    async def scenario(log, module):
        class Stubborn(Transport):
            def pause_reading(self):
                log("asked")
                raise NotImplementedError

        reader = module.StreamReader(limit=5)
        reader.set_transport(Stubborn(log))
        for _ in range(3):
            reader.feed_data(b"x" * 20)
        log(reader)

    same(scenario)


def steps(rng):
    """What happens to a reader: chunks that come, and readings."""
    for _ in range(40):
        kind = rng.randrange(10)
        if kind < 5:
            size = rng.choice((0, 1, 2, 7, 30, 5000))
            yield "feed", bytes(rng.choice(b"ab\n\r") for _ in range(size))
        elif kind < 6:
            yield "read", (rng.choice((0, 1, 5, 100)),)
        elif kind < 7:
            yield "readexactly", (rng.choice((0, 1, 5, 40)),)
        elif kind < 8:
            yield "readline", ()
        elif kind < 9 or not TAKES_TUPLES:
            yield "readuntil", (rng.choice((b"\n", b"\r\n", b"aab", b"aa", b"b\nb")),)
        else:
            yield "readuntil", ((b"\r\n", b"\n", b"ab"),)
    yield "eof", ()
    for _ in range(6):
        yield rng.choice((("readline", ()), ("read", (7,)), ("readexactly", (9,))))


@pytest.mark.parametrize("seed", range(150))
def test_random_feeding_and_reading(seed):
    async def scenario(log, module):
        rng = random.Random(seed)
        reader = module.StreamReader(limit=rng.choice((1, 8, 50, 65536)))
        reader.set_transport(Transport(log))
        waiting = None
        for name, arguments in steps(rng):
            if name == "feed":
                reader.feed_data(rng.choice((bytes, bytearray, memoryview))(arguments))
            elif name == "eof":
                reader.feed_eof()
            elif waiting is None:
                waiting = asyncio.ensure_future(getattr(reader, name)(*arguments))
            await turns(3)
            if waiting is not None and waiting.done():
                await outcome(log, waiting)
                waiting = None
            log(len(reader._buffer), reader.at_eof())
        if waiting is not None:
            await outcome(log, waiting)

    same(scenario)


@pytest.mark.parametrize("limit", [3, 65536])
def test_everything_to_the_end(limit):
    async def main():
        log = []
        reader = streams.StreamReader(limit=limit)
        reader.set_transport(Transport(log.append))
        waiting = asyncio.ensure_future(reader.read())
        for number in range(20):
            reader.feed_data(bytes([number]) * 5)
            await turns()
        assert log.count("pause") == log.count("resume")
        reader.feed_eof()
        assert await waiting == b"".join(bytes([number]) * 5 for number in range(20))
        assert await reader.read() == b""

    rasyncio.run(main())


def test_nothing_is_lost_when_reading_to_the_end_is_cancelled():
    async def main():
        reader = streams.StreamReader()
        waiting = asyncio.ensure_future(reader.read())
        await turns()
        reader.feed_data(b"data")
        await turns()
        waiting.cancel()
        await turns()
        assert await reader.read(10) == b"data"

    rasyncio.run(main())


def test_separators_in_a_tuple_on_every_version():
    async def main():
        reader = streams.StreamReader()
        reader.feed_data(b"one,two;three")
        assert await reader.readuntil((b";", b",")) == b"one,"
        assert await reader.readuntil((b";", b",")) == b"two;"
        with pytest.raises(ValueError, match="at least one element"):
            await reader.readuntil(())
        with pytest.raises(ValueError, match="at least one-byte"):
            await reader.readuntil((b"a", b""))

    rasyncio.run(main())


def test_bytes_that_come_and_go_whole_are_not_copied():
    async def main():
        reader = streams.StreamReader()
        data = b"x" * 1000
        reader.feed_data(data)
        assert await reader.read(5000) is data

    rasyncio.run(main())


def test_a_subclass():
    class Reader(streams.StreamReader):
        def __init__(self):
            super().__init__(limit=10)
            self.fed = []

        def feed_data(self, data):
            self.fed.append(data)
            super().feed_data(data)

    async def main():
        reader = Reader()
        protocol = streams.StreamReaderProtocol(reader)
        protocol.data_received(b"line\n")
        assert reader.fed == [b"line\n"]
        assert [line async for line in ended(reader)] == [b"line\n"]

    async def ended(reader):
        reader.feed_eof()
        async for line in reader:
            yield line

    rasyncio.run(main())


def test_the_buffer_as_programs_use_it():
    async def main():
        reader = streams.StreamReader()
        reader.feed_data(b"hello world")
        buffer = reader._buffer
        assert buffer == b"hello world" and len(buffer) == 11 and buffer.find(b"w") == 6
        del reader._buffer[:6]
        assert await reader.readexactly(2) == b"wo"
        reader._buffer.extend(b" and more")
        assert reader._buffer == b"rld and more"
        reader._buffer.clear()
        assert not reader._buffer
        reader._buffer = b"new"
        assert await reader.read(10) == b"new"

    rasyncio.run(main())


def test_drain():
    async def scenario(log, module):
        loop = asyncio.get_running_loop()
        reader = module.StreamReader()
        protocol = module.StreamReaderProtocol(reader)
        recorder, peer = await connected(lambda *what: None)
        transport = recorder.transport
        transport.set_protocol(protocol)
        reader.set_transport(transport)
        writer = module.StreamWriter(transport, protocol, reader, loop)
        await writer.drain()
        writer.write(b"x" * 1_000_000)
        draining = [asyncio.ensure_future(writer.drain()) for _ in range(2)]
        await turns()
        log([task.done() for task in draining])
        while not draining[0].done():
            await asyncio.sleep(0)
            try:
                peer.recv(1_000_000)
            except BlockingIOError:
                pass
        log(await asyncio.gather(*draining))
        writer.close()
        log(writer.is_closing(), writer.can_write_eof(), writer.get_extra_info("nothing", 5))
        await outcome(log, writer.drain())
        await outcome(log, writer.drain())
        reader.set_exception(ValueError("expected"))
        await outcome(log, writer.drain())
        await writer.wait_closed()
        log(told(writer))
        peer.close()

    same(scenario)
