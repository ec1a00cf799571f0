"""The three kinds of awaitables, and how to make a kind of your own.

Coroutines, tasks and futures can stand behind `await`; so can any object with
an `__await__` method.
"""

import asyncio


async def coroutine():
    return "a coroutine"


class Countdown:
    """Lets the other tasks run `turns` times, then gives the number of turns."""

    def __init__(self, turns):
        self.turns = turns

    def __await__(self):
        for left in range(self.turns, 0, -1):
            print("  turns left:", left)
            # A bare yield gives the loop one turn, as `sleep(0)` does.
            yield
        return self.turns


class Delegating:
    """Awaits something else by means of its `__await__`."""

    def __await__(self):
        return asyncio.sleep(0.01, "delegated to sleep").__await__()


async def main():
    print(await coroutine())

    task = asyncio.create_task(coroutine())
    print("a task around", await task)

    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "a future")
    print(await future)

    print("a countdown took", await Countdown(3), "turns")
    print(await Delegating())
    print("gather takes any of them:", await asyncio.gather(coroutine(), Countdown(1), Delegating()))

    for thing in (coroutine, 42):
        try:
            await thing
        except TypeError as error:
            print("no awaitable:", error)


asyncio.run(main())
