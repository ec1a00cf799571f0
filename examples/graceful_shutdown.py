"""A service that is told to stop: finish what was begun, take nothing new.

SIGTERM sets an event. The workers finish the item in hand, within a limit;
then resources are closed in the order opposite to their opening.
"""

import asyncio
import contextlib
import os
import signal


@contextlib.asynccontextmanager
async def resource(name):
    print(f"open {name}")
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print(f"close {name}")


async def worker(number, queue, finished):
    while True:
        item = await queue.get()
        # From here to the end the item is ours: a stop has to wait.
        await asyncio.shield(asyncio.sleep(0.05))
        finished.append(item)
        queue.task_done()


async def main():
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    async with resource("database"), resource("cache"):
        queue = asyncio.Queue()
        finished = []
        for item in range(3):
            queue.put_nowait(item)
        workers = [asyncio.create_task(worker(n, queue, finished)) for n in range(3)]

        loop.call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
        await stop.wait()
        print("asked to stop; finished so far:", finished)

        await asyncio.wait_for(queue.join(), timeout=5)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        print("workers are gone; finished:", sorted(finished))


asyncio.run(main())
print("good bye")
