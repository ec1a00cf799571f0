"""Tasks, and how to start, await, bound and gather them."""

import concurrent.futures
from asyncio import tasks as _stock
from asyncio.tasks import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

from . import coroutines, futures
from ._rasyncio import (
    Task,
    _GatheringFuture,
    as_completed,
    create_task,
    current_task,
    ensure_future,
    gather,
    shield,
    sleep,
    wait,
    wait_for,
)
from ._stock import fallback

__all__ = tuple(dict.fromkeys((*_stock.__all__, "create_eager_task_factory", "eager_task_factory")))

_CTask = Task

# The registry of tasks. Stock tasks fill it, and `_registry` makes it show native ones.
all_tasks = _stock.all_tasks
_enter_task = _stock._enter_task
_leave_task = _stock._leave_task
_register_task = _stock._register_task
_unregister_task = _stock._unregister_task


if hasattr(_stock, "create_eager_task_factory"):
    # The standard library's own: anyio, which may have been imported before `install()`, tells eager
    # factories by their code object, and looks for the constructor in their closure.
    create_eager_task_factory = _stock.create_eager_task_factory
else:

    def create_eager_task_factory(custom_task_constructor):
        """Return a task factory whose tasks run their first step at once, inside `create_task()`.

        `custom_task_constructor` is called as `Task` is, with `eager_start=True`. A coroutine that
        finishes without waiting never enters the loop's queue.

            loop.set_task_factory(asyncio.create_eager_task_factory(MyTask))
        """

        def factory(loop, coro, *, eager_start=True, **options):
            return custom_task_constructor(coro, loop=loop, eager_start=eager_start, **options)

        return factory


eager_task_factory = create_eager_task_factory(Task)


def run_coroutine_threadsafe(coro, loop):
    """Start a coroutine on a loop that runs in another thread.

    Return a `concurrent.futures.Future` for its outcome. Cancelling that future cancels the task.
    Raise TypeError for anything but a coroutine.
    """
    if not coroutines.iscoroutine(coro):
        raise TypeError("A coroutine object is required")
    promise = concurrent.futures.Future()

    def start():
        try:
            futures._chain_future(ensure_future(coro, loop=loop), promise)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # The waiting thread must hear of it; who cancelled the promise meanwhile need not.
            if promise.set_running_or_notify_cancel():
                promise.set_exception(error)
            raise

    loop.call_soon_threadsafe(start)
    return promise


__getattr__ = fallback("tasks")
