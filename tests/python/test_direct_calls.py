"""Native objects call each other without a look-up, but whatever replaces a method is called."""

import asyncio

import pytest
from _sockets import run, settled

import rasyncio
from rasyncio import selector_events, streams

TRANSPORT = selector_events._SelectorSocketTransport

#: What each of the replaced methods belongs to.
METHODS = {
    "data_received": (streams.StreamReaderProtocol, lambda writer, reader: writer._protocol),
    "feed_data": (streams.StreamReader, lambda writer, reader: reader),
    "exception": (streams.StreamReader, lambda writer, reader: reader),
    "write": (TRANSPORT, lambda writer, reader: writer.transport),
    "is_closing": (TRANSPORT, lambda writer, reader: writer.transport),
}

EVERY = pytest.mark.parametrize("name", METHODS)


async def converse(during):
    """A conversation with an echo server; `during` is called after its first half."""

    async def serve(reader, writer):
        while data := await asyncio.wait_for(reader.read(100), 5):
            writer.write(data)
        writer.close()

    server = await streams.start_server(serve, "127.0.0.1", 0)
    reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
    for half in range(2):
        writer.write(b"ping")
        await writer.drain()
        assert await reader.readexactly(4) == b"ping"
        if half == 0:
            during(reader, writer)
    writer.close()
    await settled()
    server.close()


@EVERY
def test_replaced_in_the_object(name):
    called = []

    def replace(reader, writer):
        owner = METHODS[name][1](writer, reader)
        original = getattr(owner, name)
        setattr(owner, name, lambda *args: called.append(name) or original(*args))

    rasyncio.run(converse(replace))
    assert called


@EVERY
def test_replaced_in_the_class(name, monkeypatch):
    called = []
    cls = METHODS[name][0]
    original = getattr(cls, name)

    def method(self, *args):
        called.append(name)
        return original(self, *args)

    rasyncio.run(converse(lambda *_: monkeypatch.setattr(cls, name, method)))
    assert called
    monkeypatch.undo()
    before = len(called)
    rasyncio.run(converse(lambda *_: None))
    assert len(called) == before


def test_overridden_in_a_subclass():
    called = []

    class Reader(streams.StreamReader):
        def feed_data(self, data):
            called.append(data)
            super().feed_data(data)

    class Protocol(streams.StreamReaderProtocol):
        def data_received(self, data):
            called.append("protocol")
            super().data_received(data)

    async def scenario(log):
        loop = asyncio.get_running_loop()

        async def serve(reader, writer):
            writer.write(b"hello")
            writer.close()

        server = await streams.start_server(serve, "127.0.0.1", 0)
        reader = Reader(loop=loop)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(lambda: Protocol(reader), *address)
        log(await reader.read())
        transport.close()
        server.close()

    assert run(scenario, rasyncio.new_event_loop) == ["b'hello'"]
    assert called == ["protocol", b"hello"]


def test_feed_data_that_raises_ends_the_connection():
    async def scenario(log):
        async def serve(reader, writer):
            writer.write(b"hello")
            await reader.read()
            writer.close()

        def fails(data):
            raise ValueError("expected")

        server = await streams.start_server(serve, "127.0.0.1", 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        reader.feed_data = fails
        try:
            log(await reader.read())
        except ValueError as error:
            log(error)
        log(writer.is_closing())
        await settled()
        server.close()

    log = run(scenario, rasyncio.new_event_loop)
    assert log[0].startswith("handler:") and "data_received() call failed" in log[0]
    assert log[1:] == ["ValueError(expected)", "True"]
