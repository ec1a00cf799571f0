"""Locks, queues and streams with one fault each, to see that the comparison notices it.

Each is a faulty subclass of a stock class; `namespace` gives a module in which it stands for that class.
"""

import asyncio
import types

from .corrected import STOCK

MUTANTS = {}


def mutant(fault):
    MUTANTS[fault.__name__] = fault
    return fault


def family(fault):
    """The family of programs that are to notice it."""
    return "streams" if fault.__bases__[0].__name__.startswith("Stream") else "sync"


def namespace(fault):
    """What the player takes for the module asyncio."""
    (stock,) = fault.__bases__
    # Under the stock class's name, since that stands in reprs.
    named = type(stock.__name__, (fault,), {"__module__": stock.__module__})
    return types.SimpleNamespace(**{**vars(STOCK), stock.__name__: named})


@mutant
class LockThatIsTakenPastTheLine(STOCK.Lock):
    async def acquire(self):
        if not self._locked:
            self._locked = True
            return True
        return await super().acquire()


@mutant
class LockWhoseCancelledWaiterWakesNobody(STOCK.Lock):
    releasing = False

    def release(self):
        self.releasing = True
        try:
            super().release()
        finally:
            self.releasing = False

    def _wake_up_first(self):
        if self.releasing:
            super()._wake_up_first()


@mutant
class LockThatWakesTheLast(STOCK.Lock):
    def _wake_up_first(self):
        if self._waiters and not any(waiter.done() for waiter in self._waiters):
            self._waiters[-1].set_result(True)


@mutant
class LockThatIsHandedOver(STOCK.Lock):
    """It stays locked between the release and the next holder's step."""

    def release(self):
        super().release()
        if self._waiters and any(waiter.done() and not waiter.cancelled() for waiter in self._waiters):
            self._locked = True


@mutant
class LockThatCostsATurnMore(STOCK.Lock):
    async def acquire(self):
        waits = self._locked
        await super().acquire()
        if waits:
            await asyncio.sleep(0)
        return True


@mutant
class LockThatAnswersNothing(STOCK.Lock):
    async def acquire(self):
        await super().acquire()


@mutant
class LockThatHidesItsLine(STOCK.Lock):
    def __repr__(self):
        return super().__repr__().partition(",")[0]


@mutant
class EventThatWakesInReverse(STOCK.Event):
    def set(self):
        self._waiters.reverse()
        super().set()


@mutant
class EventThatAnswersItsState(STOCK.Event):
    async def wait(self):
        await super().wait()
        return self.is_set()


@mutant
class EventThatWaitsAgain(STOCK.Event):
    async def wait(self):
        while not await super().wait() or not self.is_set():
            pass
        return True


@mutant
class ConditionThatIsCancelledWithoutItsLock(STOCK.Condition):
    async def wait(self):
        try:
            return await super().wait()
        except asyncio.CancelledError:
            if self.locked():
                self.release()
            raise


@mutant
class ConditionThatNotifiesOneTooMany(STOCK.Condition):
    def notify(self, n=1):
        super().notify(n + 1)


@mutant
class ConditionThatNotifiesTheCancelled(STOCK.Condition):
    """A notification goes to the first in line, awake or not."""

    def notify(self, n=1):
        done = sum(waiter.done() for waiter in list(self._waiters)[:n])
        super().notify(n - done)


@mutant
class ConditionThatNeedsNoLock(STOCK.Condition):
    def notify(self, n=1):
        if self.locked():
            super().notify(n)


@mutant
class ConditionThatAsksThePredicateAgain(STOCK.Condition):
    async def wait_for(self, predicate):
        result = await super().wait_for(predicate)
        return predicate() and result


@mutant
class SemaphoreThatIsTakenPastTheLine(STOCK.Semaphore):
    async def acquire(self):
        if self._value > 0:
            self._value -= 1
            return True
        return await super().acquire()


@mutant
class SemaphoreThatLosesAPermit(STOCK.Semaphore):
    async def acquire(self):
        try:
            return await super().acquire()
        except asyncio.CancelledError:
            self._value = max(0, self._value - 1)
            raise


@mutant
class SemaphoreWithoutBounds(STOCK.BoundedSemaphore):
    def release(self):
        asyncio.Semaphore.release(self)


@mutant
class BarrierThatCountsBackwards(STOCK.Barrier):
    async def wait(self):
        return self.parties - 1 - await super().wait()


