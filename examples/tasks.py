"""Tasks: coroutines that run on their own.

Three ways to make one, what a task is called, when it starts, and that its
result can be had later or more than once.
"""

import asyncio


async def greet(name):
    print("  hello from", name)
    await asyncio.sleep(0)
    print("  goodbye from", name)
    return name.upper()


async def main():
    loop = asyncio.get_running_loop()

    high_level = asyncio.create_task(greet("create_task"), name="named at birth")
    older = asyncio.ensure_future(greet("ensure_future"))
    low_level = loop.create_task(greet("loop.create_task"))
    older.set_name("named later")

    # Making a task does not run it: it starts when this one waits.
    print("all made, none started")
    for task in (high_level, older):
        print("  name:", task.get_name())

    print("first turn")
    await asyncio.sleep(0)
    print("second turn")
    for task in (high_level, older, low_level):
        print("  result:", await task)

    print("a result stays:", await low_level, low_level.result())
    print("ensure_future leaves a task as it is:", asyncio.ensure_future(older) is older)


asyncio.run(main())
