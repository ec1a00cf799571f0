"""`wait` with a timeout: the loop over results as they come.

When the time is up `wait` raises nothing. What is not done is in the second
set, and goes on.
"""

import asyncio


async def work(name, delay):
    await asyncio.sleep(delay)
    return name


async def main():
    tasks = {asyncio.create_task(work(name, delay)) for name, delay in (("A", 0.01), ("B", 0.3))}
    done, pending = await asyncio.wait(tasks, timeout=0.1)
    print("in time: ", [task.result() for task in done])
    print("not done:", len(pending), "cancelled:", [task.cancelled() for task in pending])

    done, pending = await asyncio.wait(pending)
    print("waited on:", [task.result() for task in done])

    print("no time at all:")
    task = asyncio.create_task(work("C", 0.01))
    done, pending = await asyncio.wait({task}, timeout=0)
    print("  done:", len(done), "pending:", len(pending))
    await task

    print("one after the other, as they finish:")
    pending = {asyncio.create_task(work(name, n * 0.04)) for n, name in enumerate("DEF")}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        print("  ", [task.result() for task in done], "left:", len(pending))


asyncio.run(main())
