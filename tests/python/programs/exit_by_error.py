"""An error that nobody catches: its traceback names the program's own lines."""

import asyncio


async def inner():
    await asyncio.sleep(0)
    raise ValueError("from the inside")


async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(inner())
        group.create_task(asyncio.sleep(60))


try:
    asyncio.run(main())
except* ValueError:
    print("caught once")

asyncio.run(inner())
