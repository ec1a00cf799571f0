"""The same two waits, one after the other and at the same time.

Awaiting a coroutine waits for it there and then. Only what was made a task
goes on while somebody else waits.
"""

import asyncio


async def fetch(name, seconds):
    print(f"  {name}: asked")
    await asyncio.sleep(seconds)
    print(f"  {name}: answered")
    return name


async def one_after_the_other():
    return [await fetch("slow", 0.08), await fetch("quick", 0.04)]


async def both_at_once():
    slow = asyncio.create_task(fetch("slow", 0.08))
    quick = asyncio.create_task(fetch("quick", 0.04))
    return [await slow, await quick]


async def tasks_made_too_late():
    # The second task does not exist while the first is awaited.
    first = await asyncio.create_task(fetch("slow", 0.08))
    return [first, await asyncio.create_task(fetch("quick", 0.04))]


async def main():
    loop = asyncio.get_running_loop()
    took = {}
    for way in (one_after_the_other, both_at_once, tasks_made_too_late):
        print(way.__name__)
        start = loop.time()
        results = await way()
        took[way] = loop.time() - start
        print("  results:", results)
    print("both at once is quicker:", took[both_at_once] < took[one_after_the_other])
    print("being late saves nothing:", took[tasks_made_too_late] >= 0.12)


asyncio.run(main())
