"""The three ways in, and what rasyncio promises beyond stock asyncio."""

import subprocess
import sys
import textwrap

import pytest
from _compare import MODULE, environment

pytestmark = pytest.mark.skipif(MODULE == "asyncio", reason="this is about rasyncio itself")


def run(*arguments, source=None, **extra):
    command = [sys.executable, *arguments]
    if source is not None:
        command += ["-c", textwrap.dedent(source)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment(**extra), stdin=subprocess.DEVNULL
    )
    return done.stdout, done.stderr, done.returncode


def printed(source):
    out, errors, code = run(source=source)
    assert (errors, code) == ("", 0)
    return out.split()


def test_run_uses_a_native_loop():
    assert printed(
        """
        import rasyncio
        async def main():
            print(type(rasyncio.get_running_loop()).__module__.partition(".")[0])
        rasyncio.run(main())
        """
    ) == ["rasyncio"]


def test_loop_factory_of_the_stock_runner():
    assert printed(
        """
        import asyncio, rasyncio
        async def main():
            loop = asyncio.get_running_loop()
            print(type(loop) is type(rasyncio.get_running_loop()), isinstance(loop, asyncio.AbstractEventLoop))
            print(type(asyncio.current_task()).__name__, len(asyncio.all_tasks()))
        with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
            runner.run(main())
        """
    ) == ["True", "True", "Task", "1"]


def test_install_and_uninstall():
    assert printed(
        """
        import asyncio, asyncio.tasks
        stock = asyncio.Task, asyncio.gather, asyncio.sleep
        import rasyncio
        rasyncio.install()
        rasyncio.install()
        print(asyncio.Task is rasyncio.Task, asyncio.tasks.Task is rasyncio.Task, rasyncio.installed())
        async def main():
            return type(asyncio.current_task()) is rasyncio.Task
        print(asyncio.run(main()))
        rasyncio.uninstall()
        print((asyncio.Task, asyncio.gather, asyncio.sleep) == stock, rasyncio.installed())
        """
    ) == ["True", "True", "True", "True", "True", "False"]


def test_install_that_comes_too_late_is_refused():
    assert printed(
        """
        import asyncio, rasyncio
        async def main():
            try:
                rasyncio.install()
            except RuntimeError as error:
                print("running" in str(error), rasyncio.installed())
        asyncio.run(main())
        """
    ) == ["True", "False"]


def test_what_was_imported_before_install_still_works():
    assert printed(
        """
        from asyncio import create_task, gather, run, sleep, Future, Event, TaskGroup, timeout, wait_for
        import rasyncio
        rasyncio.install()
        async def work(number):
            await sleep(0)
            return number
        async def main():
            event = Event()
            task = create_task(event.wait())
            await sleep(0)
            event.set()
            print(await task, await gather(work(1), work(2)), await wait_for(work(3), 60))
            async with timeout(60), TaskGroup() as group:
                task = group.create_task(work(4))
            print(task.result())
        run(main())
        """
    ) == ["True", "[1,", "2]", "3", "4"]


def test_exceptions_are_the_standard_library_s():
    assert printed(
        """
        import asyncio, rasyncio
        for name in ("CancelledError", "InvalidStateError", "TimeoutError", "QueueEmpty", "QueueFull",
                     "IncompleteReadError", "LimitOverrunError", "SendfileNotAvailableError",
                     "BrokenBarrierError", "AbstractEventLoop", "Protocol", "Transport", "AbstractServer"):
            assert getattr(rasyncio, name) is getattr(asyncio, name), name
        print("same")
        """
    ) == ["same"]


def test_has_every_public_name_of_asyncio():
    assert printed(
        """
        import asyncio, rasyncio
        print([name for name in asyncio.__all__ if not hasattr(rasyncio, name)])
        """
    ) == ["[]"]


def test_has_the_newest_names_on_every_version():
    assert printed(
        """
        import rasyncio
        print([name for name in (
            "Runner", "TaskGroup", "timeout", "timeout_at", "eager_task_factory", "create_eager_task_factory",
            "EventLoop", "QueueShutDown", "capture_call_graph", "format_call_graph", "print_call_graph",
            "FrameCallGraphEntry", "FutureCallGraph", "future_add_to_awaited_by", "future_discard_from_awaited_by",
        ) if not hasattr(rasyncio, name)])
        """
    ) == ["[]"]


def test_timers_of_equal_deadlines_fire_in_the_order_they_were_made():
    assert printed(
        """
        import rasyncio as asyncio
        async def main():
            loop = asyncio.get_running_loop()
            when = loop.time() + 0.01
            fired = []
            for number in range(100):
                loop.call_at(when, fired.append, number)
            await asyncio.sleep(0.02)
            print(fired == list(range(100)))
        asyncio.run(main())
        """
    ) == ["True"]


def test_timers_are_never_early():
    assert printed(
        """
        import rasyncio as asyncio, time
        async def main():
            loop = asyncio.get_running_loop()
            early = 0
            for number in range(200):
                when = time.monotonic() + number / 100_000
                future = loop.create_future()
                loop.call_at(when, future.set_result, None)
                await future
                early += time.monotonic() < when
            print(early)
        asyncio.run(main())
        """
    ) == ["0"]


def test_module_runs_a_script_with_its_arguments(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys, asyncio, rasyncio\nprint(sys.argv[1:], asyncio.Task is rasyncio.Task, __name__)\n")
    assert run("-m", "rasyncio", str(script), "a", "-b")[0] == "['a', '-b'] True __main__\n"


def test_module_runs_a_module(tmp_path):
    (tmp_path / "something.py").write_text("import sys, asyncio, rasyncio\nprint(sys.argv[1:], asyncio.Task is rasyncio.Task)\n")
    out, errors, code = run("-m", "rasyncio", "-m", "something", "x", PYTHONPATH=_path_with(tmp_path))
    assert (out, errors, code) == ("['x'] True\n", "", 0)


def _path_with(folder):
    import os

    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_module_passes_the_exit_code_on(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit(7)\n")
    assert run("-m", "rasyncio", str(script))[2] == 7


def test_module_says_what_is_missing():
    out, errors, code = run("-m", "rasyncio", "no_such_file.py")
    assert code == 2
    assert "no_such_file.py" in errors


def test_console_awaits_at_top_level():
    done = subprocess.run(
        [sys.executable, "-m", "rasyncio"],
        input="import asyncio\nawait asyncio.sleep(0, 6 * 7)\n",
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert "42" in done.stdout


@pytest.mark.skipif(sys.version_info < (3, 12), reason="log records have a task name from 3.12 on")
def test_logging_names_the_task():
    out, errors, code = run(
        source="""
        import asyncio, logging, sys
        import rasyncio
        logging.basicConfig(stream=sys.stdout, format="%(taskName)s %(message)s")
        async def main():
            logging.warning("hello")
        rasyncio.run(main())
        """
    )
    assert (out, errors, code) == ("Task-1 hello\n", "", 0)


def test_no_second_loop_runs_inside_a_running_one():
    # The same loop object cannot be entered twice, by whatever door.
    assert printed(
        """
        import asyncio, rasyncio
        async def main():
            # Both kinds are closed: stock's complains at times when it is left to the collector.
            others = [rasyncio.new_event_loop(), asyncio.new_event_loop()]
            for loop in (rasyncio.get_running_loop(), *others):
                try:
                    loop.run_forever()
                except RuntimeError:
                    print("refused")
            for loop in others:
                loop.close()
        rasyncio.run(main())
        """
    ) == ["refused"] * 3
