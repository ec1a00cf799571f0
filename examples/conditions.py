"""`Condition`: wait until something became true, holding a lock when it is."""

import asyncio


class Kitchen:
    """Guests wait for dishes; the cook tells them when there are some."""

    def __init__(self):
        self.dishes = 0
        self.changed = asyncio.Condition()

    async def cook(self, count):
        async with self.changed:
            self.dishes += count
            print(f"  cook: {self.dishes} ready")
            self.changed.notify(count)

    async def guest(self, name):
        async with self.changed:
            await self.changed.wait_for(lambda: self.dishes > 0)
            self.dishes -= 1
            print(f"  {name} eats, {self.dishes} left")


async def main():
    print("notify as many as there is for:")
    kitchen = Kitchen()
    guests = [asyncio.create_task(kitchen.guest(name)) for name in ("ann", "bob", "cem")]
    await asyncio.sleep(0)
    await kitchen.cook(1)
    await asyncio.sleep(0.01)
    print("  served:", sum(guest.done() for guest in guests))
    await kitchen.cook(2)
    await asyncio.gather(*guests)

    print("notify everybody:")
    start = asyncio.Condition()

    async def runner(number):
        async with start:
            await start.wait()
            print("  runs:", number)

    runners = [asyncio.create_task(runner(number)) for number in range(3)]
    await asyncio.sleep(0)
    async with start:
        start.notify_all()
        print("  notified, but the lock is still mine:", start.locked())
    await asyncio.gather(*runners)

    try:
        start.notify()
    except RuntimeError as error:
        print("without the lock:", error)


asyncio.run(main())
