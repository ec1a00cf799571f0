"""Locks, conditions, barriers and queues: misuse, order, subclasses, and what can be seen of them."""

import asyncio
import copy
import gc
import inspect
import math
import pickle
import sys
import weakref

from _case import since


def show(call, *args, **kwargs):
    try:
        print("returned", call(*args, **kwargs))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")


async def show_await(awaitable):
    try:
        print("returned", await awaitable)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")


def primitives():
    yield asyncio.Lock()
    yield asyncio.Event()
    yield asyncio.Condition()
    yield asyncio.Semaphore(2)
    yield asyncio.BoundedSemaphore(2)
    yield asyncio.Barrier(2)
    yield asyncio.Queue(3)
    yield asyncio.PriorityQueue()
    yield asyncio.LifoQueue()


def case_release_of_what_is_not_held():
    show(asyncio.Lock().release)
    show(asyncio.Condition().release)
    show(asyncio.BoundedSemaphore().release)
    semaphore = asyncio.Semaphore()
    show(semaphore.release)
    print(repr(semaphore).partition("[")[2])
    show(asyncio.Condition().notify)
    show(asyncio.Condition().notify_all)
    show(asyncio.Queue().task_done)


async def case_wait_without_the_lock():
    await show_await(asyncio.Condition().wait())
    await show_await(asyncio.Condition().wait_for(lambda: False))
    await show_await(asyncio.Condition().wait_for(lambda: "true"))
    await show_await(asyncio.Condition().wait_for(None))


def case_strange_arguments():
    for value in (-1, "1", None, [], 0, 2.5, 2.0, -0.5, math.inf, 10**30):
        show(lambda value=value: repr(asyncio.Semaphore(value)).partition("[")[2])
        show(lambda value=value: repr(asyncio.BoundedSemaphore(value)).partition("[")[2])
        show(lambda value=value: repr(asyncio.Barrier(value)).partition("[")[2])
        show(lambda value=value: asyncio.Queue(value).full())
        show(lambda value=value: asyncio.Queue(value).maxsize)
    show(asyncio.Condition, object())
    show(asyncio.Barrier)
    show(asyncio.Lock, 1)
    show(asyncio.Event, True)
    show(asyncio.Queue, 1, 2)
    show(asyncio.Semaphore, amount=3)
    show(asyncio.Queue, size=3)


async def case_semaphores_of_strange_numbers():
    for value in (2.5, 2.0, math.inf, 10**30, 2):
        semaphore = asyncio.Semaphore(value)
        for _ in range(2):
            await semaphore.acquire()
        print(semaphore._value, semaphore.locked())
        semaphore.release()
        print(semaphore._value, semaphore.locked())
        bounded = asyncio.BoundedSemaphore(value)
        await bounded.acquire()
        bounded.release()
        show(bounded.release)


async def case_notify_takes_any_number():
    condition = asyncio.Condition()

    async def wait():
        async with condition:
            await condition.wait()

    for n in (0, -1, 1, 1.5, 10**30, True, "2"):
        tasks = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        async with condition:
            show(condition.notify, n)
        for _ in range(4):
            await asyncio.sleep(0)
        print(n, sum(task.done() for task in tasks))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


METHODS = """abort acquire clear empty full get get_nowait is_set join locked notify notify_all put
    put_nowait qsize release reset set task_done wait wait_for""".split()


# Until 3.11 inspect knows only functions of the interpreter's own; asyncio knows a mark.
is_coroutine_function = (
    inspect.iscoroutinefunction if sys.version_info >= (3, 12) else asyncio.iscoroutinefunction
)


def case_signatures():
    for primitive in primitives():
        kind = type(primitive)
        print(kind.__name__, inspect.signature(kind))
        for name in METHODS:
            if method := getattr(primitive, name, None):
                print(" ", name, inspect.signature(method), is_coroutine_function(method))
        for name in ("__aenter__", "__aexit__"):
            if hasattr(primitive, name):
                print(" ", name, is_coroutine_function(getattr(primitive, name)))


def case_wrong_calls():
    show(asyncio.Lock().acquire, 1)
    show(asyncio.Queue().put)
    show(asyncio.Queue().put_nowait)
    show(asyncio.Queue().get, 1)
    show(asyncio.Queue().put_nowait, thing=1)
    show(asyncio.Queue().put_nowait, item=1)
    show(asyncio.Condition().wait_for)


def case_never_awaited():
    for primitive in primitives():
        for name in ("acquire", "wait", "get", "join"):
            if hasattr(primitive, name):
                getattr(primitive, name)()
                gc.collect()


def case_outside_a_loop():
    lock = asyncio.Lock()

    def drive(coroutine):
        try:
            coroutine.send(None)
        except StopIteration as stop:
            print("returned", stop.value)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}")

    drive(lock.acquire())
    drive(lock.acquire())
    queue = asyncio.Queue()
    drive(queue.put(1))
    drive(queue.get())
    drive(queue.get())
    drive(asyncio.Event().wait())


