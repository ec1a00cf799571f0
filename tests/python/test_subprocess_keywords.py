"""How a child process is started: keywords, arguments, and the streams that it gets."""

import asyncio
import gc
import os
import subprocess
import sys

import pytest
from _sockets import same, settled
from _subprocesses import _others  # noqa: F401: a fixture, for each test
from _subprocesses import DEVNULL, PIPE, SHELL, STDOUT, children, descriptors, fails


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
