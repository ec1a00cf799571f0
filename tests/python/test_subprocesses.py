"""Child processes: what the protocol hears, in which order, and the streams and reprs of a process."""

import asyncio
import contextvars
import logging
import re
import sys

import pytest
from _sockets import run, same, settled
from _subprocesses import DEVNULL, PIPE, STDOUT, fails, ours, started

import rasyncio


def test_what_the_protocol_hears_and_in_which_order():
    async def scenario(log):
        recorder = await started(log, "read line; echo $line; exit 3", stderr=None)
        recorder.transport.get_pipe_transport(0).write(b"a line\n")
        await recorder.lost
        log(recorder.transport.get_returncode())

    lines = run(scenario, rasyncio.new_event_loop)
    # Whether its pipes or its end are noticed first is the system's affair.
    assert sorted(lines) == sorted(run(scenario, asyncio.SelectorEventLoop))
    assert lines[0].startswith("connection_made")
    assert lines[-2:] == ["connection_lost None", "3"]
    received = lines.index(r"pipe_data_received 1 b'a line\n'")
    assert received < lines.index("pipe_connection_lost 1 None")


def test_a_process_without_pipes():
    async def scenario(log):
        recorder = await started(log, "exit 5", stdin=None, stdout=None, stderr=None)
        log(recorder.transport.get_pipe_transport(1))
        await recorder.lost
        log(recorder.transport.get_returncode(), recorder.transport.is_closing())
        recorder.transport.close()

    assert same(scenario)[-1] == "5 False"


@pytest.mark.parametrize(
    "method",
    ["connection_made", "pipe_data_received", "pipe_connection_lost", "process_exited"],
)
def test_a_protocol_that_raises(method):
    async def scenario(log):
        recorder = await started(log, "cat", {method: fails}.items(), stderr=None)
        if method == "connection_made":
            # It has not been told of the transport.
            log("made")
        recorder.transport.get_pipe_transport(0).write(b"data")
        recorder.transport.get_pipe_transport(0).close()
        await recorder.lost

    def settled_order(lines):
        # Which pipe ends first is the child's affair.
        return sorted(line.split("Exception in callback")[0] for line in lines)

    found = run(scenario, rasyncio.new_event_loop)
    assert settled_order(found) == settled_order(run(scenario, asyncio.SelectorEventLoop))
    assert any("ValueError(expected)" in line for line in found)


def test_connection_lost_that_raises_lets_nobody_wait_for_ever():
    async def scenario(log):
        then = {"connection_lost": fails}.items()
        recorder = await started(log, "exit 1", then, stdin=None, stdout=None, stderr=None)
        log(await recorder.transport._wait())

    assert "1" in run(scenario, rasyncio.new_event_loop)


def test_communicate_with_nothing_much_and_nobody():
    async def scenario(log):
        for line, given in [
            ("cat", None),
            ("cat", b""),
            ("cat", b"x" * 300_000),
            ("exec 0<&-; sleep 0.05", b"x" * 300_000),
            ("cat >&2", b"to stderr"),
        ]:
            process = await asyncio.create_subprocess_shell(
                line, stdin=PIPE if given is not None else DEVNULL, stdout=PIPE, stderr=PIPE
            )
            output, errors = await process.communicate(given)
            log(len(output), errors, process.returncode)

    same(scenario)


def test_a_cancelled_communicate_can_be_followed_by_another():
    async def scenario(log):
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        waiting = asyncio.create_task(process.stdout.read())
        await settled()
        waiting.cancel()
        await settled()
        log(waiting.cancelled(), process.returncode)
        log(await process.communicate(b"still there"))

    same(scenario)


def test_standard_input_that_the_child_closes():
    async def scenario(log):
        process = await asyncio.create_subprocess_shell("exec 0<&-; sleep 0.1", stdin=PIPE)
        try:
            while True:
                process.stdin.write(bytes(65536))
                await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            log("noticed")
        log(await process.wait())

    assert same(scenario)[0] == "noticed"


def test_callbacks_have_the_context_of_who_started_it():
    variable = contextvars.ContextVar("variable", default="none")

    async def scenario(log):
        variable.set("starting")
        then = dict.fromkeys(
            ["process_exited", "connection_lost"], lambda self: log(variable.get())
        ).items()
        recorder = await started(log, "read line", then, stdout=None, stderr=None)
        variable.set("afterwards")
        recorder.transport.get_pipe_transport(0).close()
        await recorder.lost

    lines = run(scenario, rasyncio.new_event_loop)
    assert lines.count("starting") == 2
    if sys.version_info >= (3, 12):  # before that a thread waits, in a context of its own
        assert lines == run(scenario, asyncio.SelectorEventLoop)


def test_reprs():
    async def scenario(log):
        def told(what):
            # Which descriptors are free depends on what the collector has found meanwhile.
            return re.sub(r"fd=\d+", "fd=N", str(what).replace(str(process.pid), "PID"))

        pipes = {"stdin": PIPE, "stdout": PIPE, "stderr": STDOUT}
        process = await asyncio.create_subprocess_exec("cat", **pipes)
        log(told(process), told(process._transport), told(process._protocol._transport))
        log(told(process.stdin), type(process.stdout).__name__)
        await process.communicate(b"")
        log(told(process), told(process._transport))

    assert "<Process PID>" in same(scenario)[0]


def test_debug_mode_says_what_happens(caplog):
    async def scenario(log):
        asyncio.get_running_loop().set_debug(True)
        caplog.clear()
        process = await asyncio.create_subprocess_shell("cat", stdin=PIPE, stdout=PIPE)
        await process.communicate(b"data")
        for record in caplog.records:
            text = record.getMessage().replace(str(process.pid), "PID")
            # A thread that waits says so, too; what is slow depends on the machine.
            if not re.search("connected|^process PID exited|^Executing", text):
                log(record.levelname, text)

    with caplog.at_level(logging.DEBUG, "asyncio"):
        lines = sorted(run(scenario, rasyncio.new_event_loop))
        assert lines == sorted(run(scenario, asyncio.SelectorEventLoop))
    assert any("exited with return code 0" in line for line in lines)


def test_our_names_make_our_streams():
    async def scenario():
        process = await rasyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert isinstance(process, rasyncio.subprocess.Process)
        assert type(process.stdout) is rasyncio.StreamReader
        assert type(process.stdin) is rasyncio.StreamWriter
        assert await process.communicate(b"data") == (b"data", None)

    ours(scenario)
