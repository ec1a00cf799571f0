"""`Barrier`: wait until so many tasks have arrived, then go on together."""

import asyncio


async def work(barrier, name, delay):
    await asyncio.sleep(delay)
    print(f"  {name} arrives, {barrier.n_waiting} wait")
    position = await barrier.wait()
    return name, position


async def main():
    print("three meet:")
    barrier = asyncio.Barrier(3)
    people = [work(barrier, name, n * 0.03) for n, name in enumerate(("ann", "bob", "cem"))]
    print(" ", await asyncio.gather(*people))

    print("it can be used again, here as a context manager:")

    async def phases(name):
        for phase in range(2):
            async with barrier as position:
                # One of them, the last to arrive, can do the common chores.
                if position == barrier.parties - 1:
                    print(f"  phase {phase}: all here")

    await asyncio.gather(*(phases(name) for name in "xyz"))

    print("broken by one who does not wait for ever:")
    lonely = asyncio.create_task(barrier.wait())
    await asyncio.sleep(0)
    await barrier.abort()
    try:
        await lonely
    except asyncio.BrokenBarrierError:
        print("  BrokenBarrierError; broken:", barrier.broken)
    await barrier.reset()
    print("  repaired:", not barrier.broken)


asyncio.run(main())
