"""Ending a program that has background jobs: what may finish, and what is cancelled.

`close()` cancels all jobs, and gives them `close_timeout` seconds to clean up.
`wait_and_close()`, and leaving an `async with` block, lets them finish first, for
`wait_timeout` seconds at most. `shield()` protects work from the cancellation of
whoever has asked for it; the scheduler waits for that, too.
"""

import asyncio

import aiojobs


async def work(name, seconds, clean_up=0):
    try:
        await asyncio.sleep(seconds)
        print(f"  {name}: done")
    except asyncio.CancelledError:
        await asyncio.sleep(clean_up)
        print(f"  {name}: cleaned up")
        raise


def handler(scheduler, context):
    print(f"  handler: {context['message']}, {context['job'].get_name()}")


async def closing():
    print("close() cancels:")
    scheduler = aiojobs.Scheduler(limit=3, close_timeout=0.1, exception_handler=handler)
    jobs = [
        await scheduler.spawn(work("quick", 0)),
        await scheduler.spawn(work("slow", 3600, clean_up=0.01)),
        await scheduler.spawn(work("too slow", 3600, clean_up=3600), name="too slow"),
        await scheduler.spawn(work("pending", 0)),
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await scheduler.close()
    print(" ", scheduler, [job.closed for job in jobs])
    late = work("late", 0)
    try:
        await scheduler.spawn(late)
    except RuntimeError as error:
        print("  refused:", error)
        late.close()


async def waiting():
    print("wait_and_close() waits:")
    scheduler = aiojobs.Scheduler()
    await scheduler.spawn(work("patient", 0.05))
    await scheduler.wait_and_close()

    print("though not for ever:")
    scheduler = aiojobs.Scheduler()
    await scheduler.spawn(work("in time", 0.01))
    await scheduler.spawn(work("endless", 3600))
    await scheduler.wait_and_close(timeout=0.05)


async def shielding():
    print("shielded work outlives who has asked for it:")
    async with aiojobs.Scheduler() as scheduler:

        async def request():
            await scheduler.shield(work("transaction", 0.02))

        task = asyncio.create_task(request())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        print("  request cancelled:", task.cancelled())


async def main():
    await closing()
    await waiting()
    await shielding()


asyncio.run(main())
