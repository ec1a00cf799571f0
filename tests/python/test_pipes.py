"""Transports of pipes: what the protocol is told, and when, whatever is at the other end."""

import asyncio
import contextvars
import fcntl
import gc
import logging
import os
import pty
import re
import socket
import tty
import warnings

import pytest
from _sockets import Recorder, run, same, settled, turns

import rasyncio


def fails(self):
    raise ValueError("expected")


def without_number(text):
    return re.sub(r"(name=|pipe )\d+", r"\1N", text)


def opened(fd, mode):
    return open(fd, mode, buffering=0)


async def reading(log, pipe=None, /, **then):
    """A recorder that reads a pipe, and the descriptor to write to."""
    reader, writer = os.pipe() if pipe is None else pipe
    loop = asyncio.get_running_loop()
    _, recorder = await loop.connect_read_pipe(lambda: Recorder(log, **then), opened(reader, "rb"))
    return recorder, writer


async def writing(log, pipe=None, /, **then):
    """A recorder that writes to a pipe, and the descriptor to read from, which does not block."""
    reader, writer = os.pipe() if pipe is None else pipe
    os.set_blocking(reader, False)
    loop = asyncio.get_running_loop()
    _, recorder = await loop.connect_write_pipe(lambda: Recorder(log, **then), opened(writer, "wb"))
    return recorder, reader


def drained(fd):
    """All that is in the pipe now."""
    found = b""
    try:
        while data := os.read(fd, 1 << 20):
            found += data
    except BlockingIOError:
        pass
    return found


def test_what_comes_through_a_pipe_and_its_end():
    async def scenario(log):
        recorder, writer = await reading(log)
        os.write(writer, b"one")
        await settled()
        os.write(writer, b"two")
        os.close(writer)
        await recorder.lost
        await turns()
        log(recorder.transport, bytes(recorder.received))

    lines = same(scenario)
    assert lines[-1].endswith("b'onetwo'")
    assert lines.index("eof_received") < lines.index("connection_lost None")


def test_reading_paused_and_resumed():
    async def scenario(log):
        recorder, writer = await reading(log)
        transport = recorder.transport
        log(transport.is_reading())
        transport.pause_reading()
        transport.pause_reading()
        os.write(writer, b"later")
        await settled()
        log(transport, transport.is_reading())
        transport.resume_reading()
        transport.resume_reading()
        await settled()
        log(transport)
        transport.close()
        transport.close()
        transport.resume_reading()
        log(transport, transport.is_closing(), transport.is_reading())
        await recorder.lost
        os.close(writer)

    assert "data_received b'later'" in same(scenario)


def test_paused_in_connection_made():
    async def scenario(log):
        recorder, writer = await reading(
            log, connection_made=lambda self: self.transport.pause_reading()
        )
        os.write(writer, b"data")
        await settled()
        log(recorder.transport)
        recorder.transport.resume_reading()
        await settled()
        os.close(writer)
        await recorder.lost

    same(scenario)


@pytest.mark.parametrize("method", ["connection_made", "data_received", "eof_received"])
def test_a_reader_that_raises_is_reported_and_stays(method):
    async def scenario(log):
        recorder, writer = await reading(log, **{method: fails})
        os.write(writer, b"data")
        await settled()
        log(recorder.transport.is_closing())
        os.write(writer, b"more")
        os.close(writer)
        log(await recorder.lost)

    def without_names(lines):
        # Which callback it was is said in other words.
        return [line.split("Exception in callback")[0] for line in lines]

    ours = run(scenario, rasyncio.new_event_loop)
    assert without_names(ours) == without_names(run(scenario, asyncio.SelectorEventLoop))
    assert any("ValueError(expected)" in line for line in ours)


