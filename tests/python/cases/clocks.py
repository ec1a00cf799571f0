"""A loop whose `time` is the program's own: timers follow it, as in tests that hold time still."""

import asyncio
import socket
import threading
import time
from unittest import mock


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def case_a_timer_is_due_when_the_patched_time_says_so():
    loop = asyncio.get_running_loop()
    now = loop.time()
    fired = []
    with mock.patch.object(loop, "time") as clock:
        clock.return_value = now
        handle = loop.call_later(3600, fired.append, "hour")
        print("an hour from now:", handle.when() == now + 3600)
        await turns(3)
        print("before", fired)
        clock.return_value = now + 3599.999
        await turns(3)
        print("just before", fired)
        clock.return_value = now + 3600
        await turns(2)
        print("then", fired)


async def case_the_clock_is_the_loops_own_again_after_a_patch():
    loop = asyncio.get_running_loop()
    with mock.patch.object(loop, "time", lambda: 5.0):
        print(loop.time(), loop.call_later(1, print).when())
    started = loop.time()
    await asyncio.sleep(0.01)
    print("it goes on:", started + 0.01 <= loop.time() < started + 5)


async def case_a_clock_that_stands_still_fires_nothing():
    loop = asyncio.get_running_loop()
    standing = loop.time()
    loop.time = lambda: standing
    fired = []
    handle = loop.call_later(0.001, fired.append, 1)
    reached = loop.create_future()
    loop.call_soon_threadsafe(reached.set_result, None)
    await reached
    await turns(5)
    print(fired)
    handle.cancel()
    del loop.time


async def case_sleep_and_timeouts_follow_a_clock_that_leaps():
    loop = asyncio.get_running_loop()
    now = loop.time()
    skipped = 0.0

    def leap(seconds):
        nonlocal skipped
        skipped += seconds

    loop.time = lambda: now + skipped
    loop.call_soon(leap, 100)
    await asyncio.sleep(100)
    print("slept", round(loop.time() - now, 6))
    loop.call_soon(leap, 30)
    try:
        async with asyncio.timeout(30):
            await loop.create_future()
    except TimeoutError:
        print("timed out")
    loop.call_soon(leap, 30)
    try:
        await asyncio.wait_for(loop.create_future(), 30)
    except TimeoutError:
        print("waited")
    del loop.time


def case_a_loop_class_with_a_clock_of_its_own():
    class Loop(asyncio.SelectorEventLoop):
        clock = 0.0

        def time(self):
            return self.clock

    loop = Loop()
    order = []

    def pass_time(seconds):
        loop.clock += seconds
        order.append(loop.clock)
        if loop.clock < 5:
            loop.call_soon(pass_time, seconds)

    async def sleeper(seconds):
        await asyncio.sleep(seconds)
        order.append(f"slept {seconds}")

    async def main():
        loop.call_soon(pass_time, 1)
        await asyncio.gather(sleeper(3), sleeper(1.5), sleeper(0.25))

    loop.run_until_complete(main())
    loop.close()
    print(order)


def case_a_clock_that_raises_ends_the_run_and_loses_no_timer():
    loop = asyncio.new_event_loop()

    def broken():
        raise ValueError("no time")

    fired = []
    loop.call_later(0, fired.append, 1)
    loop.time = broken
    try:
        loop.run_forever()
    except ValueError as error:
        print("raised", error, fired)
    del loop.time
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    print(fired)
    loop.close()


def leaping(loop):
    """Time leaps to the next timer, as libraries for tests let it; answers the list of the leaps."""
    selector = loop._selector
    former = selector.select
    now = 1000.0
    leaps = []

    def select(timeout):
        nonlocal now
        events = former(0)
        if not events and timeout:
            now += timeout
            leaps.append(round(timeout, 3))
        return events

    selector.select = select
    loop.time = lambda: now
    return leaps


async def case_time_leaps_where_the_selector_is_patched():
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    leaps = leaping(loop)
    await asyncio.sleep(100)
    try:
        async with asyncio.timeout(1000):
            await asyncio.Event().wait()
    except TimeoutError:
        print("timed out at", round(loop.time(), 3))
    await asyncio.gather(*(asyncio.sleep(seconds) for seconds in (30, 10, 20)))
    print(leaps, time.monotonic() - started < 10)
    del loop._selector.select, loop.time


async def case_a_patched_selector_sees_descriptors():
    loop = asyncio.get_running_loop()
    seen = []
    former = loop._selector.select

    def select(timeout):
        events = former(timeout)
        seen.append(bool(events))
        return events

    loop._selector.select = select
    a, b = socket.socketpair()
    with a, b:
        arrived = loop.create_future()
        loop.add_reader(a, arrived.set_result, True)
        threading.Timer(0.01, b.send, [b"x"]).start()
        print(await arrived, any(seen))
        loop.remove_reader(a)
    del loop._selector.select


def case_a_selector_that_raises_ends_the_run():
    loop = asyncio.new_event_loop()

    def select(timeout):
        raise ValueError("no events")

    loop._selector.select = select
    try:
        loop.run_forever()
    except ValueError as error:
        print("raised", error)
    del loop._selector.select
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()


def case_a_loop_that_gets_another_class():
    class Late(type(loop := asyncio.new_event_loop())):
        now = 5.0

        def time(self):
            return self.now

    loop.__class__ = Late
    fired = []

    def leap():
        loop.now = 10.0
        loop.call_soon(loop.stop)

    print(loop.call_later(1, fired.append, 1).when())
    loop.call_soon(leap)
    loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0))
    print(fired)
    loop.close()


async def case_sums_that_differ_in_the_last_bit_are_equal():
    loop = asyncio.get_running_loop()
    for start in (0.1, 3.0000000005, 4000.0000000004, 12345.6789012345):
        skipped = 0.0
        loop.time = lambda: start + skipped  # noqa: B023
        skipped = 0.7
        reached = asyncio.gather(*(asyncio.sleep(part / 10) for part in range(1, 9)))
        for _ in range(8):
            await asyncio.sleep(0)
            skipped += 0.1
        await reached
        print(start)
    del loop.time
