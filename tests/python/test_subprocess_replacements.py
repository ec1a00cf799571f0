"""What a program may put in the place of asyncio's and `subprocess`'s own: `Popen`, `waitpid`, child watchers."""

import asyncio
import os
import subprocess
import sys

import pytest
from _sockets import same
from _subprocesses import PIPE, ours


def test_the_transport_knows_its_popen():
    async def scenario():
        process = await asyncio.create_subprocess_exec("true")
        popen = process._transport.get_extra_info("subprocess")
        assert isinstance(popen, subprocess.Popen) and popen.pid == process.pid
        assert await process.wait() == popen.returncode == 0

    ours(scenario)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there are no child watchers any more")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_watcher_of_the_programs_own_is_asked():
    asked = []

    class Watcher(asyncio.ThreadedChildWatcher):
        def add_child_handler(self, pid, callback, *arguments):
            asked.append(pid)
            super().add_child_handler(pid, callback, *arguments)

    async def scenario():
        process = await asyncio.create_subprocess_shell("exit 4")
        assert await process.wait() == 4
        assert asked == [process.pid]

    policy = asyncio.get_event_loop_policy()
    before = policy._watcher
    watcher = Watcher()
    asyncio.set_child_watcher(watcher)
    try:
        ours(scenario)
    finally:
        watcher.close()
        policy._watcher = before


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there are no child watchers any more")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_watcher_that_is_not_active_refuses():
    class Inactive(asyncio.ThreadedChildWatcher):
        def is_active(self):
            return False

    async def scenario(log):
        try:
            await asyncio.create_subprocess_exec("true")
        except RuntimeError as error:
            log(error)

    policy = asyncio.get_event_loop_policy()
    before = policy._watcher
    policy._watcher = Inactive()
    try:
        assert "not activated" in same(scenario)[0]
    finally:
        policy._watcher = before


@pytest.mark.parametrize(
    ("answer", "returncode"),
    [((0, 0), 0), ((0, 3 << 8), 3), ((0, 9), -9), (ChildProcessError(), 255), (OSError("odd"), 5)],
    ids=repr,
)
def test_a_waitpid_of_the_programs_own_is_asked(answer, returncode, monkeypatch):
    asked = []
    real = os.waitpid

    def waitpid(pid, options):
        asked.append(options)
        real(pid, options)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scenario():
        failures = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: failures.append(context["exception"]))
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
        with monkeypatch.context() as patched:
            patched.setattr(os, "waitpid", waitpid)
            process.stdin.close()
            while not asked:
                await asyncio.sleep(0)
        if type(answer) is OSError:  # as for asyncio, the process has not ended then
            assert failures == [answer]
            process._transport._process_exited(5)
        return await process.wait()

    assert ours(scenario) == returncode


def test_how_a_process_was_started_cannot_be_seen_from_its_popen():
    async def scenario(log):
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        popen = process._transport._proc
        log(isinstance(popen, subprocess.Popen), type(popen).__name__, type(popen).__module__)
        log(popen.args, popen.returncode, popen.stdin.mode, popen.stdout.mode, popen.stderr)
        told = process._transport.get_extra_info("subprocess")
        log(told is popen, type(popen) is subprocess.Popen, sorted(vars(popen)))
        log(popen.universal_newlines, popen.poll(), hasattr(popen, "no_such_name"))
        await process.communicate(b"")
        log(popen.returncode, popen.wait())

    same(scenario)


def test_an_unknown_name_of_a_popen_is_an_attribute_error():
    async def scenario(log):
        process = await asyncio.create_subprocess_exec("true")
        try:
            process._transport._proc.no_such_name
        except AttributeError as error:
            log(error)
        await process.wait()

    same(scenario)


def test_a_popen_of_the_programs_own_starts_the_process(monkeypatch):
    made = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **keywords):
            made.append(keywords["stdout"])
            super().__init__(*args, **keywords)

    async def scenario():
        process = await asyncio.create_subprocess_exec("true", stdout=PIPE)
        await process.communicate()
        assert made == [PIPE]

    monkeypatch.setattr(subprocess, "Popen", Popen)
    ours(scenario)


@pytest.mark.parametrize("name", ["__init__", "_execute_child"])
def test_a_replaced_method_of_popen_is_called(name, monkeypatch):
    called = []
    real = getattr(subprocess.Popen, name)

    def replaced(self, *args, **keywords):
        called.append(name)
        return real(self, *args, **keywords)

    async def scenario():
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0

    monkeypatch.setattr(subprocess.Popen, name, replaced)
    ours(scenario)
    assert called == [name]


def test_audit_hooks_hear_of_a_process():
    program = (
        "import asyncio, sys\n"
        "events = []\n"
        "sys.addaudithook(lambda event, arguments: events.append((event, arguments))\n"
        "    if event in ('subprocess.Popen', 'os.posix_spawn') else None)\n"
        "async def main():\n"
        "    process = await asyncio.create_subprocess_exec('/bin/true', env={'A': 'b'})\n"
        "    await process.wait()\n"
        "asyncio.run(main())\n"
        "print(events)\n"
    )

    def told(prelude):
        command = [sys.executable, "-c", prelude + program]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    events = told("import rasyncio; rasyncio.install()\n")
    assert events == told("") and "subprocess.Popen" in events