def test_writes_wait_for_room_and_go_out_in_order():
    async def scenario(log):
        recorder, reader = await writing(log)
        transport = recorder.transport
        sent = b"".join(bytes([number]) * 50_000 for number in range(10))
        for number in range(10):
            transport.write(sent[number * 50_000 : (number + 1) * 50_000])
        log(transport, transport.get_write_buffer_size())
        transport.writelines([b"the ", bytearray(b"end"), memoryview(b".")])
        transport.write(b"")
        transport.write(bytearray())
        got = b""
        while transport.get_write_buffer_size():
            got += drained(reader)
            await asyncio.sleep(0)
        got += drained(reader)
        log(got == sent + b"the end.", transport)
        transport.close()
        log(await recorder.lost, drained(reader))
        os.close(reader)

    lines = same(scenario)
    assert lines.count("pause_writing") == lines.count("resume_writing") == 1


def test_writing_resumes_only_when_nothing_waits():
    async def scenario(log):
        recorder, reader = await writing(log)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        transport = recorder.transport
        transport.set_write_buffer_limits(high=20_000, low=10_000)
        log(transport.get_write_buffer_limits())
        transport.write(bytes(30_000))
        while size := transport.get_write_buffer_size():
            log(size)
            drained(reader)
            await settled()
        transport.abort()
        await recorder.lost
        os.close(reader)

    same(scenario)


def test_water_marks_that_are_wrong():
    async def scenario(log):
        recorder, reader = await writing(log)
        transport = recorder.transport
        for given in [{"high": 5, "low": 6}, {"high": -1}, {"low": -1}]:
            try:
                transport.set_write_buffer_limits(**given)
            except ValueError as error:
                log(error)
        transport.set_write_buffer_limits(high=0)
        log(transport.get_write_buffer_limits())
        transport.close()
        await recorder.lost
        os.close(reader)

    same(scenario)


@pytest.mark.parametrize("end", ["close", "write_eof"])
def test_closing_with_something_waiting_writes_it_first(end):
    async def scenario(log):
        recorder, reader = await writing(log)
        transport = recorder.transport
        transport.write(bytes(200_000))
        log(transport.can_write_eof())
        getattr(transport, end)()
        getattr(transport, end)()
        log(transport, transport.is_closing())
        transport.write(b"refused")
        got = 0
        while not recorder.lost.done():
            got += len(drained(reader))
            await asyncio.sleep(0)
        log(got + len(drained(reader)), transport)
        os.close(reader)

    assert "200000 <_UnixWritePipeTransport closed fd=N closed>" in same(scenario)


@pytest.mark.parametrize("waiting", [0, 200_000])
def test_a_reader_that_goes_is_noticed(waiting):
    async def scenario(log):
        recorder, reader = await writing(log)
        recorder.transport.write(bytes(waiting))
        os.close(reader)
        log(await recorder.lost)
        await turns()
        log(recorder.transport)

    lost = "connection_lost BrokenPipeError()" if waiting else "connection_lost None"
    assert lost in same(scenario)


def test_a_reader_that_goes_while_the_rest_is_being_written():
    async def scenario(log):
        recorder, reader = await writing(log)
        recorder.transport.write(bytes(200_000))
        recorder.transport.close()
        await turns()
        os.close(reader)
        log(await recorder.lost)

    assert "connection_lost BrokenPipeError()" in same(scenario)


def test_a_write_that_fails_ends_it():
    async def scenario(log):
        recorder, reader = await writing(log)
        os.close(reader)
        recorder.transport.write(b"to nobody")
        log(recorder.transport, recorder.transport._conn_lost)
        log(type(await recorder.lost).__name__)

    same(scenario)


def test_writes_after_the_end_are_warned_about(caplog):
    async def scenario(log):
        caplog.clear()
        recorder, reader = await writing(log)
        recorder.transport.close()
        for _ in range(7):
            recorder.transport.write(b"lost")
            recorder.transport.write(b"")
        log(recorder.transport._conn_lost)
        log([record.getMessage() for record in caplog.records])
        await recorder.lost
        os.close(reader)

    with caplog.at_level(logging.WARNING, "asyncio"):
        assert "raised exception" in same(scenario)[-2]


