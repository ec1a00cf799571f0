"""Task groups: no task outlives the block that made it.

The end of the block waits for all tasks. A task of the group may add more.
"""

import asyncio


async def crawl(group, found, page, depth):
    await asyncio.sleep(0)
    found.append(page)
    if depth:
        for link in "ab":
            group.create_task(crawl(group, found, page + link, depth - 1))


async def main():
    print("results:")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(asyncio.sleep(0.02, "one"), name="first")
        second = group.create_task(asyncio.sleep(0.01, "two"))
        print("  inside:", first.get_name(), first.done(), second.done())
    print("  after: ", first.result(), second.result())

    print("tasks that make tasks:")
    found = []
    async with asyncio.TaskGroup() as group:
        group.create_task(crawl(group, found, "/", depth=2))
    print("  ", found)

    print("nested groups:")
    async with asyncio.TaskGroup() as outer:
        outer.create_task(asyncio.sleep(0))
        async with asyncio.TaskGroup() as inner:
            task = inner.create_task(asyncio.sleep(0.01, "inner"))
        print("  ", task.result(), "ended first")

    late = asyncio.sleep(0)
    try:
        group.create_task(late)
    except RuntimeError as error:
        print("too late:", str(error).partition(">")[2].strip())
    finally:
        late.close()


asyncio.run(main())
