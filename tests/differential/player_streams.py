"""Plays programs of the family "streams", see `generate_streams`."""

import builtins

from .generate_streams import AT_ONCE, AWAITED, CONNECTIONS
from .player import Boom, describe
from .player_sync import SyncPlayer


class Transport:
    """What a connection's other side would be: it notes what it is told."""

    def __init__(self, note, stubborn):
        self.note = note
        self.stubborn = stubborn
        self.closing = False

    def __repr__(self):
        return "<Transport>"

    def pause_reading(self):
        self.note("pause_reading")
        if self.stubborn:
            raise NotImplementedError

    def resume_reading(self):
        self.note("resume_reading")

    def write(self, data):
        self.note("write", bytes(data))

    def writelines(self, chunks):
        self.note("writelines", list(chunks))

    def write_eof(self):
        self.note("write_eof")

    def close(self):
        self.note("close")
        self.closing = True

    def is_closing(self):
        return self.closing

    def get_extra_info(self, name, default=None):
        return default


class Connection:
    def __init__(self, player, number):
        aio, program = player.aio, player.program
        self.name = f"connection {number}"
        self.reader = aio.StreamReader(program["limit"], loop=player.loop)
        self.protocol = aio.StreamReaderProtocol(self.reader, loop=player.loop)
        self.note = player.note
        self.transport = Transport(self.told, program["transport"] == "stubborn")
        if program["transport"] != "none":
            self.protocol.connection_made(self.transport)
        self.writer = aio.StreamWriter(self.transport, self.protocol, self.reader, player.loop)
        #: How many tasks are in the middle of reading.
        self.readers = 0
        #: Somebody reads to the end, or was cancelled at that. Stock asyncio then has what came somewhere else
        #: than in the buffer, pauses at other times, and may lose it.
        self.to_the_end = False

    def told(self, *what):
        if not self.to_the_end or what[0] not in ("pause_reading", "resume_reading"):
            self.note(self.name, "is told", *what)

    def state(self):
        reader = self.reader
        error = reader.exception()
        return (
            "" if self.to_the_end else bytes(reader._buffer),
            "at the end" if not self.to_the_end and reader.at_eof() else "",
            describe(error) if error is not None else "",
            "paused" if reader._paused and not self.to_the_end else "",
            "waits" if reader._waiter is not None else "",
        )


class StreamsPlayer(SyncPlayer):
    def play(self, loop):
        self.loop = loop
        self.start = loop.time()
        self.connections = [Connection(self, number) for number in range(CONNECTIONS)]
        return super().play(loop)

    async def come_to_rest(self):
        await super().come_to_rest()
        for connection in self.connections:
            self.note(connection.name, *connection.state())

    async def steps(self, script, name, limit):
        for step in script:
            if step[0] in AWAITED:
                await self.perform(name, step)
            elif step[0] in AT_ONCE:
                self.perform_now(name, step)
            else:
                await getattr(self, f"do_{step[0]}")(name, limit, *step[1:])

    async def perform(self, name, step, awaitable=None):
        told = f"{step[0]} of {step[1]}"
        try:
            result = await (awaitable if awaitable is not None else self.begin(step))
        except self.aio.CancelledError as error:
            self.note(name, told, "cancelled", error.args)
            raise
        except Exception as error:
            kept = getattr(error, "partial", getattr(error, "consumed", ""))
            self.note(name, told, "raised", describe(error), kept)
        else:
            self.note(name, told, "gave", result if result is None else bytes(result))

    def begin(self, step):
        """The coroutine of a step in `AWAITED`."""
        kind, number, *arguments = step
        connection = self.connections[number]
        if kind in ("drain", "wait_closed"):
            return getattr(connection.writer, kind)()
        return self.alone(connection, kind, arguments)

    async def alone(self, connection, kind, arguments):
        """Reads, unless another one has been woken and has not gone on.

        If its data is taken away then, stock asyncio's answers as if the end had come. And a refused reading to
        the end has taken data away.
        """
        between = connection.reader._waiter is None or kind == "read_all"
        if connection.to_the_end or (connection.readers and between):
            return b"somebody reads"
        connection.readers += 1
        try:
            if kind == "read_all":
                connection.to_the_end = True
                return await connection.reader.read()
            if kind == "lines":
                return await lines(connection.reader, *arguments)
            return await getattr(connection.reader, kind)(*arguments)
        finally:
            connection.readers -= 1

    def perform_now(self, name, step):
        kind, number, *arguments = step
        connection = self.connections[number]
        try:
            result = getattr(self, f"now_{kind}")(connection, *arguments)
        except Exception as error:
            self.note(name, kind, number, "raised", describe(error))
        else:
            self.note(name, kind, number, result, connection.state() if kind == "look" else "")

    def now_look(self, connection):
        return repr(connection.reader).rpartition(" object at")[0]

    def now_feed(self, connection, data, kind):
        return connection.reader.feed_data(getattr(builtins, kind)(data))

    def now_received(self, connection, data, kind):
        return connection.protocol.data_received(getattr(builtins, kind)(data))

    def now_feed_eof(self, connection):
        return connection.reader.feed_eof()

    def now_fail(self, connection):
        return connection.reader.set_exception(Boom("fail"))

    def now_eof_received(self, connection):
        return connection.protocol.eof_received()

    def now_pause_writing(self, connection):
        return connection.protocol.pause_writing()

    def now_resume_writing(self, connection):
        return connection.protocol.resume_writing()

    def now_lost(self, connection, error):
        return connection.protocol.connection_lost(Boom("lost") if error else None)

    def now_write(self, connection, data):
        return connection.writer.write(data)

    def now_writelines(self, connection, chunks):
        return connection.writer.writelines(chunks)

    def now_write_eof(self, connection):
        return connection.writer.write_eof()

    def now_close(self, connection):
        return connection.writer.close()

    # Steps that hold others -----------------------------------------------------------------------

    async def do_within(self, name, limit, delay, step):
        delay = None if delay is None else delay * self.unit
        await self.perform(name, step, self.aio.wait_for(self.begin(step), delay))

    async def do_limited(self, name, limit, delay, step):
        await self.do_timeout(name, limit, delay, [step])

    async def do_task(self, name, limit, label, step):
        child = self.new_name(label)
        self.tasks[label] = self.aio.create_task(self.run([step], child), name=child)

    async def do_call_soon(self, name, limit, step):
        self.loop.call_soon(self.perform_now, f"callback of {name}", step)

    async def do_call_later(self, name, limit, delay, step):
        self.loop.call_later(delay * self.unit, self.perform_now, f"callback of {name}", step)


async def lines(reader, count):
    found = bytearray()
    async for line in reader:
        found += line + b"|"
        count -= 1
        if not count:
            break
    return found
