"""Processes made by multiprocessing, each with a loop."""

import asyncio
import multiprocessing


async def square(number):
    await asyncio.sleep(0.001)
    return number * number


def work(number):
    return asyncio.run(square(number))


async def main():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(await asyncio.to_thread(pool.map, work, range(5)))


if __name__ == "__main__":
    asyncio.run(main())
