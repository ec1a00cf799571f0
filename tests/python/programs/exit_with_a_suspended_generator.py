"""Generators and coroutines that are suspended for ever when the interpreter ends."""

import asyncio
import sys


async def numbers():
    try:
        yield 1
        yield 2
    finally:
        pass


async def wait(future):
    await future


async def main():
    generator = numbers()
    await anext(generator)
    sys.generator = generator
    coroutine = wait(asyncio.get_running_loop().create_future())
    coroutine.send(None)
    sys.coroutine = coroutine


loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
print("leaving")
