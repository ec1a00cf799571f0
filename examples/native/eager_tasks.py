"""Eager tasks: start at once, and never reach the loop when they need not wait.

asyncio has them from 3.12 on; rasyncio has them on every version.
"""

import rasyncio as asyncio


async def cached(key, cache):
    print("  looking up", key)
    if key not in cache:
        await asyncio.sleep(0)
        cache[key] = key.upper()
    return cache[key]


async def main():
    loop = asyncio.get_running_loop()
    cache = {"a": "A"}

    print("an ordinary task starts later:")
    task = asyncio.create_task(cached("a", cache))
    print("  done at once:", task.done(), "result:", await task)

    loop.set_task_factory(asyncio.eager_task_factory)
    print("an eager task starts in create_task:")
    task = asyncio.create_task(cached("a", cache))
    print("  done at once:", task.done(), "result:", task.result())

    print("it becomes an ordinary one when it has to wait:")
    task = asyncio.create_task(cached("b", cache), name="waits")
    print("  done at once:", task.done(), "listed:", task in asyncio.all_tasks())
    print("  result:", await task)

    print("while it starts, the current task is another:")

    main_task = asyncio.current_task()

    async def am_i_main():
        return asyncio.current_task() is main_task

    print("  in the eager one:", asyncio.create_task(am_i_main()).result())
    print("  and afterwards:  ", await am_i_main())

    print("gather, all from the cache:", await asyncio.gather(cached("a", cache), cached("b", cache)))

    loop.set_task_factory(None)
    print("one task only:")
    task = asyncio.Task(cached("a", cache), loop=loop, eager_start=True)
    print("  done at once:", task.done())


asyncio.run(main())
