"""Races and deadlocks: they happen in one thread as well.

A race needs an `await` between reading and writing; a deadlock needs two locks
taken in two orders.
"""

import asyncio


counter = 0


async def careless():
    global counter
    seen = counter
    await asyncio.sleep(0)
    counter = seen + 1


async def careful():
    global counter
    await asyncio.sleep(0)
    counter += 1


async def race(worker):
    global counter
    counter = 0
    await asyncio.gather(*(worker() for _ in range(100)))
    return counter


async def transfer(first, second):
    async with first:
        await asyncio.sleep(0)
        async with second:
            return "transferred"


async def both(*pairs):
    try:
        async with asyncio.timeout(0.05):
            return await asyncio.gather(*(transfer(*pair) for pair in pairs))
    except TimeoutError:
        return "deadlock"


async def main():
    print("100 increments with an await in the middle:", await race(careless))
    print("100 increments with the await before:      ", await race(careful))

    a, b = asyncio.Lock(), asyncio.Lock()
    print("locks in two orders:", await both((a, b), (b, a)))
    print("afterwards they are free:", not a.locked() and not b.locked())
    print("locks in one order: ", await both((a, b), (a, b)))


asyncio.run(main())
