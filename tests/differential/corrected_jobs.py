"""What the programs of jobs are compared with: the package aiojobs, but for what cannot be meant there.

What that is, `rasyncio.scheduler` says. Stock asyncio's `timeout` is put right, too, in the first
releases of 3.11, where it never expires for a task that was cancelled before.
"""

import asyncio
import contextlib
import types
from unittest import mock

from aiojobs import _job, _scheduler

from .corrected import STOCK
from .generate import TIMEOUTS_AGREE


class _Ordered(dict):
    """A set in the order of insertion, where the package's is in that of addresses."""

    def add(self, item):
        self[item] = None

    def discard(self, item):
        self.pop(item, None)


class _Shields(_Ordered):
    """Only those that are not done count: waiting for the others goes round without a turn."""

    def __bool__(self):
        return any(True for _ in self)

    def __iter__(self):
        return (shielded for shielded in list(super().__iter__()) if not shielded.done())


class _Pending(asyncio.Queue):
    """Who has waited starts if there is room, and is refused by a closed scheduler."""

    def __init__(self, scheduler):
        super().__init__(scheduler._pending.maxsize)
        self.scheduler = scheduler

    async def put(self, job):
        scheduler = self.scheduler
        while self.full():
            putter = asyncio.get_running_loop().create_future()
            self._putters.append(putter)
            try:
                await putter
            except BaseException:
                putter.cancel()
                if putter in self._putters:
                    self._putters.remove(putter)
                if not self.full() and not putter.cancelled():
                    self._wakeup_next(self._putters)
                raise
            if scheduler._closed:
                raise RuntimeError("Scheduling a new job after closing")
            if scheduler._limit is None or scheduler.active_count < scheduler._limit:
                if not self.full():
                    self._wakeup_next(self._putters)
                return job._start()
        self.put_nowait(job)

    def empty(self):
        empty = super().empty()
        while empty and self.scheduler._closed and self._putters:
            self._wakeup_next(self._putters)
        return empty


class Job(_job.Job):
    """Closing a pending one frees no place among the active ones; a wait for one can time out."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.starts = []

    async def _close(self, timeout):
        pending = self._scheduler._pending if self._scheduler is not None else None
        if self._task is None and self in pending._queue:
            pending._queue.remove(self)
            pending._wakeup_next(pending._putters)
        await super()._close(timeout)

    async def _do_wait(self, timeout):
        async with STOCK_WITH_TIMEOUT.timeout(timeout):
            if self._task is None:
                start = asyncio.get_running_loop().create_future()
                self.starts.append(start)
                await start
            return await self._task

    def _start(self):
        super()._start()
        for start in self.starts:
            if not start.done():
                start.set_result(None)


class Scheduler(_scheduler.Scheduler):
    def __init__(self, **keywords):
        super().__init__(**keywords)
        self._jobs = _Ordered()
        self._shields = _Shields()
        self._pending = _Pending(self)


class _Timeout(asyncio.Timeout):
    async def __aenter__(self):
        self._before = asyncio.current_task().cancelling()
        return await super().__aenter__()

    async def __aexit__(self, kind, error, trace):
        expired = self.expired()
        await super().__aexit__(kind, error, trace)
        if expired and kind is not None and issubclass(kind, asyncio.CancelledError):
            if asyncio.current_task().cancelling() <= self._before:
                raise TimeoutError from error


def _timeout(delay):
    return _Timeout(None if delay is None else asyncio.get_running_loop().time() + delay)


STOCK_WITH_TIMEOUT = STOCK
if not TIMEOUTS_AGREE:
    STOCK_WITH_TIMEOUT = types.SimpleNamespace(**{**vars(STOCK), "timeout": _timeout})


def _shield(gathering):
    """Takes a turn at least, for what has ended to be told."""
    return asyncio.sleep(0) if gathering.done() else asyncio.shield(gathering)


@contextlib.contextmanager
def in_place():
    """Lets the package use what is put right here."""
    timeout = STOCK_WITH_TIMEOUT.timeout
    with (
        mock.patch.object(_scheduler, "Job", Job),
        mock.patch.object(
            _scheduler, "asyncio", types.SimpleNamespace(**{**vars(asyncio), "shield": _shield})
        ),
        mock.patch.object(_scheduler, "asyncio_timeout", timeout),
        mock.patch.object(_job, "asyncio_timeout", timeout),
    ):
        yield
