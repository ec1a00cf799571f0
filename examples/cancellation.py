"""Cancelling: a request that the task hears at its next await.

It may clean up, it may refuse, and it can tell how often it was asked.
"""

import asyncio


async def cleans_up():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)
        print("  clean")


async def refuses():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        print("  asked", task.cancelling(), "time(s), left after uncancel:", task.uncancel())
    await asyncio.sleep(0)
    return "refused"


async def finishes_first():
    return "too quick to be cancelled"


async def try_to_cancel(coroutine):
    print(coroutine.__name__)
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    asked = task.cancel("please")
    try:
        print("  asked:", asked, "result:", await task)
    except asyncio.CancelledError as error:
        print("  asked:", asked, "CancelledError", error.args, "cancelled:", task.cancelled())


async def main():
    await try_to_cancel(cleans_up())
    await try_to_cancel(refuses())
    await try_to_cancel(finishes_first())

    print("cancelled before it began, its body never runs:")
    task = asyncio.create_task(cleans_up())
    task.cancel()
    await asyncio.wait([task])
    print("  cancelled:", task.cancelled())

    print("cancelled while it waits for another task, that one is cancelled too:")
    inner = asyncio.create_task(asyncio.sleep(3600))

    async def waits():
        await inner

    outer = asyncio.create_task(waits())
    await asyncio.sleep(0)
    outer.cancel()
    await asyncio.wait([inner, outer])
    print("  inner:", inner.cancelled(), "outer:", outer.cancelled())


asyncio.run(main())