def test_what_cannot_be_written():
    async def scenario(log):
        recorder, reader = await writing(log)
        for wrong in ["text", 5, None, [b"x"]]:
            try:
                recorder.transport.write(wrong)
            except AssertionError as error:
                log(error)
        recorder.transport.write(memoryview(b"gaps and gaps")[::2])
        log(type(await recorder.lost).__name__)
        os.close(reader)

    assert "'text'" in "".join(same(scenario))


def test_abort_drops_what_waits():
    async def scenario(log):
        recorder, reader = await writing(log)
        recorder.transport.write(bytes(200_000))
        recorder.transport.abort()
        log(recorder.transport, recorder.transport.get_write_buffer_size())
        log(await recorder.lost, len(drained(reader)) < 200_000)
        os.close(reader)

    same(scenario)


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing", "connection_lost"])
def test_a_writer_that_raises(method):
    async def scenario(log):
        recorder, reader = await writing(log, **{method: fails})
        recorder.transport.write(bytes(200_000))
        while recorder.transport.get_write_buffer_size():
            drained(reader)
            await settled()
        recorder.transport.close()
        await recorder.lost
        await turns()
        log(recorder.transport)
        os.close(reader)

    def without_names(lines):
        return [line.split("Exception in callback")[0] for line in lines]

    ours = run(scenario, rasyncio.new_event_loop)
    assert without_names(ours) == without_names(run(scenario, asyncio.SelectorEventLoop))
    assert any("ValueError(expected)" in line for line in ours)


def test_a_socket_can_be_either_end():
    async def scenario(log):
        one, other = socket.socketpair()
        recorder, _ = await reading(log, (one.detach(), None))
        writer, _ = await writing(log, (os.open("/dev/null", os.O_RDONLY), other.detach()))
        writer.transport.write(b"through a socket")
        await settled()
        writer.transport.close()
        await writer.lost
        log(await recorder.lost)

    assert "data_received b'through a socket'" in same(scenario)


def test_a_fifo_by_name(tmp_path):
    async def scenario(log):
        path = tmp_path / "fifo"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        recorder, _ = await reading(log, (reader, None))
        writer = open(path, "wb", buffering=0)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(lambda: Recorder(log), writer)
        log(transport.get_extra_info("pipe") is writer, transport.get_extra_info("none", 5))
        transport.write(b"named")
        transport.close()
        await protocol.lost
        log(await recorder.lost)
        os.unlink(path)

    same(scenario)


def test_a_terminal():
    async def scenario(log):
        master, slave = pty.openpty()
        tty.setraw(slave)
        recorder, _ = await reading(log, (master, None))
        writer, _ = await writing(log, (os.open("/dev/null", os.O_RDONLY), slave))
        writer.transport.write(b"typed")
        while not recorder.received:
            await asyncio.sleep(0.001)
        log(writer.transport)
        writer.transport.close()
        await writer.lost
        # The last one that had the terminal open has gone: that is an error, and no news.
        log(await recorder.lost)

    assert "data_received b'typed'" in same(scenario)


@pytest.mark.filterwarnings("ignore")  # stock's own, of transports that were never made
def test_what_is_no_pipe():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        for connect in [loop.connect_read_pipe, loop.connect_write_pipe]:
            with open("/proc/self/exe", "rb") as file:
                try:
                    await connect(lambda: Recorder(log), file)
                except ValueError as error:
                    log(error)
            for wrong in [5, None, file]:
                try:
                    await connect(lambda: Recorder(log), wrong)
                except (AttributeError, ValueError) as error:
                    log(error)

    same(scenario)


def test_a_descriptor_that_is_closed_already():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        os.close(writer)
        os.close(reader)

        class Pipe:
            def fileno(self):
                return reader

            def close(self):
                pass

        for connect in [loop.connect_read_pipe, loop.connect_write_pipe]:
            try:
                await connect(lambda: Recorder(log), Pipe())
            except OSError as error:
                log(error)

    assert "[Errno 9] Bad file descriptor" in "".join(same(scenario))


