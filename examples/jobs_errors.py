"""What becomes of errors in background jobs: told to whoever waits, or else to a handler.

Nobody has to await a job. If somebody does, `wait()` raises what the job has raised;
if nobody does, the scheduler's exception handler is told, or the loop's.
"""

import asyncio

import aiojobs


async def divide(one, other):
    await asyncio.sleep(0.01)
    return one / other


def handler(scheduler, context):
    print(f"  handler: {context['message']}: {context['exception']!r}, {context['job'].get_name()}")


async def nobody_waits():
    print("nobody waits:")
    async with aiojobs.Scheduler(exception_handler=handler) as scheduler:
        await scheduler.spawn(divide(1, 0), name="one by zero")
        await scheduler.spawn(divide(1, 2), name="one by two")


async def somebody_waits():
    print("somebody waits:")
    async with aiojobs.Scheduler(exception_handler=handler) as scheduler:
        job = await scheduler.spawn(divide(1, 0))
        try:
            await job.wait()
        except ZeroDivisionError as error:
            print("  raised:", error)


async def too_long():
    print("somebody waits, but not for long:")
    async with aiojobs.Scheduler(exception_handler=handler) as scheduler:
        job = await scheduler.spawn(asyncio.sleep(3600))
        try:
            await job.wait(timeout=0.01)
        except TimeoutError:
            print("  timed out; the job is", "closed" if job.closed else "active")


async def the_handler_of_the_loop():
    print("without a handler, the loop's is told:")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: print("  loop:", repr(context["exception"])))
    async with aiojobs.Scheduler() as scheduler:
        await scheduler.spawn(divide(1, 0))


async def main():
    await nobody_waits()
    await somebody_waits()
    await too_long()
    await the_handler_of_the_loop()


asyncio.run(main())
