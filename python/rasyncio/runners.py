"""Running a program: one loop, its main coroutine, and an orderly end."""

import contextvars
import enum
import functools
import inspect
import signal
import sys
import threading
from asyncio import constants, exceptions
from asyncio import events as _stock_events

from . import coroutines, events, tasks
from ._stock import fallback

__all__ = ("Runner", "run")

# How long the default executor may take to end its threads, in seconds. Before 3.12 loops took
# no limit.
_EXECUTOR_LIMIT = (
    (constants.THREAD_JOIN_TIMEOUT,) if hasattr(constants, "THREAD_JOIN_TIMEOUT") else ()
)


class _State(enum.Enum):
    CREATED = "created"
    INITIALIZED = "initialized"
    CLOSED = "closed"


class Runner:
    """A loop and its context for several runs, closed in good order at the end.

        with asyncio.Runner() as runner:
            runner.run(first())
            runner.run(second())

    `debug` sets the loop's debug mode, None leaves it alone. `loop_factory` makes the loop;
    without it a native loop is made and set as the thread's current loop. The loop is made when
    the block is entered or when it is first needed.

    Not meant to be subclassed.
    """

    def __init__(self, *, debug=None, loop_factory=None):
        self._state = _State.CREATED
        self._debug = debug
        self._loop_factory = loop_factory
        self._loop = None
        self._context = None
        self._interrupt_count = 0
        self._set_event_loop = False

    def __enter__(self):
        self._lazy_init()
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.close()

    def close(self):
        """Cancel what still runs, end async generators and the default executor, close the loop.

        Calling it again does nothing.
        """
        if self._state is not _State.INITIALIZED:
            return
        loop = self._loop
        try:
            _cancel_all_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor(*_EXECUTOR_LIMIT))
        finally:
            if self._set_event_loop:
                _stock_events.set_event_loop(None)
            loop.close()
            self._loop = None
            self._state = _State.CLOSED

    def get_loop(self):
        """Return the loop, making it if need be. RuntimeError once the runner is closed."""
        self._lazy_init()
        return self._loop

    def run(self, coro, *, context=None):
        """Run a coroutine, or another awaitable, to its end and return its result.

        It runs in `context`, or else in the runner's own context, which all its runs share.

        The first SIGINT in the main thread cancels the task, the second raises KeyboardInterrupt
        on the spot; a task that ends by that cancellation makes this raise KeyboardInterrupt.

        RuntimeError inside a running loop or after close(). What cannot be awaited is a TypeError
        (ValueError before 3.14, as programs of that time expect).
        """
        if sys.version_info < (3, 14):
            coro = _as_coroutine(coro)
        if events._get_running_loop() is not None:
            raise RuntimeError("Runner.run() cannot be called from a running event loop")
        if sys.version_info >= (3, 14):
            coro = _as_coroutine(coro)

        self._lazy_init()
        task = self._loop.create_task(coro, context=self._context if context is None else context)
        handler = self._catch_sigint(task)
        self._interrupt_count = 0
        try:
            return self._loop.run_until_complete(task)
        except exceptions.CancelledError:
            # Only a cancellation that nobody but the signal asked for becomes KeyboardInterrupt.
            if self._interrupt_count > 0:
                uncancel = getattr(task, "uncancel", None)
                if uncancel is not None and uncancel() == 0:
                    raise KeyboardInterrupt()
            raise
        finally:
            if handler is not None and signal.getsignal(signal.SIGINT) is handler:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def _lazy_init(self):
        if self._state is _State.CLOSED:
            raise RuntimeError("Runner is closed")
        if self._state is _State.INITIALIZED:
            return
        if self._loop_factory is None:
            self._loop = events._new_default_loop()
            # Once only: on old versions it attaches the loop to the child watcher.
            if not self._set_event_loop:
                _stock_events.set_event_loop(self._loop)
                self._set_event_loop = True
        else:
            self._loop = self._loop_factory()
        if self._debug is not None:
            self._loop.set_debug(self._debug)
        self._context = contextvars.copy_context()
        self._state = _State.INITIALIZED

    def _catch_sigint(self, task):
        """Take over SIGINT while `task` runs. Return the handler, or None where it is not ours.

        A handler that the program set itself stays.
        """
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        ):
            return None
        handler = functools.partial(self._on_sigint, main_task=task)
        try:
            signal.signal(signal.SIGINT, handler)
        except ValueError:
            # An embedded interpreter may have signals switched off even in its main thread.
            return None
        return handler

    def _on_sigint(self, signum, frame, main_task):
        self._interrupt_count += 1
        if self._interrupt_count == 1 and not main_task.done():
            main_task.cancel()
            # The loop may be asleep with nothing due for long.
            self._loop.call_soon_threadsafe(lambda: None)
            return
        raise KeyboardInterrupt()


def run(main, *, debug=None, loop_factory=None):
    """Run the coroutine `main` on a new loop, end everything it left behind, return its result.

        async def main():
            await asyncio.sleep(1)
            print("hello")

        asyncio.run(main())

    `debug` and `loop_factory` are as for `Runner`. The threads of the default executor are given
    five minutes to end. RuntimeError inside a running loop.
    """
    if events._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)


def _as_coroutine(awaitable):
    if coroutines.iscoroutine(awaitable):
        return awaitable
    if sys.version_info >= (3, 14):
        if inspect.isawaitable(awaitable):
            return _await(awaitable)
        raise TypeError("An asyncio.Future, a coroutine or an awaitable is required")
    # Until 3.14 a future was refused as well: it belongs to a loop, hardly to the runner's.
    if inspect.isawaitable(awaitable) and not tasks.futures.isfuture(awaitable):
        return _await(awaitable)
    raise ValueError(f"a coroutine was expected, got {awaitable!r}")


async def _await(awaitable):
    return await awaitable


def _cancel_all_tasks(loop):
    """Cancel the tasks that a program leaves behind, await them, and report what they raise."""
    left = tasks.all_tasks(loop)
    if not left:
        return
    for task in left:
        task.cancel()
    loop.run_until_complete(tasks.gather(*left, return_exceptions=True))
    for task in left:
        if task.cancelled():
            continue
        error = task.exception()
        if error is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception during asyncio.run() shutdown",
                    "exception": error,
                    "task": task,
                }
            )


__getattr__ = fallback("runners")
