"""The jobs of schedulers."""

import asyncio
import contextlib
import importlib

from .register import batches, fails, forever, ignore, nothing, workload


def jobs_of(aio):
    """The module with the Scheduler that goes with `aio`."""
    return importlib.import_module("aiojobs" if aio is asyncio else f"{aio.__name__}.scheduler")


@workload
async def jobs(aio, count):
    async with jobs_of(aio).Scheduler(limit=10) as scheduler:
        for size in batches(count, 50):
            for number in range(size):
                job = await scheduler.spawn(nothing(), f"job {number}")
            await job.wait()


@workload
async def jobs_that_wait_to_be_spawned(aio, count):
    async with jobs_of(aio).Scheduler(limit=2, pending_limit=2) as scheduler:
        for _ in range(count // 4):
            await scheduler.spawn(aio.sleep(0))


@workload
async def jobs_that_fail(aio, count):
    async with jobs_of(aio).Scheduler(exception_handler=ignore) as scheduler:
        for _ in range(count // 4):
            await scheduler.spawn(fails())
            with contextlib.suppress(ValueError):
                await (await scheduler.spawn(fails())).wait(timeout=60)


@workload
async def jobs_closed(aio, count):
    scheduler = jobs_of(aio).Scheduler(limit=2, pending_limit=3)
    for _ in range(count // 16):
        jobs = [await scheduler.spawn(forever()) for _ in range(5)]
        waiting = [aio.create_task(scheduler.spawn(forever())) for _ in range(2)]
        waiting += [aio.create_task(job.wait()) for job in jobs]
        await aio.sleep(0)
        waiting[0].cancel()
        for job in jobs:
            await job.close()
        for job in list(scheduler):
            await job.close()
        await aio.wait(waiting)
    await scheduler.close()


@workload
async def schedulers(aio, count):
    for number in range(count // 16):
        async with jobs_of(aio).Scheduler(limit=1, wait_timeout=0 if number % 4 else 60) as scheduler:
            await scheduler.spawn(nothing())
            if number % 4:
                await scheduler.spawn(forever())
                outer = scheduler.shield(forever())
            else:
                outer = scheduler.shield(nothing())
        await aio.wait([outer])
