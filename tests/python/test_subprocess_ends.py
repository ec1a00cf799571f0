"""The end of a child process: who waits for it, who else reaps it, and that nothing of it is left."""

import asyncio
import gc
import os
import resource
import signal
import threading
import warnings

import pytest
from _sockets import same, settled
from _subprocesses import _others  # noqa: F401: a fixture, for each test
from _subprocesses import PIPE, children, descriptors, ours


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
