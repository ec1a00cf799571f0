"""Streams on a connection: whole programs, and what happens while a task waits to read."""

import asyncio
import gc
import hashlib
import random
import socket
import struct
import warnings
import weakref

import pytest
from _sockets import settled, turns
from _streams import outcome, same

import rasyncio
from rasyncio import streams


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