def case_another_loop():
    lock, queue, event = asyncio.Lock(), asyncio.Queue(), asyncio.Event()

    async def wait():
        await lock.acquire()
        for awaitable in (lock.acquire(), queue.get(), event.wait()):
            task = asyncio.create_task(awaitable)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        lock.release()

    async def wait_again():
        async with lock:
            await show_await(lock.acquire())
        await show_await(queue.get())
        await show_await(event.wait())
        await queue.put("an item that is there")
        await show_await(queue.get())

    asyncio.run(wait())
    asyncio.run(wait_again())


async def case_reprs():
    for primitive in primitives():
        print(repr(primitive), str(primitive))
    lock, queue = asyncio.Lock(), asyncio.Queue(1)
    async with lock:
        task = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        print(lock)
    await task
    putters = [asyncio.create_task(queue.put(n)) for n in range(3)]
    await asyncio.sleep(0)
    print(queue, queue._format())
    while not queue.empty():
        queue.get_nowait()
        await asyncio.sleep(0)
    await asyncio.wait(putters)
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    print(queue)
    getter.cancel()
    for kind in (asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue):
        queue = kind()
        for item in (3, 1, 2):
            await queue.put(item)
        print(queue, list(queue._queue), queue._unfinished_tasks)


def case_attributes():
    for primitive in primitives():
        primitive.note = "a note"
        print(primitive.note, weakref.ref(primitive)() is primitive, primitive._loop)
        print(sorted(vars(primitive).keys() & {"note"}))
    print(asyncio.Queue[int], asyncio.PriorityQueue[str])


def case_privates_are_assignable():
    semaphore = asyncio.Semaphore(3)
    semaphore._value = 0
    print(semaphore.locked(), repr(semaphore).partition("[")[2])
    event = asyncio.Event()
    event._value = True
    print(event.is_set())
    lock = asyncio.Lock()
    print(lock._waiters, semaphore._waiters, len(event._waiters))
    lock._locked = True
    print(lock.locked())
    queue = asyncio.Queue(5)
    queue._maxsize = 1
    queue._queue.append("smuggled in")
    print(queue.full(), queue.get_nowait(), queue.empty())
    queue._queue = [1, 2]
    print(queue.qsize(), queue)
    show(queue.get_nowait)
    queue._unfinished_tasks = 1
    queue.task_done()
    show(queue.task_done)


