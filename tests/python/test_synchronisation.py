"""Locks and queues as objects: what the collector does with them, and what Python code may do to them."""

import asyncio
import contextlib
import functools
import gc
import inspect
import sys
import threading
import weakref

import pytest

import rasyncio

WAITS = {
    "lock": lambda: held(rasyncio.Lock()).acquire(),
    "semaphore": lambda: rasyncio.Semaphore(0).acquire(),
    "event": lambda: rasyncio.Event().wait(),
    "barrier": lambda: rasyncio.Barrier(2).wait(),
    "get": lambda: rasyncio.Queue().get(),
    "put": lambda: full(rasyncio.Queue(1)).put("item"),
    "join": lambda: full(rasyncio.Queue()).join(),
}


def held(lock):
    lock._locked = True
    return lock


def full(queue):
    queue.put_nowait("item")
    return queue


@pytest.mark.parametrize("name", WAITS)
def test_a_task_abandoned_while_it_waits_is_collected(name):
    seen = []

    async def wait():
        try:
            await WAITS[name]()
        finally:
            seen.append("left")

    async def main():
        task = rasyncio.create_task(wait())
        await rasyncio.sleep(0)
        task._log_destroy_pending = False
        reference = weakref.ref(task)
        del task
        gc.collect()
        # The collector closes the coroutine, which cancels what the task waits for, and that wakes
        # it once more: in the interpreters where it can be seen now, until the loop has turned.
        rasyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await rasyncio.sleep(0)
        gc.collect()
        return reference()

    assert rasyncio.run(main()) is None
    assert seen == ["left"]


def test_a_waiting_condition_is_collected():
    async def wait(condition):
        async with condition:
            await condition.wait()

    async def main():
        condition = rasyncio.Condition()
        task = rasyncio.create_task(wait(condition))
        await rasyncio.sleep(0)
        task._log_destroy_pending = False
        references = weakref.ref(task), weakref.ref(condition)
        del task, condition
        gc.collect()
        return [reference() for reference in references]

    assert rasyncio.run(main()) == [None, None]


@pytest.mark.parametrize("kind", ["Queue", "PriorityQueue", "LifoQueue"])
def test_a_queue_that_is_in_itself_is_collected(kind):
    queue = getattr(rasyncio, kind)()
    queue.put_nowait(queue)
    queue.note = queue
    reference = weakref.ref(queue)
    del queue
    gc.collect()
    assert reference() is None


def test_views_keep_their_primitive_alive():
    queue = rasyncio.Queue()
    getters, finished = queue._getters, queue._finished
    del queue
    gc.collect()
    assert len(getters) == 0 and finished.is_set()


def test_a_never_awaited_coroutine_in_a_circle_is_collected():
    queue = rasyncio.Queue()
    queue.note = queue.get()
    reference = weakref.ref(queue)
    with pytest.warns(RuntimeWarning, match="'Queue.get' was never awaited"):
        del queue
        gc.collect()
    # The recorded warning held it.
    gc.collect()
    assert reference() is None


def test_a_view_of_waiters_is_a_sequence():
    lock = rasyncio.Lock()
    assert lock._waiters is None

    async def main():
        await lock.acquire()
        tasks = [rasyncio.create_task(lock.acquire()) for _ in range(3)]
        await rasyncio.sleep(0)
        waiters = lock._waiters
        assert len(waiters) == 3 and list(waiters) == [waiters[n] for n in range(3)]
        assert waiters[-1] is waiters[2] and waiters[0] in waiters
        assert repr(waiters).startswith("deque([<Future pending")
        with pytest.raises(IndexError):
            waiters[3]
        with pytest.raises(ValueError):
            waiters.remove(tasks[0])
        last = waiters[2]
        waiters.remove(last)
        assert last not in waiters and len(waiters) == 2
        lock._waiters = [last]
        assert list(waiters) == [last] and waiters == [last]
        assert waiters.popleft() is last and not waiters
        with pytest.raises(IndexError):
            waiters.popleft()
        for task in tasks:
            task.cancel()
        await rasyncio.wait(tasks)

    rasyncio.run(main())


