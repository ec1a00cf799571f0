"""Child processes: keywords, errors, the order of events, and that nothing of them is left."""

import asyncio
import contextvars
import gc
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import warnings

import pytest
from _sockets import run, same, settled

import rasyncio

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
SHELL = "/bin/sh"


def fails(*arguments):
    raise ValueError("expected")


def ours(scenario):
    """Runs it on our loop only, and answers what it returns."""
    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        return runner.run(scenario())


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def all_children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


#: Those that other tests have left: multiprocessing's servers stay for good.
others = set()


@pytest.fixture(autouse=True)
def _others():
    others.clear()
    others.update(all_children())


def children():
    return [child for child in all_children() if child not in others]


class Recorder(asyncio.SubprocessProtocol):
    """A protocol that logs; `then` maps a method's name to what is done in it."""

    def __init__(self, log, **then):
        self.log = log
        self.then = then
        self.lost = asyncio.get_running_loop().create_future()

    def _told(self, name, *what):
        self.log(name, *what)
        if name in self.then:
            return self.then[name](self)

    def connection_made(self, transport):
        self.transport = transport
        self._told("connection_made", type(transport).__name__)

    def pipe_data_received(self, fd, data):
        self._told("pipe_data_received", fd, data)

    def pipe_connection_lost(self, fd, exc):
        self._told("pipe_connection_lost", fd, exc)

    def process_exited(self):
        self._told("process_exited")

    def connection_lost(self, exc):
        self.lost.set_result(exc)
        self._told("connection_lost", exc)


async def started(log, line, /, then=(), **keywords):
    loop = asyncio.get_running_loop()
    _, recorder = await loop.subprocess_shell(lambda: Recorder(log, **dict(then)), line, **keywords)
    return recorder


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


