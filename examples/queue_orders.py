"""`LifoQueue` and `PriorityQueue`: last in first out, and lowest first."""

import asyncio
import dataclasses


@dataclasses.dataclass(order=True)
class Job:
    priority: int
    name: str = dataclasses.field(compare=False)


async def drain(queue):
    return [await queue.get() for _ in range(queue.qsize())]


async def main():
    for kind in (asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue):
        queue = kind()
        for number in (3, 1, 2):
            await queue.put(number)
        print(f"{kind.__name__:14}", await drain(queue))

    queue = asyncio.PriorityQueue()
    for job in (Job(5, "sweep"), Job(1, "put out the fire"), Job(3, "cook")):
        queue.put_nowait(job)
    for job in await drain(queue):
        print("  ", job.priority, job.name)


asyncio.run(main())
