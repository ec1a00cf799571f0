"""`gather` and cancellation, in both directions.

Cancelling the gather cancels its tasks. A task of it that is cancelled by
somebody else counts as one that raised CancelledError.
"""

import asyncio


async def worker(name):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        print(f"  {name} cleans up")
        raise


async def from_outside():
    print("the gather is cancelled:")
    group = asyncio.gather(worker("A"), worker("B"))
    await asyncio.sleep(0)
    print("  cancel():", group.cancel())
    try:
        await group
    except asyncio.CancelledError:
        print("  the gather raised CancelledError")


async def from_inside():
    print("one of its tasks is cancelled:")
    first = asyncio.create_task(worker("C"))
    second = asyncio.create_task(asyncio.sleep(0.01, "D is not touched"))
    asyncio.get_running_loop().call_soon(first.cancel)
    try:
        await asyncio.gather(first, second)
    except asyncio.CancelledError:
        print("  the gather raised CancelledError")
    print(" ", await second)


async def as_a_result():
    print("with return_exceptions:")
    first = asyncio.create_task(worker("E"))
    asyncio.get_running_loop().call_soon(first.cancel, "with a message")
    print(" ", await asyncio.gather(first, asyncio.sleep(0, "F"), return_exceptions=True))


async def by_timeout():
    print("a timeout around it:")
    try:
        async with asyncio.timeout(0.01):
            await asyncio.gather(worker("G"), worker("H"))
    except TimeoutError:
        print("  TimeoutError, and both are cancelled")


async def main():
    await from_outside()
    await from_inside()
    await as_a_result()
    await by_timeout()


asyncio.run(main())