@pytest.mark.parametrize(
    "keywords",
    [
        {"text": True},
        {"universal_newlines": True},
        {"bufsize": 1},
        {"encoding": "utf-8"},
        {"errors": "strict"},
        {"shell": True},
        {"nonsense": 1},
        {"startupinfo": 1},
        {"creationflags": 1},
        {"cwd": "/nowhere/at/all"},
        {"executable": "/nowhere/at/all"},
        {"pass_fds": (0,), "close_fds": False},
        {"preexec_fn": fails},
        {"user": "nobody-of-that-name"},
        {"user": -5},
        {"group": 1.5},
        {"extra_groups": "text"},
        {"umask": "text"},
        {"env": {"NAME=": "value"}},
        {"env": {1: 2}},
        {"stdin": 12345},
        {"stdout": "text"},
        {"stdout": STDOUT},
        {"stderr": -17},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_keywords_that_are_refused(keywords):
    async def scenario(log):
        before = descriptors()
        try:
            process = await asyncio.create_subprocess_exec("true", **keywords)
            log(await process.wait())
        except Exception as error:
            log(type(error).__name__, error)
        await settled()
        gc.collect()
        log("descriptors", descriptors() - before, children())

    assert same(scenario)[-1] == "descriptors 0 []"


@pytest.mark.parametrize(
    "keywords",
    [
        {"cwd": "/"},
        {"env": {"NAME": "value"}},
        {"env": {b"NAME": b"bytes"}},
        {"executable": "/bin/sh"},
        {"start_new_session": True},
        {"process_group": 0},
        {"umask": 0o77},
        {"close_fds": False},
        {"pipesize": 4096},
        {"preexec_fn": lambda: os.environ.get("NAME")},
        {"restore_signals": False},
        {"stderr": STDOUT},
        {"stderr": DEVNULL},
        {"stdin": DEVNULL},
        {"stdin": PIPE},
        {"user": os.getuid(), "group": os.getgid(), "extra_groups": [os.getgid()]},
        {"limit": 10},
    ],
    ids=str,
)
def test_keywords_that_matter_to_the_child(keywords):
    line = (
        "pwd; echo $NAME; umask; ls -l /dev/fd/ >/dev/null; echo to stderr >&2; "
        "readlink /proc/self/fd/0 | cut -c1-5; ps -o sid= >/dev/null 2>&1; id -u; cat"
    )

    async def scenario(log):
        given = {"stdout": PIPE, "stderr": PIPE, "stdin": DEVNULL, **keywords}
        process = await asyncio.create_subprocess_exec(SHELL, "-c", line, **given)
        log(await process.communicate(b"" if given["stdin"] == PIPE else None), process.returncode)

    same(scenario)


def test_arguments_of_every_kind(tmp_path):
    (tmp_path / "file").write_text("content")

    async def scenario(log):
        for arguments in [
            ("cat", tmp_path / "file"),
            (b"cat", os.fsencode(tmp_path / "file")),
            ("cat", str(tmp_path / "file").encode()),
        ]:
            process = await asyncio.create_subprocess_exec(*arguments, stdout=PIPE)
            log(await process.communicate())
        process = await asyncio.create_subprocess_shell(b"echo bytes", stdout=PIPE)
        log(await process.communicate())
        for wrong in [[], [5], [None], ["with\0zero"], ["/nowhere/at/all"], ["/etc/passwd"]]:
            try:
                await asyncio.create_subprocess_exec(*wrong)
            except (TypeError, ValueError, OSError) as error:
                log(type(error).__name__, error)
        for wrong in [5, ["echo"], None]:
            try:
                await asyncio.create_subprocess_shell(wrong)
            except ValueError as error:
                log(error)

    same(scenario)


def test_files_and_descriptors_as_streams(tmp_path):
    async def scenario(log):
        path = tmp_path / "output"
        with open(path, "wb") as output:
            process = await asyncio.create_subprocess_shell("echo to a file", stdout=output)
            log(await process.wait())
        log(path.read_bytes())
        reader, writer = os.pipe()
        passed, gets = os.pipe()
        process = await asyncio.create_subprocess_shell(
            f"cat; echo passed >&{gets}", stdin=reader, stdout=PIPE, pass_fds=(gets,)
        )
        os.close(reader)
        os.close(gets)
        os.write(writer, b"from a pipe")
        os.close(writer)
        log(await process.communicate(), os.read(passed, 100))
        os.close(passed)

    same(scenario)


def test_standard_streams_of_the_child_are_pipes():
    async def scenario(log):
        line = "cat /dev/stdin > /dev/stdout; readlink /proc/self/fd/0 /proc/self/fd/1 | cut -c1-4"
        process = await asyncio.create_subprocess_shell(line, stdin=PIPE, stdout=PIPE)
        log(await process.communicate(b"by name\n"))

    assert "by name\\npipe\\npipe" in same(scenario)[-1]


def test_several_wait_and_the_end_is_known_afterwards():
    async def scenario(log):
        process = await asyncio.create_subprocess_shell("read line", stdin=PIPE)
        waiting = [asyncio.create_task(process.wait()) for _ in range(5)]
        await settled()
        waiting[0].cancel()
        log(process.returncode)
        process.stdin.close()
        log(await asyncio.gather(*waiting, return_exceptions=True))
        log(await process.wait(), process.returncode)

    same(scenario)


def test_one_that_ends_before_anybody_waits():
    async def scenario(log):
        process = await asyncio.create_subprocess_shell("echo quick; exit 7", stdout=PIPE)
        while process.returncode is None:
            await settled()
        log(process.returncode, await process.wait(), await process.stdout.read())

    assert same(scenario)[-1] == "7 7 b'quick\\n'"


@pytest.mark.parametrize("how", ["terminate", "kill", "send_signal"])
def test_signals(how):
    async def scenario(log):
        process = await asyncio.create_subprocess_exec("sleep", "100")
        getattr(process, how)(*([signal.SIGINT] if how == "send_signal" else []))
        log(await process.wait(), process.returncode)
        try:
            getattr(process, how)(*([signal.SIGINT] if how == "send_signal" else []))
        except ProcessLookupError as error:
            log("ProcessLookupError", error)

    same(scenario)


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


def test_a_start_that_is_cancelled_leaves_nothing():
    async def scenario(log):
        before = descriptors()
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec("sleep", "100", stdin=PIPE, stdout=PIPE)
        )
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        await settled()
        log(starting.cancelled(), descriptors() - before, children())

    assert same(scenario)[-1] == "True 0 []"


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


def test_the_transport_knows_its_popen():
    async def scenario():
        process = await asyncio.create_subprocess_exec("true")
        popen = process._transport.get_extra_info("subprocess")
        assert isinstance(popen, subprocess.Popen) and popen.pid == process.pid
        assert await process.wait() == popen.returncode == 0

    ours(scenario)


def test_a_process_that_somebody_else_has_reaped(caplog):
    async def scenario():
        process = await asyncio.create_subprocess_exec("sleep", "0.1")
        os.waitpid(process.pid, 0)
        assert await process.wait() == 255
        assert "will report returncode 255" in caplog.text

    ours(scenario)


def test_one_that_was_reaped_by_its_popen_keeps_its_status(caplog):
    async def scenario():
        process = await asyncio.create_subprocess_shell("sleep 0.1; exit 9")
        process._transport.get_extra_info("subprocess").wait()
        assert await process.wait() == 9
        assert not caplog.records

    ours(scenario)


@pytest.mark.filterwarnings("ignore")
def test_closing_a_loop_with_a_live_child_leaves_no_descriptor():
    before = descriptors()

    async def scenario():
        return await asyncio.create_subprocess_exec("sleep", "100")

    process = ours(scenario)
    pid = process.pid
    os.kill(pid, signal.SIGKILL)
    process._transport._closed = True
    popen = process._transport.get_extra_info("subprocess")
    assert popen.wait() == -signal.SIGKILL
    del process, popen
    gc.collect()
    assert descriptors() == before
    assert not children()


def test_loops_of_other_threads_have_children_too():
    answers = []

    async def scenario():
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        output, _ = await process.communicate(b"from a thread")
        answers.append((output, process.returncode))

    threads = [threading.Thread(target=ours, args=(scenario,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(b"from a thread", 0)] * 4


@pytest.mark.parametrize("number", [signal.SIGCHLD, signal.SIGUSR1])
def test_signals_in_the_middle_harm_nothing(number):
    heard = []

    async def scenario():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(number, lambda: heard.append(number))
        processes = [
            await asyncio.create_subprocess_shell(
                f"kill -{int(number)} {os.getpid()}; exit {code}"
            )
            for code in range(10)
        ]
        codes = await asyncio.gather(*[process.wait() for process in processes])
        await settled()
        loop.remove_signal_handler(number)
        return codes

    assert ours(scenario) == list(range(10))
    assert heard


def test_running_out_of_descriptors_leaves_nothing():
    async def scenario():
        # What is loaded or opened at the first use.
        await (await asyncio.create_subprocess_exec("true")).wait()
        before = descriptors()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        refused = done = 0
        for room in range(12):
            filling = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (before + 20, hard))
            try:
                while True:
                    filling.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                pass
            for _ in range(room):
                os.close(filling.pop())
            try:
                process = await asyncio.create_subprocess_exec("true", stdin=PIPE, stdout=PIPE)
                await process.communicate()
                done += 1
            except OSError:
                refused += 1
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for fd in filling:
                    os.close(fd)
            await settled()
            gc.collect()
            assert descriptors() == before, room
            assert not children(), room
        assert done and refused

    ours(scenario)


def test_a_child_that_cannot_be_watched_is_ended():
    async def scenario():
        loop = asyncio.get_running_loop()
        before = descriptors()
        watched = []

        class Loop(type(loop)):
            def _watch_child(self, pid, callback):
                watched.append(pid)
                raise OSError(24, "Too many open files")

        loop.__class__ = Loop
        with pytest.raises(OSError, match="Too many open files"):
            await asyncio.create_subprocess_exec("sleep", "100", stdin=PIPE, stdout=PIPE)
        await settled()
        assert watched and descriptors() == before and not children()

    ours(scenario)


def test_thousands_in_a_row_leave_nothing():
    async def scenario():
        async def one(number):
            if number % 2:
                process = await asyncio.create_subprocess_exec("/bin/true")
                assert await process.wait() == 0
            else:
                process = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE)
                assert await process.communicate(b"data") == (b"data", None)

        await one(0)
        await one(1)
        before = descriptors()
        for start in range(0, 2000, 10):
            await asyncio.gather(*map(one, range(start, start + 10)))
        await settled()
        assert descriptors() == before
        assert not children()

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


@pytest.mark.filterwarnings("error")
def test_no_warning_of_an_ordinary_process():
    async def scenario():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
            await process.communicate(b"data")
            del process
            await settled()
            gc.collect()
        assert not caught

    ours(scenario)


def test_our_names_make_our_streams():
    async def scenario():
        process = await rasyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert isinstance(process, rasyncio.subprocess.Process)
        assert type(process.stdout) is rasyncio.StreamReader
        assert type(process.stdin) is rasyncio.StreamWriter
        assert await process.communicate(b"data") == (b"data", None)

    ours(scenario)


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


@pytest.mark.parametrize("env", [None, {"PATH": "/nowhere:/bin:/usr/bin"}, {}], ids=str)
def test_programs_are_looked_for_where_the_environment_says(env):
    async def scenario(log):
        for name in ["true", "no-such-program-at-all", "./true"]:
            try:
                process = await asyncio.create_subprocess_exec(name, env=env)
                log(name, await process.wait())
            except OSError as error:
                log(type(error).__name__, error)

    same(scenario)


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_standard_streams_that_this_process_has_closed(closed):
    program = (
        "import asyncio, os, sys\n"
        "out = os.dup(1)\n"
        f"for fd in {closed}: os.close(fd)\n"
        "async def main():\n"
        "    process = await asyncio.create_subprocess_exec('cat', stdin=-1, stdout=-1, stderr=-1)\n"
        "    return await process.communicate(b'data')\n"
        "answer = asyncio.run(main())\n"
        "os.write(out, repr(answer).encode())\n"
    )
    command = [sys.executable, "-c", "import rasyncio; rasyncio.install()\n" + program]
    done = subprocess.run(command, stdout=PIPE, stderr=PIPE, timeout=60)
    assert done.stdout == b"(b'data', b'')", done.stderr
