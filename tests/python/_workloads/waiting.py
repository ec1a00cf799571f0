"""Waiting for one or for several: `gather`, `wait`, `wait_for`, timeouts, groups."""

import contextlib

from .register import fails, forever, nothing, workload


@workload
async def gathers(aio, count):
    for _ in range(count // 4):
        await aio.gather(nothing(), nothing(), fails(), return_exceptions=True)


@workload
async def gathers_that_fail(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(ValueError):
            await aio.gather(nothing(), fails())


@workload
async def gathers_cancelled(aio, count):
    for _ in range(count // 4):
        group = aio.gather(forever(), forever())
        await aio.sleep(0)
        group.cancel()
        with contextlib.suppress(aio.CancelledError):
            await group


@workload
async def waits(aio, count):
    for _ in range(count // 4):
        await aio.wait([aio.create_task(nothing()), aio.create_task(nothing())], timeout=3600)


@workload
async def waits_that_time_out(aio, count):
    future = aio.get_running_loop().create_future()
    for _ in range(count // 4):
        await aio.wait([future], timeout=0)


@workload
async def wait_fors(aio, count):
    for _ in range(count // 2):
        await aio.wait_for(nothing(), 3600)


@workload
async def wait_fors_that_time_out(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(TimeoutError):
            await aio.wait_for(forever(), 0)


@workload
async def wait_fors_cancelled(aio, count):
    for _ in range(count // 4):
        task = aio.create_task(aio.wait_for(forever(), 3600))
        await aio.sleep(0)
        task.cancel()
        with contextlib.suppress(aio.CancelledError):
            await task


@workload
async def shields(aio, count):
    for _ in range(count // 4):
        outer = aio.shield(nothing())
        await outer
        inner = aio.create_task(nothing())
        aio.shield(inner).cancel()
        await inner


@workload
async def timeouts(aio, count):
    for _ in range(count // 2):
        async with aio.timeout(3600):
            await aio.sleep(0)


@workload
async def timeouts_that_expire(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(TimeoutError):
            async with aio.timeout(0):
                await forever()


@workload
async def task_groups(aio, count):
    for _ in range(count // 4):
        async with aio.TaskGroup() as group:
            group.create_task(nothing())
            group.create_task(nothing())


@workload
async def task_groups_that_fail(aio, count):
    for _ in range(count // 4):
        with contextlib.suppress(ExceptionGroup):
            async with aio.TaskGroup() as group:
                group.create_task(fails())
                group.create_task(forever())


@workload
async def as_completed(aio, count):
    for _ in range(count // 4):
        for completed in aio.as_completed([nothing(), nothing()]):
            await completed
