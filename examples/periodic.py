"""Something every so often, without drifting: deadlines, not pauses."""

import asyncio


async def every(period, count, action):
    """Calls `action` at period, 2 * period, ... however long it takes."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(1, count + 1):
        await asyncio.sleep(start + number * period - loop.time())
        await action(number)
    return loop.time() - start


async def tick(number):
    print("  tick", number)
    await asyncio.sleep(0.01)


class Timer:
    """The same with callbacks: each call asks for the next."""

    def __init__(self, loop, period, count):
        self.loop, self.period, self.left = loop, period, count
        self.next = loop.time() + period
        self.finished = loop.create_future()
        self.handle = loop.call_at(self.next, self.fire)

    def fire(self):
        self.left -= 1
        print("  fire, left:", self.left)
        if not self.left:
            self.finished.set_result("fired out")
            return
        self.next += self.period
        self.handle = self.loop.call_at(self.next, self.fire)

    def cancel(self):
        self.handle.cancel()


async def main():
    print("a coroutine:")
    took = await every(0.03, 3, tick)
    print("  not sooner than asked:", took >= 0.09)

    print("callbacks:")
    timer = Timer(asyncio.get_running_loop(), 0.01, 3)
    print(" ", await timer.finished)

    print("until further notice, so cancelled:")
    task = asyncio.create_task(every(0.01, 10**9, tick_silently))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    print("  cancelled:", task.cancelled())


async def tick_silently(number):
    pass


asyncio.run(main())
