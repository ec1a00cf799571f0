"""Scenarios about one connection, run on stock asyncio's loop and on ours: the logs must be equal."""

import asyncio
import re
import socket


class Log(list):
    """What happened, in order."""

    def __call__(self, *what):
        self.append(" ".join(map(told, what)))


def told(value):
    if isinstance(value, (bytes, bytearray)) and len(value) > 40:
        return f"{len(value)} bytes"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}({value})"
    # Where a callback of the standard library's was defined is its own business.
    return re.sub(r" at \S+\.py:\d+", "", re.sub(r"fd=\d+", "fd=N", str(value)))


class Recorder(asyncio.Protocol):
    """A protocol that logs; `then` maps a method's name to what is done in it."""

    def __init__(self, log, **then):
        self.log = log
        self.then = then
        self.lost = asyncio.get_running_loop().create_future()
        self.received = bytearray()

    def _told(self, name, *what):
        self.log(name, *what)
        if name in self.then:
            return self.then[name](self)

    def connection_made(self, transport):
        self.transport = transport
        return self._told("connection_made", transport)

    def data_received(self, data):
        self.received += data
        return self._told("data_received", data)

    def eof_received(self):
        return self._told("eof_received")

    def pause_writing(self):
        return self._told("pause_writing")

    def resume_writing(self):
        return self._told("resume_writing")

    def connection_lost(self, exc):
        self.lost.set_result(exc)
        return self._told("connection_lost", exc)


class Buffered(Recorder, asyncio.BufferedProtocol):
    """The same by BufferedProtocol."""

    def __init__(self, log, size=65536, **then):
        super().__init__(log, **then)
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint):
        self._told("get_buffer", sizehint)
        return self.then.get("buffer", lambda self: self.buffer)(self)

    def buffer_updated(self, count):
        self.received += self.buffer[:count]
        return self._told("buffer_updated", count)


async def connected(log, protocol=Recorder, /, **then):
    """A recorder over one end of a socket pair, and the other end, which does not block."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    _, recorder = await loop.create_connection(lambda: protocol(log, **then), sock=ours)
    return recorder, theirs


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def settled():
    """Long enough for what is ready to be read and written."""
    await asyncio.sleep(0.02)


def run(scenario, factory):
    log = Log()

    def handler(loop, context):
        context.pop("transport", None)
        context.pop("protocol", None)
        context.pop("handle", None)
        log("handler:", sorted(context), context["message"], context.get("exception"))

    async def main():
        asyncio.get_running_loop().set_exception_handler(handler)
        try:
            await scenario(log)
        except Exception as error:
            log("raised", error)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    return list(log)


def same(scenario):
    """Runs it both ways, and answers the log."""
    import rasyncio

    ours = run(scenario, rasyncio.new_event_loop)
    assert ours == run(scenario, asyncio.SelectorEventLoop)
    return ours