def test_methods_bound_by_async_with_behave_as_methods():
    lock = rasyncio.Lock()
    enter = lock.__aenter__
    assert enter.__self__ is lock and enter.__func__ is rasyncio.Lock.__aenter__
    assert enter == lock.__aenter__ and enter != rasyncio.Lock().__aenter__
    assert hash(enter) == hash(lock.__aenter__)
    assert inspect.ismethod(enter) and (enter.__name__, enter.__doc__) == (
        "__aenter__",
        rasyncio.Lock.__aenter__.__doc__,
    )
    assert repr(enter).startswith("<bound method Lock.__aenter__ of <")
    assert str(inspect.signature(lock.__aexit__)) == "(exc_type, exc, tb)"
    with pytest.raises(TypeError):
        enter(1)
    functools.partial(enter)().close()


def test_methods_called_through_the_class():
    rasyncio.Lock.acquire(rasyncio.Lock()).close()
    with pytest.raises(TypeError, match="'acquire' for 'Lock' objects doesn't apply to a 'Queue'"):
        rasyncio.Lock.acquire(rasyncio.Queue())
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'self'"):
        rasyncio.Lock.acquire()
    assert rasyncio.Queue.get.__qualname__ == "Queue.get"
    assert rasyncio.Lock.acquire in {rasyncio.Lock.acquire}


def test_async_exit_stack():
    async def main():
        lock, semaphore = rasyncio.Lock(), rasyncio.Semaphore()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(lock)
            await stack.enter_async_context(semaphore)
            assert lock.locked() and semaphore.locked()
        assert not lock.locked() and not semaphore.locked()

    rasyncio.run(main())


def test_a_condition_keeps_the_lock_that_is_waited_for():
    async def main():
        condition = rasyncio.Condition()
        await condition.acquire()
        task = rasyncio.create_task(condition.__aenter__())
        await rasyncio.sleep(0)
        condition.__init__()
        gc.collect()
        task.cancel()
        await rasyncio.wait([task])
        return task.cancelled()

    assert rasyncio.run(main())


def test_queue_items_put_from_a_thread_arrive():
    async def main():
        queue, loop = rasyncio.Queue(), rasyncio.get_running_loop()

        def produce():
            for number in range(100):
                loop.call_soon_threadsafe(queue.put_nowait, number)

        thread = threading.Thread(target=produce)
        thread.start()
        items = [await queue.get() for _ in range(100)]
        thread.join()
        return items

    assert rasyncio.run(main()) == list(range(100))


def test_an_item_is_held_by_nobody_after_it_was_got():
    async def main():
        class Item:
            pass

        queue = rasyncio.Queue(1)
        await queue.put(Item())
        waiting = rasyncio.create_task(queue.put(Item()))
        await rasyncio.sleep(0)
        references = []
        for _ in range(2):
            item = await queue.get()
            references.append(weakref.ref(item))
            assert sys.getrefcount(item) <= 2
            del item
            await rasyncio.sleep(0)
        await waiting
        return [reference() for reference in references]

    assert rasyncio.run(main()) == [None, None]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the standard library's own from 3.13 on")
def test_shutdown_on_every_version():
    async def main():
        queue = rasyncio.Queue(1)
        queue.put_nowait("left")
        putter = rasyncio.create_task(queue.put("late"))
        await rasyncio.sleep(0)
        queue.shutdown()
        with pytest.raises(rasyncio.QueueShutDown):
            await putter
        assert await queue.get() == "left"
        with pytest.raises(rasyncio.QueueShutDown):
            await queue.get()
        with pytest.raises(rasyncio.QueueShutDown):
            queue.get_nowait()

    rasyncio.run(main())


def test_on_a_stock_loop():
    async def main():
        lock, queue = rasyncio.Lock(), rasyncio.Queue(1)

        async def work(number):
            async with lock:
                await queue.put(number)

        tasks = [asyncio.create_task(work(number)) for number in range(5)]
        items = [await queue.get() for _ in range(5)]
        await asyncio.wait(tasks)
        return items

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(main()) == list(range(5))
