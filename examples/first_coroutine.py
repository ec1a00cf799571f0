"""A coroutine function, the coroutine that calling it makes, and running it.

Calling an `async def` function runs none of its body. It makes a coroutine
object, and something has to drive that object: `asyncio.run`, `await`, or a
task.
"""

import asyncio
import inspect


async def double(number):
    print("  doubling", number)
    return number * 2


async def main():
    coroutine = double(21)
    print("calling double made a", type(coroutine).__name__)
    print("  state:", inspect.getcoroutinestate(coroutine))
    print("awaiting it:")
    print("  result:", await coroutine)
    print("  state:", inspect.getcoroutinestate(coroutine))

    # A coroutine runs once.
    try:
        await coroutine
    except RuntimeError as error:
        print("awaiting it again:", error)


print("double is a coroutine function:", inspect.iscoroutinefunction(double))
asyncio.run(main())

# What asyncio does underneath: push the coroutine on with `send` until it
# reports, with StopIteration, that it has returned.
coroutine = double(4)
try:
    coroutine.send(None)
except StopIteration as stop:
    print("driven by hand:", stop.value)
