"""`Event`: tell every waiting task that something has happened."""

import asyncio


async def waiter(event, name):
    print(f"  {name} waits")
    print(f"  {name} goes on: {await event.wait()}")


async def main():
    event = asyncio.Event()
    print("set at the start:", event.is_set())

    waiters = [asyncio.create_task(waiter(event, name)) for name in "ABC"]
    await asyncio.sleep(0)
    print("set it: everybody goes on")
    event.set()
    await asyncio.gather(*waiters)

    print("once set, nobody waits:")
    await waiter(event, "D")

    event.clear()
    print("cleared:", not event.is_set())
    try:
        await asyncio.wait_for(event.wait(), timeout=0.01)
    except TimeoutError:
        print("waiting with a limit: TimeoutError")

    print("set and cleared at once still wakes who waited:")
    task = asyncio.create_task(waiter(event, "E"))
    await asyncio.sleep(0)
    event.set()
    event.clear()
    await task


asyncio.run(main())