def case_copies():
    for primitive in primitives():
        for again in (copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
            twin = again(primitive)
            print(type(twin).__name__, repr(twin).partition("[")[2])
    queue = asyncio.PriorityQueue(4)
    for item in (2, 1, 3):
        queue.put_nowait(item)
    twin = copy.deepcopy(queue)
    print([twin.get_nowait() for _ in range(3)], queue.qsize(), twin.maxsize, twin._unfinished_tasks)


async def case_order_of_a_lock():
    lock, seen = asyncio.Lock(), []

    async def visit(name, again):
        async with lock:
            seen.append(name)
            await asyncio.sleep(0)
        if again:
            await visit(name.upper(), False)

    await asyncio.gather(*(visit(name, True) for name in "abcd"))
    print(seen)


async def case_cancelled_in_every_state():
    for turns in range(5):
        lock, semaphore, queue = asyncio.Lock(), asyncio.Semaphore(1), asyncio.Queue(1)
        await lock.acquire()
        await semaphore.acquire()
        queue.put_nowait("first")
        waiting = [
            [asyncio.create_task(call()) for _ in range(3)]
            for call in (lock.acquire, semaphore.acquire, lambda: queue.put("more"))
        ]
        await asyncio.sleep(0)
        lock.release()
        semaphore.release()
        queue.get_nowait()
        for _ in range(turns):
            await asyncio.sleep(0)
        for tasks in waiting:
            tasks[0].cancel("enough")
        for _ in range(3):
            await asyncio.sleep(0)
        for tasks in waiting:
            print([task.done() and ("cancelled" if task.cancelled() else "done") for task in tasks])
        print(repr(lock).partition("[")[2], repr(semaphore).partition("[")[2], queue)
        for tasks in waiting:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def case_a_lock_of_ones_own():
    class Logged(asyncio.Lock):
        async def acquire(self):
            print("acquire")
            return await super().acquire()

        def release(self):
            print("release")
            super().release()

    lock = Logged()
    async with lock:
        print(lock.locked())
    condition = asyncio.Condition(lock)
    async with condition:
        task = asyncio.create_task(notify(condition))
        print(await condition.wait())
    await task
    print(condition._lock is lock, condition.locked())


async def notify(condition):
    async with condition:
        condition.notify()


async def case_a_condition_over_any_lock():
    class Free:
        def __init__(self):
            self.calls = []

        def locked(self):
            self.calls.append("locked")
            return True

        async def acquire(self):
            self.calls.append("acquire")

        def release(self):
            self.calls.append("release")

    lock = Free()
    condition = asyncio.Condition(lock)
    async with condition:
        task = asyncio.create_task(notify(condition))
        await condition.wait()
    await task
    print(lock.calls)


async def case_a_semaphore_of_ones_own():
    class Shy(asyncio.Semaphore):
        def locked(self):
            print("asked")
            return super().locked()

        def release(self):
            print("released")
            super().release()

    semaphore = Shy(1)
    async with semaphore:
        task = asyncio.create_task(semaphore.acquire())
        await asyncio.sleep(0)
        print(semaphore._value)
    await task
    print(repr(semaphore).partition("[")[2])


async def case_queues_of_ones_own():
    class Loud(asyncio.Queue):
        def _init(self, maxsize):
            print("init", maxsize)
            self._queue = []

        def _put(self, item):
            print("put", item)
            if item == "bad":
                raise ValueError("refused")
            self._queue.append(item)

        def _get(self):
            print("get")
            return self._queue.pop(0)

        def full(self):
            print("full?")
            return super().full()

        def empty(self):
            print("empty?")
            return super().empty()

        def qsize(self):
            print("size?")
            return super().qsize()

    queue = Loud(1)
    await queue.put(1)
    show(queue.put_nowait, 2)
    print(await queue.get(), queue)
    await show_await(queue.put("bad"))
    print(queue._unfinished_tasks, queue.empty())
    task = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait("late")
    print(await task)


async def case_nowait_methods_of_ones_own():
    class Counted(asyncio.Queue):
        calls = 0

        def put_nowait(self, item):
            Counted.calls += 1
            return super().put_nowait(item)

        def get_nowait(self):
            Counted.calls += 1
            return super().get_nowait()

    queue = Counted()
    await queue.put("item")
    print(await queue.get(), Counted.calls)


async def case_items_without_an_order():
    queue = asyncio.PriorityQueue()
    queue.put_nowait((1, {}))
    show(queue.put_nowait, (1, {}))
    print(queue.qsize(), queue._unfinished_tasks)
    show(queue.get_nowait)
    show(queue.get_nowait)


async def case_an_item_that_touches_the_queue():
    queue = asyncio.PriorityQueue()

    class Nosy:
        def __init__(self, number):
            self.number = number

        def __lt__(self, other):
            queue.qsize()
            repr(queue)
            return self.number < other.number

        def __repr__(self):
            return f"Nosy({self.number})"

    for number in (3, 1, 2):
        await queue.put(Nosy(number))
    print([await queue.get() for _ in range(3)])


async def case_a_queue_in_itself():
    queue = asyncio.Queue()
    queue.put_nowait(queue)
    try:
        repr(queue)
    except RecursionError:
        print("RecursionError")


async def case_joining():
    queue = asyncio.Queue()
    await queue.join()
    for number in range(2):
        queue.put_nowait(number)
    task = asyncio.create_task(queue.join())
    await asyncio.sleep(0)
    print(task.done(), queue._finished.is_set())
    for _ in range(2):
        queue.get_nowait()
        queue.task_done()
    await task
    print(queue._finished.is_set())


@since(3, 13)
async def case_shutting_down():
    for immediate in (False, True):
        queue = asyncio.Queue(1)
        queue.put_nowait("left")
        putter = asyncio.create_task(queue.put("late"))
        joiner = asyncio.create_task(queue.join())
        await asyncio.sleep(0)
        queue.shutdown(immediate)
        await asyncio.sleep(0)
        print(queue, type(putter.exception()).__name__, joiner.done())
        await show_await(queue.put("too late"))
        show(queue.put_nowait, "too late")
        await show_await(queue.get())
        await show_await(queue.get())
        show(queue.get_nowait)
        joiner.cancel()


async def case_barriers():
    barrier = asyncio.Barrier(3)
    tasks = [asyncio.create_task(barrier.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    print(repr(barrier).partition("[")[2], barrier.n_waiting, barrier.parties, barrier._count)
    async with barrier as number:
        print("in", number, barrier._state)
    print(sorted([await task for task in tasks]))
    tasks = [asyncio.create_task(barrier.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    await barrier.reset()
    await asyncio.wait(tasks)
    print([type(task.exception()).__name__ for task in tasks], tasks[0].exception())
    await barrier.abort()
    await show_await(barrier.wait())
    print(repr(barrier).partition("[")[2], barrier.broken)


async def case_waiters_can_be_seen():
    lock, queue = asyncio.Lock(), asyncio.Queue()
    await lock.acquire()
    tasks = [asyncio.create_task(lock.acquire()) for _ in range(3)]
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    print(len(lock._waiters), bool(lock._waiters), lock._waiters[0].done(), len(queue._getters))
    tasks[0].cancel()
    print([waiter.cancelled() for waiter in lock._waiters], lock._waiters[-1].cancelled())
    lock.release()
    await asyncio.sleep(0)
    print(len(lock._waiters), tasks[1].done())
    queue._getters[0].set_result(None)
    queue.put_nowait("item")
    print(await getter)
    tasks[2].cancel()
    await asyncio.wait(tasks)
