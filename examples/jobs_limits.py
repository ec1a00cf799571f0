"""Background jobs of the package aiojobs: how many run at a time, and who waits for a place.

A scheduler runs up to `limit` jobs. Further ones are pending, and start in order when
a place is free. When as many are pending as may be, `spawn()` itself waits: whoever
makes work is slowed down to the pace at which it is done.

On rasyncio the package runs as it is; `rasyncio.scheduler` is the same, native.
"""

import asyncio

import aiojobs


async def download(name, seconds):
    print(f"  {name}: starts")
    await asyncio.sleep(seconds)
    print(f"  {name}: ends")
    return f"contents of {name}"


def look(scheduler):
    print(f"  {scheduler.active_count} active, {scheduler.pending_count} pending")


async def a_limit():
    print("two at a time:")
    async with aiojobs.Scheduler(limit=2) as scheduler:
        times = {"A": 0.02, "B": 0.05, "C": 0.06, "D": 0.06, "E": 0.06}
        jobs = [await scheduler.spawn(download(name, time), name) for name, time in times.items()]
        look(scheduler)
        for job in jobs:
            print("  waited for", job.get_name(), "and got", await job.wait())


async def back_pressure():
    print("one at a time, and one pending:")
    async with aiojobs.Scheduler(limit=1, pending_limit=1) as scheduler:
        for name in "ABCD":
            print("  spawning", name)
            await scheduler.spawn(download(name, 0.01))
            look(scheduler)


async def no_limit():
    print("any number:")
    async with aiojobs.Scheduler(limit=None) as scheduler:
        for number in range(1000):
            await scheduler.spawn(asyncio.sleep(0.01, number))
        look(scheduler)


async def main():
    await a_limit()
    await back_pressure()
    await no_limit()


asyncio.run(main())
