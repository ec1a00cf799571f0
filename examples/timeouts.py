"""`timeout` and `timeout_at`: a limit for a block of code.

The block is cancelled when its time is up, and the cancellation becomes
TimeoutError at its end. The limit can be moved while the block runs.
"""

import asyncio


async def too_long():
    print("too long:")
    try:
        async with asyncio.timeout(0.01) as limit:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print("  inside it is a CancelledError")
                raise
    except TimeoutError:
        print("  outside a TimeoutError; expired:", limit.expired())


async def in_time():
    async with asyncio.timeout(5) as limit:
        await asyncio.sleep(0.01)
    print("in time; expired:", limit.expired())


async def moved():
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        print("no limit yet:", limit.when())
        limit.reschedule(loop.time() + 60)
        print("limit set:", limit.when() > loop.time())
        await asyncio.sleep(0)
        limit.reschedule(None)
        print("taken away:", limit.when())


async def nested():
    print("nested, the outer one first:")
    try:
        async with asyncio.timeout(0.01):
            try:
                async with asyncio.timeout(3600):
                    await asyncio.sleep(7200)
            except TimeoutError:
                print("  never shown")
    except TimeoutError:
        print("  the outer one expired")


async def at_a_moment():
    deadline = asyncio.get_running_loop().time() + 0.3
    steps = 0
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                await asyncio.sleep(0.2)
                steps += 1
    except TimeoutError:
        print("one deadline for several waits; steps:", steps)


async def cancelled_by_somebody_else():
    async def work():
        async with asyncio.timeout(3600):
            await asyncio.sleep(7200)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    print("a cancellation from elsewhere stays one:", task.cancelled())


async def main():
    await too_long()
    await in_time()
    await moved()
    await nested()
    await at_a_moment()
    await cancelled_by_somebody_else()


asyncio.run(main())
