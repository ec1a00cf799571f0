"""`gather`: many awaitables at once, their results in the order given.

Coroutines become tasks; tasks and futures are taken as they are; one given
twice runs once.
"""

import asyncio


async def square(number, delay):
    await asyncio.sleep(delay)
    print("  ready:", number)
    return number * number


async def main():
    print("results keep the order of the arguments:")
    print(" ", await asyncio.gather(square(1, 0.09), square(2, 0.05), square(3, 0.01)))

    print("a mixture of awaitables:")
    task = asyncio.create_task(square(4, 0.01))
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, future.set_result, "a future")
    print(" ", await asyncio.gather(task, future, asyncio.sleep(0, "a coroutine")))

    print("the same task twice:")
    task = asyncio.create_task(square(5, 0))
    print(" ", await asyncio.gather(task, task))

    print("gathers nest:")
    print(
        " ",
        await asyncio.gather(
            asyncio.gather(square(6, 0), square(7, 0)),
            asyncio.gather(square(8, 0), square(9, 0)),
        ),
    )

    print("nothing to gather:", await asyncio.gather())


asyncio.run(main())
