"""Producers and consumers around a queue, ended by `join`.

`task_done` tells the queue that an item has been worked on; `join` waits until
that is so for every item ever put.
"""

import asyncio


async def producer(queue, name, count):
    for number in range(count):
        await queue.put(f"{name}{number}")
    print(f"  {name} has produced {count}")


async def consumer(queue, done):
    while True:
        item = await queue.get()
        try:
            await asyncio.sleep(0.005)
            done.append(item)
        finally:
            queue.task_done()


async def main():
    queue = asyncio.Queue(maxsize=3)
    done = []
    consumers = [asyncio.create_task(consumer(queue, done)) for _ in range(2)]

    print("producing:")
    await asyncio.gather(producer(queue, "a", 4), producer(queue, "b", 4))
    await queue.join()
    print("all done:", sorted(done))

    # Consumers run for ever; when there is nothing left, they are sent home.
    for task in consumers:
        task.cancel()
    results = await asyncio.gather(*consumers, return_exceptions=True)
    print("consumers:", [type(result).__name__ for result in results])

    try:
        queue.task_done()
    except ValueError as error:
        print("too often:", error)


asyncio.run(main())
