"""Rows about turning the loop: tasks, callbacks, timers, futures, threads."""

import asyncio
import random

from .row import clock, row


async def nothing():
    pass


@row("sleep0-1", "sleep(0), 1 task")
async def sleep0_alone(n):
    start = clock()
    for _ in range(n):
        await asyncio.sleep(0)
    return clock() - start


@row("sleep0-1000", "sleep(0), 1000 tasks", batch=1000)
async def sleep0_crowd(n):
    async def sleeper(times):
        for _ in range(times):
            await asyncio.sleep(0)

    # Each task takes its first step, to its first sleep, before the clock starts.
    tasks = [asyncio.create_task(sleeper(n // 1000 + 1)) for _ in range(1000)]
    await asyncio.sleep(0)
    start = clock()
    for task in tasks:
        await task
    return clock() - start


@row("create-task", "create_task + await", batch=100)
async def create_task(n):
    start = clock()
    for _ in range(n):
        await asyncio.create_task(nothing())
    return clock() - start


@row("gather", "gather of 100, per coroutine", batch=100)
async def gather(n):
    start = clock()
    for _ in range(n // 100):
        await asyncio.gather(*[nothing() for _ in range(100)])
    return clock() - start


@row("taskgroup", "TaskGroup of 100, per task", batch=100)
async def taskgroup(n):
    start = clock()
    for _ in range(n // 100):
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(nothing())
    return clock() - start


@row("call-soon-chained", "call_soon, chained")
async def call_soon_chained(n):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = n

    def again():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(again)
        else:
            done.set_result(None)

    start = clock()
    loop.call_soon(again)
    await done
    return clock() - start


@row("call-soon-burst", "call_soon, bursts of 1000", batch=1000)
async def call_soon_burst(n):
    loop = asyncio.get_running_loop()
    left = n

    def callback():
        nonlocal left
        left -= 1

    start = clock()
    for _ in range(n // 1000):
        for _ in range(1000):
            loop.call_soon(callback)
        await asyncio.sleep(0)
    spent = clock() - start
    assert not left
    return spent


@row("timer-cancelled", "call_later + cancel", batch=1000)
async def timer_cancelled(n):
    loop = asyncio.get_running_loop()

    def callback():
        raise AssertionError("a cancelled timer fired")

    start = clock()
    for _ in range(n // 1000):
        for _ in range(1000):
            loop.call_later(60, callback).cancel()
        # A turn, in which a loop may throw the cancelled ones out.
        await asyncio.sleep(0)
    return clock() - start


@row("timer-due", "call_at + fire, 10000 at once", batch=10_000, countable=False)
async def timer_due(n):
    loop = asyncio.get_running_loop()
    shuffled = list(range(10_000))
    random.Random(0).shuffle(shuffled)
    spent = 0.0
    for _ in range(n // 10_000):
        left = 10_000
        done = loop.create_future()
        start = clock()
        earlier = latest = finish = start

        def tick():
            # Keeps the loop turning, and so knows when it found the timers due: in
            # this turn, before it came to us, or in the next.
            nonlocal earlier, latest
            earlier, latest = latest, clock()
            if left == 10_000:
                loop.call_soon(tick)

        def callback():
            nonlocal left, start, finish
            if left == 10_000:
                start = earlier
            left -= 1
            if not left:
                finish = clock()
                done.set_result(None)

        # Far enough off that the slowest loop has set them all before the first is
        # due; all of them due within the same ten microseconds.
        first = loop.time() + 0.1
        for place in shuffled:
            loop.call_at(first + place * 1e-9, callback)
        latest = earlier = clock()
        spent += latest - start
        tick()
        await done
        spent += finish - start
    return spent


@row("future-ping-pong", "future ping-pong, per hand-over", batch=2)
async def future_ping_pong(n):
    loop = asyncio.get_running_loop()
    futures = [loop.create_future(), loop.create_future()]

    async def player(own, other):
        for _ in range(n // 2):
            await futures[own]
            futures[own] = loop.create_future()
            futures[other].set_result(None)

    tasks = [asyncio.create_task(player(0, 1)), asyncio.create_task(player(1, 0))]
    await asyncio.sleep(0)
    start = clock()
    futures[0].set_result(None)
    for task in tasks:
        await task
    return clock() - start


@row("wait-for", "wait_for a coroutine of one sleep(0)")
async def wait_for(n):
    async def step():
        await asyncio.sleep(0)

    start = clock()
    for _ in range(n):
        await asyncio.wait_for(step(), 60)
    return clock() - start


@row("timeout", "timeout() round one sleep(0)")
async def timeout(n):
    start = clock()
    for _ in range(n):
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
    return clock() - start


@row("run-in-executor", "run_in_executor", countable=False)
async def run_in_executor(n):
    loop = asyncio.get_running_loop()

    def call():
        pass

    await loop.run_in_executor(None, call)
    start = clock()
    for _ in range(n):
        await loop.run_in_executor(None, call)
    return clock() - start


@row("to-thread", "to_thread", countable=False)
async def to_thread(n):
    def call():
        pass

    await asyncio.to_thread(call)
    start = clock()
    for _ in range(n):
        await asyncio.to_thread(call)
    return clock() - start
