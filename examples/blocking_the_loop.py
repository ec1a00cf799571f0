"""A blocking call stops everything; three ways out.

While one task computes or sleeps the blocking way, no other task runs and
every timer is late.
"""

import asyncio
import time


async def heartbeat(beats):
    while True:
        await asyncio.sleep(0.01)
        beats.append(None)


async def blocks():
    time.sleep(0.1)


async def in_a_thread():
    await asyncio.to_thread(time.sleep, 0.1)


async def in_an_executor():
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.1)


async def in_slices():
    # Work that cannot go elsewhere can at least make room in between.
    for _ in range(10):
        time.sleep(0.01)
        await asyncio.sleep(0)


async def main():
    for work in (blocks, in_a_thread, in_an_executor, in_slices):
        beats = []
        task = asyncio.create_task(heartbeat(beats))
        await asyncio.sleep(0)
        await work()
        print(f"{work.__name__:15} the others ran meanwhile: {bool(beats)}")
        task.cancel()

    print("late, not lost:")
    loop = asyncio.get_running_loop()
    timer = asyncio.create_task(asyncio.sleep(0.01, "a timer of 10 ms"))
    await asyncio.sleep(0)
    start = loop.time()
    time.sleep(0.05)
    print("  ", await timer, "came after the block:", loop.time() - start >= 0.05)


asyncio.run(main())
