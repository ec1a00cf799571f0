"""`Semaphore`: so many at a time, and no more.

The bounded kind also notices when it is released more often than acquired.
"""

import asyncio


class Meter:
    """Counts how many are inside and remembers the most."""

    def __init__(self):
        self.inside = self.most = 0

    def __enter__(self):
        self.inside += 1
        self.most = max(self.most, self.inside)

    def __exit__(self, *exc_info):
        self.inside -= 1


async def visit(semaphore, meter, number):
    async with semaphore:
        with meter:
            await asyncio.sleep(0.01)
    return number


async def main():
    for limit in (1, 3):
        semaphore, meter = asyncio.Semaphore(limit), Meter()
        visitors = await asyncio.gather(*(visit(semaphore, meter, n) for n in range(7)))
        print(f"limit {limit}: {len(visitors)} visitors, at most {meter.most} at a time")

    semaphore = asyncio.Semaphore(2)
    await semaphore.acquire()
    print("one place left, locked:", semaphore.locked())
    await semaphore.acquire()
    print("no place left, locked:", semaphore.locked())
    semaphore.release()
    semaphore.release()
    semaphore.release()
    print("a plain semaphore grows when released too often:", not semaphore.locked())

    bounded = asyncio.BoundedSemaphore(1)
    try:
        bounded.release()
    except ValueError as error:
        print("a bounded one does not:", error)


asyncio.run(main())
