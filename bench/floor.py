"""The interpreter's floor under the rows that have one.

Each function does the interpreter's part of the row of the same name, and
nothing of the loop's: see floor.c for what that leaves.
"""

import asyncio

from rasyncio_floor import call, drive, spawn

from rows import clock
from rows.scheduling import nothing


def timed(function, *args):
    start = clock()
    function(*args)
    return clock() - start


async def sleeper(times):
    # Stock asyncio's sleep(0): two Python coroutines round a bare `yield`.
    for _ in range(times):
        await asyncio.sleep(0)


def sleep0_alone(n):
    return timed(drive, [sleeper(n)])


def sleep0_crowd(n):
    return timed(drive, [sleeper(n // 1000) for _ in range(1000)])


def spawned(n):
    return timed(spawn, nothing, n // 100)


def called(n):
    left = n

    def callback():
        nonlocal left
        left -= 1

    return timed(call, callback, n)


FLOOR = {
    "sleep0-1": sleep0_alone,
    "sleep0-1000": sleep0_crowd,
    "create-task": spawned,
    "gather": spawned,
    "taskgroup": spawned,
    "call-soon-chained": called,
    "call-soon-burst": called,
}
