"""Stream readers and writers: the same as the standard library's, whatever comes and however it comes."""

import asyncio
import gc
import hashlib
import random
import socket
import struct
import sys
import warnings
import weakref

import pytest
from _sockets import connected, run, settled, told, turns

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


def same(scenario):
    """Runs `scenario(log, module)` on stock streams and on ours; the logs must be equal."""
    ours = run(lambda log: scenario(log, streams), rasyncio.new_event_loop)
    stock = run(lambda log: scenario(log, asyncio.streams), asyncio.SelectorEventLoop)
    assert ours == stock
    return ours


async def outcome(log, awaitable):
    try:
        log("answer", bytes(await awaitable))
    except Exception as error:
        log("raised", error, getattr(error, "partial", None), getattr(error, "consumed", None))


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


def test_a_server_of_lines():
    async def main():
        async def serve(reader, writer):
            async for line in reader:
                writer.writelines([line.upper(), b"."])
                await writer.drain()
            writer.close()

        server = await streams.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        reader, writer = await streams.open_connection(*address)
        assert type(reader) is streams.StreamReader and type(writer) is streams.StreamWriter
        writer.write(b"one\ntwo\nthree")
        assert await reader.readuntil(b".") == b"ONE\n."
        assert await reader.readuntil(b".") == b"TWO\n."
        writer.write_eof()
        assert await reader.read() == b"THREE."
        writer.close()
        await writer.wait_closed()
        server.close()

    rasyncio.run(main())


