"""`sys.exit` in a task ends the program with that code."""

import asyncio
import sys


async def work():
    await asyncio.sleep(0)
    sys.exit(5)


async def main():
    task = asyncio.create_task(work())
    try:
        await asyncio.sleep(60)
    finally:
        print("main is cleaned up", repr(task.exception()))


asyncio.run(main())
