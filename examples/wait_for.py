"""`wait_for`: one awaitable, at most so many seconds.

In time, it hands back the result. Too late, it cancels, waits until the
cancelled task has cleaned up, and raises TimeoutError.
"""

import asyncio


async def work(seconds):
    try:
        await asyncio.sleep(seconds)
        return "done"
    except asyncio.CancelledError:
        print("  work: cancelled, cleaning up")
        await asyncio.sleep(0)
        print("  work: clean")
        raise


async def main():
    print("in time:", await asyncio.wait_for(work(0.01), timeout=5))

    print("too late:")
    try:
        await asyncio.wait_for(work(3600), timeout=0.01)
    except asyncio.TimeoutError:
        print("  TimeoutError")

    print("no limit:", await asyncio.wait_for(work(0.01), timeout=None))

    print("no time:")
    try:
        await asyncio.wait_for(asyncio.create_task(work(3600)), timeout=0)
    except TimeoutError:
        print("  TimeoutError, and the work never started")

    print("no limit either, cancelled from outside:")
    task = asyncio.create_task(asyncio.wait_for(work(3600), timeout=None))
    await asyncio.sleep(0.01)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("  CancelledError")


asyncio.run(main())
