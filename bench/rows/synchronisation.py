"""Rows about queues, locks and their kin, and jobs."""

import asyncio

from .row import clock, row
from .scheduling import nothing


async def pass_through(queue, n):
    """`n` items from one task to another."""

    async def producer():
        for item in range(n):
            await queue.put(item)

    async def consumer():
        for _ in range(n):
            await queue.get()

    start = clock()
    async with asyncio.TaskGroup() as group:
        group.create_task(producer())
        group.create_task(consumer())
    return clock() - start


@row("queue-10", "Queue(10), producer and consumer, per item")
async def queue_of_ten(n):
    return await pass_through(asyncio.Queue(10), n)


@row("queue-1", "Queue(1), hand-off between two tasks")
async def queue_of_one(n):
    return await pass_through(asyncio.Queue(1), n)


@row("queue-unbounded", "Queue(), 100 put, then 100 got, per item", batch=100)
async def queue_unbounded(n):
    queue = asyncio.Queue()
    start = clock()
    for _ in range(n // 100):
        for item in range(100):
            await queue.put(item)
        for _ in range(100):
            await queue.get()
    return clock() - start


async def take_turns(lock, n):
    """Ten tasks that all want it, and keep it for a turn of the loop."""

    async def worker():
        for _ in range(n // 10):
            async with lock:
                await asyncio.sleep(0)

    start = clock()
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(worker())
    return clock() - start


@row("lock-10", "Lock under 10 tasks", batch=10)
async def lock_crowd(n):
    return await take_turns(asyncio.Lock(), n)


@row("semaphore-10", "Semaphore(3) under 10 tasks", batch=10)
async def semaphore_crowd(n):
    return await take_turns(asyncio.Semaphore(3), n)


@row("lock-1", "async with lock, uncontended")
async def lock_alone(n):
    lock = asyncio.Lock()
    start = clock()
    for _ in range(n):
        async with lock:
            pass
    return clock() - start


@row("event-ping-pong", "Event ping-pong, per hand-over", batch=2)
async def event_ping_pong(n):
    async def player(own, other):
        for _ in range(n // 2):
            await own.wait()
            own.clear()
            other.set()

    ping, pong = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(player(ping, pong)), asyncio.create_task(player(pong, ping))]
    await asyncio.sleep(0)
    start = clock()
    ping.set()
    for task in tasks:
        await task
    return clock() - start


@row("condition-100", "Condition, notify_all of 100, per waiter", batch=100)
async def condition_notify_all(n):
    condition = asyncio.Condition()

    async def waiter():
        async with condition:
            for _ in range(n // 100):
                await condition.wait()

    tasks = [asyncio.create_task(waiter()) for _ in range(100)]
    await asyncio.sleep(0)
    start = clock()
    for _ in range(n // 100):
        async with condition:
            condition.notify_all()
        # In this turn each of them gets the lock, in order, and waits again.
        await asyncio.sleep(0)
    for task in tasks:
        await task
    return clock() - start


@row("barrier-10", "Barrier of 10, per task", batch=10)
async def barrier_of_ten(n):
    barrier = asyncio.Barrier(10)

    async def runner():
        for _ in range(n // 10):
            await barrier.wait()

    start = clock()
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(runner())
    return clock() - start


@row("scheduler-spawn", "Scheduler.spawn (aiojobs), 100 at a time", batch=100)
async def scheduler_spawn(n):
    from aiojobs import Scheduler

    async with Scheduler() as scheduler:
        start = clock()
        for _ in range(n // 100):
            for _ in range(100):
                await scheduler.spawn(nothing())
            while len(scheduler):
                await asyncio.sleep(0)
        return clock() - start
