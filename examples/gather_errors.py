"""`gather` and errors: the first one at once, or all of them as results.

Without `return_exceptions` the first error is raised where the gather is
awaited, and the other tasks go on. With it, errors are results.
"""

import asyncio


async def factorial(name, number):
    if number < 0:
        raise ValueError(f"{name}: no factorial of {number}")
    result = 1
    for factor in range(2, number + 1):
        print(f"  {name}: times {factor}")
        await asyncio.sleep(0)
        result *= factor
    print(f"  {name}: {number}! = {result}")
    return result


async def first_error():
    print("the first error is raised:")
    others = [asyncio.create_task(factorial(name, n)) for name, n in (("A", 3), ("B", 4))]
    try:
        await asyncio.gather(*others, factorial("C", -1))
    except ValueError as error:
        print("  raised:", error)
    print("  the others are", ["done" if task.done() else "still running" for task in others])
    await asyncio.wait(others)


async def as_results():
    print("errors as results:")
    results = await asyncio.gather(
        factorial("A", 3),
        factorial("B", -2),
        factorial("C", "four"),
        factorial("D", 2),
        return_exceptions=True,
    )
    for result in results:
        print("  result:", repr(result))


async def main():
    await first_error()
    await as_results()


asyncio.run(main())
