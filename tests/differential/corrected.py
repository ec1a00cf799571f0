"""What the programs about locks are compared with: stock asyncio, put right where it was wrong.

Before 3.13, stock asyncio's locks did three things wrong that later versions put right, and that
rasyncio does right on every version:

- a task that is notified by a condition and cancelled before it goes on keeps the notification to
  itself (now the next one that waits has it), and when it was cancelled while it took the lock again,
  the message was lost,
- a cancelled task of a semaphore wakes the next one in the same breath in which it gives its permit
  back, and one only,
- a barrier is made of such a condition.

There, these classes stand in for stock asyncio's own. `Queue.shutdown`, which stock asyncio has from 3.13
on, is not in the programs before.

On every version, a stream reader that was woken by data which is not enough waits again, and if the connection
has failed in the meantime, for ever. rasyncio raises what it has failed with.
"""

import asyncio
import sys
import types


class Condition(asyncio.Condition):
    async def wait(self):
        if not self.locked():
            raise RuntimeError("cannot wait on un-acquired lock")
        waiter = self._get_loop().create_future()
        self.release()
        try:
            try:
                self._waiters.append(waiter)
                try:
                    await waiter
                    return True
                finally:
                    self._waiters.remove(waiter)
            finally:
                await self._take_back()
        except BaseException:
            for other in self._waiters:
                if not other.done():
                    other.set_result(False)
                    break
            raise

    async def _take_back(self):
        cancelled = None
        while True:
            try:
                await self.acquire()
                break
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


class _Permits:
    async def acquire(self):
        if not self.locked():
            self._value -= 1
            return True
        if self._waiters is None:
            # As stock makes it, with nothing in it.
            self._waiters = type(asyncio.Event()._waiters)()
        waiter = self._get_loop().create_future()
        self._waiters.append(waiter)
        try:
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
        except asyncio.CancelledError:
            self._value += waiter.done() and not waiter.cancelled()
            raise
        finally:
            while self._value > 0 and self._wake_up_next():
                pass
        return True

    def _wake_up_next(self):
        for waiter in self._waiters or ():
            if not waiter.done():
                self._value -= 1
                waiter.set_result(True)
                return True
        return False


class Semaphore(_Permits, asyncio.Semaphore):
    pass


class BoundedSemaphore(_Permits, asyncio.BoundedSemaphore):
    pass


class Barrier(asyncio.Barrier):
    def __init__(self, parties):
        super().__init__(parties)
        self._cond = Condition()


class StreamReader(asyncio.StreamReader):
    async def _wait_for_data(self, name):
        if self._exception is not None:
            raise self._exception
        await super()._wait_for_data(name)


def stock_asyncio():
    """What stands in for the module asyncio."""
    classes = {"StreamReader": StreamReader}
    if sys.version_info < (3, 13):
        classes |= {cls.__name__: cls for cls in (Condition, Semaphore, BoundedSemaphore, Barrier)}
    for name, cls in classes.items():
        cls.__module__ = getattr(asyncio, name).__module__  # for reprs
    return types.SimpleNamespace(**{**vars(asyncio), **classes})


STOCK = stock_asyncio()
