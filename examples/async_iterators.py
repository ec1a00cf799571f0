"""Asynchronous iterators: `async for` over what has to be waited for.

`__aiter__` is a plain method; `__anext__` is awaited and ends the iteration
with StopAsyncIteration.
"""

import asyncio


class Ticker:
    """Counts, with a pause before each number."""

    def __init__(self, stop):
        self.number = 0
        self.stop = stop

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.number == self.stop:
            raise StopAsyncIteration
        await asyncio.sleep(0.001)
        self.number += 1
        return self.number


async def watch(name, stop, log):
    async for number in Ticker(stop):
        log.append(f"{name}{number}")


async def main():
    print("async for:")
    async for number in Ticker(3):
        print("  ", number)
    else:
        print("   else: ran to its end")

    print("by hand:")
    iterator = aiter(Ticker(1))
    print("  ", await anext(iterator), await anext(iterator, "nothing left"))

    log = []
    await asyncio.gather(watch("a", 3, log), watch("b", 3, log))
    print("two at once take turns:", sorted(log))


asyncio.run(main())
