"""Attempts with staggered starts, of which the first to succeed wins ("happy eyeballs")."""

import contextlib

from . import events, exceptions, futures, locks, tasks
from ._stock import fallback

__all__ = ("staggered_race",)


async def staggered_race(coro_fns, delay, *, loop=None):
    """Start coroutine functions one after the other until one succeeds.

    The next is started when the one before fails or after `delay` seconds, whichever comes first;
    with `delay` None only a failure starts the next. The first success cancels the others. A
    coroutine that does not succeed must raise, also when it is cancelled.

    Return (result, index, errors): the winner's result and its place in `coro_fns`, both None
    without a winner, and one entry for each coroutine that was started, None for the winner.
    """
    race = _Race(coro_fns, delay, loop or events.get_running_loop())
    try:
        await race.run()
        return race.result, race.winner, race.errors
    finally:
        # The errors hold frames, and the frames hold the race.
        race.forget()
        del race


class _Race:
    def __init__(self, coro_fns, delay, loop):
        self.result = None
        self.winner = None
        self.errors = []
        self._entrants = enumerate(coro_fns)
        self._delay = delay
        self._loop = loop
        self._parent = tasks.current_task(loop)
        self._running = set()
        self._over = None
        self._crashes = []

    async def run(self):
        """Run attempts until none is left. A cancellation is passed on to them and raised last."""
        cancelled = None
        try:
            self._start(None)
            while self._running:
                self._over = self._loop.create_future()
                try:
                    await self._over
                except exceptions.CancelledError as error:
                    cancelled = error
                    for task in self._running:
                        task.cancel(*error.args)
                self._over = None
            # An attempt's own errors were collected; these come from the race itself.
            if __debug__ and self._crashes:
                raise ExceptionGroup("staggered race failed", self._crashes)
            if cancelled is not None:
                raise cancelled
        finally:
            del cancelled

    def forget(self):
        self._crashes = self._parent = self._entrants = self.errors = None

    def _start(self, previous_failed):
        # An eager task would run before it is in `_running`; the event holds it back, and costs
        # a task that starts later nothing.
        listed = locks.Event()
        task = self._loop.create_task(self._attempt(listed, previous_failed))
        futures.future_add_to_awaited_by(task, self._parent)
        self._running.add(task)
        task.add_done_callback(self._task_done)
        listed.set()

    def _task_done(self, task):
        self._running.discard(task)
        futures.future_discard_from_awaited_by(task, self._parent)
        if self._over is not None and not self._over.done() and not self._running:
            self._over.set_result(None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crashes.append(error)

    async def _attempt(self, listed, previous_failed):
        await listed.wait()
        if previous_failed is not None:
            with contextlib.suppress(TimeoutError):
                await tasks.wait_for(previous_failed.wait(), self._delay)
        try:
            index, coro_fn = next(self._entrants)
        except StopIteration:
            return
        failed = locks.Event()
        self._start(failed)
        self.errors.append(None)
        try:
            result = await coro_fn()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.errors[index] = error
            failed.set()
        else:
            self.winner = index
            self.result = result
            # Cancelling this task too would strike at its next await, of which there is none.
            me = tasks.current_task(self._loop)
            for task in self._running:
                if task is not me:
                    task.cancel()


__getattr__ = fallback("staggered")
