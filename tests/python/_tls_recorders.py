"""What the tests of TLS transports are made of."""

import asyncio

import pytest
from _sockets import Buffered, Recorder
from _tls import server_context

import rasyncio


def ours(scenario):
    """Runs a scenario on our loop."""
    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        return runner.run(scenario())


def silent(*what):
    """No log."""


def fails(self):
    raise ValueError("expected")


class Quiet(Recorder):
    """What is told of a transport is its class: its address is another one in each run."""

    def _told(self, name, *what):
        if name == "connection_made":
            what = (type(what[0]).__name__,)
        return super()._told(name, *what)


class QuietBuffered(Quiet, Buffered):
    def __init__(self, log, size=65536, **then):
        super().__init__(log, size, **then)
        # A slice of it is no copy.
        self.buffer = memoryview(self.buffer)


KINDS = pytest.mark.parametrize("protocol", [Quiet, QuietBuffered])


async def echo_server(**options):
    async def echo(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context(), **options)
    return server, server.sockets[0].getsockname()[1]
