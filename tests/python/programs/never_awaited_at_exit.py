"""A coroutine that nobody awaits, noticed at the very end."""

import asyncio


async def work():
    pass


async def main():
    asyncio.get_running_loop()


asyncio.run(main())
coroutine = work()
print("leaving")
