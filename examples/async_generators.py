"""Asynchronous generators, and how the loop ends those left unfinished."""

import asyncio
import contextlib


async def countdown(start):
    try:
        while start:
            yield start
            await asyncio.sleep(0)
            start -= 1
    finally:
        await asyncio.sleep(0)
        print("  countdown has cleaned up")


async def running_average():
    total, count, average = 0, 0, None
    while True:
        total += yield average
        count += 1
        average = total / count


async def main():
    print("to the end:", [number async for number in countdown(3)])

    print("left early, closed by hand:")
    async with contextlib.aclosing(countdown(9)) as numbers:
        async for number in numbers:
            if number == 7:
                break

    print("values sent in:")
    average = running_average()
    await anext(average)
    print("  ", [await average.asend(number) for number in (10, 20, 60)])
    await average.aclose()

    print("left early and forgotten: the loop closes it soon")
    async for _ in countdown(9):
        break
    await asyncio.sleep(0.01)

    print("left early and kept: the loop closes it when it ends")
    kept.append(countdown(9))
    await anext(kept[0])


kept = []
asyncio.run(main())
print("the loop is closed; the next number is", asyncio.run(anext(kept[0], "none")))