def test_a_forgotten_reader_is_collected_and_the_writer_warns():
    async def main():
        async def serve(reader, writer):
            await reader.read()
            writer.close()

        server = await streams.start_server(serve, "127.0.0.1", 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        reference = weakref.ref(reader)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del reader, writer
            gc.collect()
        assert reference() is None
        if hasattr(asyncio.StreamWriter, "__del__"):  # not in the first releases of 3.11
            assert any("unclosed <StreamWriter" in str(warning.message) for warning in caught)
        await settled()
        server.close()

    rasyncio.run(main())


def test_a_cycle_through_a_waiting_reader_is_collected():
    class Reader(streams.StreamReader):
        pass

    async def main():
        reader = Reader()
        reader.task = asyncio.ensure_future(reader.readline())
        reader.task._log_destroy_pending = False
        await turns()
        reference = weakref.ref(reader)
        del reader
        gc.collect()
        assert reference() is None

    rasyncio.run(main())


@pytest.mark.parametrize("seed", range(3))
def test_both_directions_at_once_arrive_whole(seed):
    rng = random.Random(seed)

    async def send(writer, total):
        digest = hashlib.sha256()
        while total:
            data = rng.randbytes(min(total, rng.choice((1, 100, 3000, 70_000))))
            total -= len(data)
            digest.update(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        return digest.hexdigest()

    async def receive(reader):
        digest = hashlib.sha256()
        while True:
            if rng.random() < 0.5:
                data = await reader.read(rng.choice((1, 100, 100_000)))
            else:
                try:
                    data = await reader.readexactly(rng.choice((1, 1000, 20_000)))
                except asyncio.IncompleteReadError as error:
                    data = error.partial
            if not data:
                return digest.hexdigest()
            digest.update(data)

    async def main():
        far = asyncio.get_running_loop().create_future()
        server = await streams.start_server(
            lambda *ends: far.set_result(ends), "127.0.0.1", 0, limit=1000
        )
        near = await streams.open_connection(*server.sockets[0].getsockname())
        far = await far
        results = await asyncio.gather(
            send(near[1], 3_000_000), receive(far[0]), send(far[1], 3_000_000), receive(near[0])
        )
        assert results[0] == results[1] and results[2] == results[3]
        for _, writer in (near, far):
            writer.close()
            await writer.wait_closed()
        server.close()

    rasyncio.run(main())


async def between(log, module, act, read=lambda reader: reader.read(100)):
    """`act` runs after the event that wakes a task which reads, and before the task does."""
    loop = asyncio.get_running_loop()
    one, other = socket.socketpair()
    hint, hinted = socket.socketpair()
    reader, writer = await module.open_connection(sock=one)
    task = loop.create_task(outcome(log, read(reader)))
    await turns()
    happened = loop.create_future()

    def event():
        loop.remove_reader(hinted)
        act(reader, writer, task)
        happened.set_result(None)

    loop.add_reader(hinted, event)
    # Ready in this order, hence told in this order.
    other.send(b"data\n")
    hint.send(b"now")
    await happened
    try:
        await task
    except asyncio.CancelledError as error:
        log("cancelled", error)
    return reader, writer, other, (hint, hinted)


async def the_end(log, reader, writer, other, hints):
    log(bytes(reader._buffer), reader.at_eof(), writer.is_closing())
    for sock in (other, *hints):
        sock.close()
    await outcome(log, reader.read())
    writer.close()
    await turns()


ACTS = {
    "nothing": lambda reader, writer, task: None,
    "cancel": lambda reader, writer, task: task.cancel(),
    "pause": lambda reader, writer, task: writer.transport.pause_reading(),
    "close": lambda reader, writer, task: writer.close(),
    "abort": lambda reader, writer, task: writer.transport.abort(),
    "feed_data": lambda reader, writer, task: reader.feed_data(b" and more"),
    "feed_eof": lambda reader, writer, task: reader.feed_eof(),
    "fail": lambda reader, writer, task: reader.set_exception(ValueError("expected")),
    "set_protocol": lambda reader, writer, task: writer.transport.set_protocol(
        asyncio.Protocol()
    ),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("method", ["read", "readline", "readexactly"])
def test_what_happens_between_the_event_and_the_reading(act, method):
    reads = {
        "read": lambda reader: reader.read(3),
        "readline": lambda reader: reader.readline(),
        "readexactly": lambda reader: reader.readexactly(2),
    }

    async def scenario(log, module):
        reader, writer, other, hints = await between(log, module, ACTS[act], reads[method])
        writer.transport.resume_reading()
        if act == "set_protocol":
            reader.feed_eof()
        await the_end(log, reader, writer, other, hints)

    same(scenario)


def test_another_one_reads_what_a_task_was_woken_for():
    async def scenario(log, module):
        others = []

        def steal(reader, writer, task):
            stolen = outcome(log, reader.read(3))
            others.append(stolen)
            try:
                stolen.send(None)
            except StopIteration:
                log("at once")

        reader, writer, other, hints = await between(
            log, module, steal, lambda reader: reader.readexactly(1)
        )
        await the_end(log, reader, writer, other, hints)

    same(scenario)


def test_a_protocol_that_sees_everything_first():
    async def scenario(log, module):
        class Seeing(module.StreamReaderProtocol):
            def data_received(self, data):
                log("data", data, asyncio.current_task() is None)
                super().data_received(data)

            def eof_received(self):
                log("eof", asyncio.current_task() is None)
                return super().eof_received()

        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        reader = module.StreamReader()
        transport, _ = await loop.create_connection(lambda: Seeing(reader), sock=one)
        task = loop.create_task(reader.read(10))
        await turns()
        other.send(b"data")
        log(await task)
        task = loop.create_task(reader.read(10))
        await turns()
        other.close()
        log(await task)
        transport.close()

    same(scenario)


def test_a_connection_that_breaks_while_a_task_reads():
    async def scenario(log, module):
        server = await module.start_server(
            lambda reader, writer: hold.append((reader, writer)), "127.0.0.1", 0
        )
        hold = []
        theirs = socket.create_connection(server.sockets[0].getsockname())
        while not hold:
            await asyncio.sleep(0)
        [(reader, writer)] = hold
        task = asyncio.ensure_future(outcome(log, reader.read(10)))
        await turns()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        await task
        await outcome(log, reader.read(10))
        log(writer.is_closing())
        server.close()

    same(scenario)


def test_lines_that_are_left_make_the_transport_pause():
    async def scenario(log, module):
        one, other = socket.socketpair()
        other.setblocking(False)
        reader, writer = await module.open_connection(sock=one, limit=1000)
        task = asyncio.ensure_future(reader.readline())
        await turns()
        other.send(b"a line\n" * 1000)
        log(await task, writer.transport.is_reading())
        for _ in range(999):
            await reader.readline()
        log(bytes(reader._buffer), writer.transport.is_reading())
        other.close()
        log(await reader.readline())
        writer.close()

    same(scenario)