def test_anything_with_a_number_is_a_pipe():
    async def scenario(log):
        reader, writer = os.pipe()

        class Pipe:
            def fileno(self):
                return reader

            def close(self):
                log("closed")
                os.close(reader)

        loop = asyncio.get_running_loop()
        _, recorder = await loop.connect_read_pipe(lambda: Recorder(log), Pipe())
        os.write(writer, b"data")
        os.close(writer)
        await recorder.lost
        await turns()

    assert same(scenario)[-1] == "closed"


def test_another_protocol():
    async def scenario(log):
        recorder, writer = await reading(log)
        other = Recorder(log)
        transport = recorder.transport
        transport.set_protocol(other)
        log(transport.get_protocol() is other)
        os.write(writer, b"for the other")
        os.close(writer)
        log(await other.lost, bytes(other.received), bytes(recorder.received))
        await turns()
        log(transport.get_protocol())

    same(scenario)


def test_callbacks_have_the_context_of_who_connected():
    variable = contextvars.ContextVar("variable", default="none")

    async def scenario(log):
        variable.set("connecting")
        recorder, writer = await reading(
            log,
            data_received=lambda self: log(variable.get()),
            connection_lost=lambda self: log(variable.get()),
        )
        variable.set("afterwards")
        os.write(writer, b"data")
        os.close(writer)
        await recorder.lost

    assert same(scenario).count("connecting") == 2


def test_classes_and_attributes():
    async def scenario(log):
        recorder, writer = await reading(log)
        transport = recorder.transport
        log(isinstance(transport, asyncio.ReadTransport))
        log(isinstance(transport, asyncio.WriteTransport))
        log(hasattr(transport, "write"), hasattr(transport, "abort"))
        transport.close()
        await recorder.lost
        os.close(writer)
        recorder, reader = await writing(log)
        transport = recorder.transport
        log(isinstance(transport, asyncio.WriteTransport), isinstance(transport, asyncio.Transport))
        for method in [transport.pause_reading, transport.is_reading]:
            try:
                method()
            except NotImplementedError as error:
                log(type(error).__name__)
        transport.close()
        await recorder.lost
        os.close(reader)

    same(scenario)


@pytest.mark.parametrize("connect", [reading, writing])
def test_one_that_is_forgotten_is_closed_with_a_warning(connect):
    async def scenario(log):
        recorder, other = await connect(log)
        asyncio.get_running_loop()._remove_reader(recorder.transport._fileno)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del recorder
            await turns()
            gc.collect()
        log(*[without_number(f"{entry.category.__name__}: {entry.message}") for entry in caught])
        os.close(other)

    assert "ResourceWarning: unclosed transport" in same(scenario)[-1]


def test_debug_mode_says_what_happens(caplog):
    async def scenario(log):
        asyncio.get_running_loop().set_debug(True)
        caplog.clear()
        recorder, writer = await reading(log)
        recorder.transport.pause_reading()
        recorder.transport.resume_reading()
        os.write(writer, b"data")
        await settled()
        os.close(writer)
        await recorder.lost
        recorder, reader = await writing(log)
        recorder.transport.write(bytes(200_000))
        os.close(reader)
        await recorder.lost
        for record in caplog.records:
            text = without_number(record.getMessage().split(" at 0x")[0])
            if not text.startswith("Executing"):  # which is slow on a busy machine
                log(record.levelname, text)

    with caplog.at_level(logging.DEBUG, "asyncio"):
        lines = same(scenario)
    assert any("was closed by peer" in line for line in lines)
    assert any("pauses reading" in line for line in lines)


def test_many_transports_leave_no_descriptor():
    def count():
        return len(os.listdir("/proc/self/fd"))

    async def main():
        before = count()
        for number in range(1000):
            recorder, reader = await writing(lambda *what: None)
            other, writer = await reading(lambda *what: None)
            recorder.transport.write(b"data")
            os.write(writer, b"data")
            if number % 2:
                recorder.transport.abort()
                other.transport.close()
            else:
                os.close(reader)
            os.close(writer)
            await recorder.lost
            await other.lost
            if number % 2:
                os.close(reader)
        await turns()
        assert count() == before

    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        runner.run(main())