@mutant
class BarrierThatIsAbortedAndWakesNobody(STOCK.Barrier):
    async def abort(self):
        self._state = type(self._state)("broken")


@mutant
class BarrierThatIsResetOnlyInUse(STOCK.Barrier):
    async def reset(self):
        if not self.broken:
            await super().reset()


@mutant
class QueueThatWakesTheLast(STOCK.Queue):
    def _wakeup_next(self, waiters):
        waiters.reverse()
        super()._wakeup_next(waiters)
        waiters.reverse()


@mutant
class QueueWhoseCancelledGetterWakesNobody(STOCK.Queue):
    putting = False

    def put_nowait(self, item):
        self.putting = True
        try:
            super().put_nowait(item)
        finally:
            self.putting = False

    def _wakeup_next(self, waiters):
        if waiters is self._putters or self.putting:
            super()._wakeup_next(waiters)


@mutant
class QueueWhoseCancelledPutterWakesNobody(STOCK.Queue):
    getting = False

    def get_nowait(self):
        self.getting = True
        try:
            return super().get_nowait()
        finally:
            self.getting = False

    def _wakeup_next(self, waiters):
        if waiters is self._getters or self.getting:
            super()._wakeup_next(waiters)


@mutant
class QueueThatIsJoinedWhenEmpty(STOCK.Queue):
    async def join(self):
        if not self.empty():
            await super().join()


@mutant
class QueueThatIsDoneTooOften(STOCK.Queue):
    def task_done(self):
        if self._unfinished_tasks > 0:
            super().task_done()


@mutant
class QueueThatHoldsOneMore(STOCK.Queue):
    def full(self):
        return self.maxsize > 0 and self.qsize() > self.maxsize


@mutant
class PriorityQueueOfEqualRanks(STOCK.PriorityQueue):
    def _put(self, item):
        self._queue.append(item)
        if item[0] is not None:
            self._queue.sort(key=lambda item: item[0] or 0)


if hasattr(asyncio.Queue, "shutdown"):

    @mutant
    class QueueThatShutsDownWithItemsUnfinished(STOCK.Queue):
        def shutdown(self, immediate=False):
            unfinished = self._unfinished_tasks
            super().shutdown(immediate)
            self._unfinished_tasks = unfinished

    @mutant
    class QueueThatShutsDownAndWakesNoPutter(STOCK.Queue):
        def shutdown(self, immediate=False):
            putters, self._putters = self._putters, type(self._putters)()
            super().shutdown(immediate)
            self._putters = putters


@mutant
class ReaderThatNeverPauses(STOCK.StreamReader):
    def feed_data(self, data):
        transport, self._transport = self._transport, None
        super().feed_data(data)
        self._transport = transport


@mutant
class ReaderThatDoesNotResume(STOCK.StreamReader):
    def _maybe_resume_transport(self):
        pass


@mutant
class ReaderThatResumesTooSoon(STOCK.StreamReader):
    def _maybe_resume_transport(self):
        self._limit += 1
        super()._maybe_resume_transport()
        self._limit -= 1


@mutant
class ReaderThatLosesWhatIsCancelled(STOCK.StreamReader):
    async def readexactly(self, n):
        try:
            return await super().readexactly(n)
        except asyncio.CancelledError:
            self._buffer.clear()
            raise


@mutant
class ReaderThatKeepsThePartialResult(STOCK.StreamReader):
    async def readexactly(self, n):
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError as error:
            self._buffer.extend(error.partial)
            raise


@mutant
class ReaderWithoutALimit(STOCK.StreamReader):
    async def readuntil(self, separator=b"\n"):
        limit, self._limit = self._limit, 10**9
        try:
            return await super().readuntil(separator)
        finally:
            self._limit = limit


@mutant
class ReaderThatLetsTwoWait(STOCK.StreamReader):
    async def _wait_for_data(self, name):
        self._waiter = None
        await super()._wait_for_data(name)


@mutant
class ReaderThatTakesATurnMore(STOCK.StreamReader):
    async def readline(self):
        line = await super().readline()
        await asyncio.sleep(0)
        return line


@mutant
class WriterWhoseDrainDoesNotWait(STOCK.StreamWriter):
    async def drain(self):
        pass


@mutant
class WriterThatDrainsWhatHasFailed(STOCK.StreamWriter):
    async def drain(self):
        reader, self._reader = self._reader, None
        try:
            await super().drain()
        finally:
            self._reader = reader
