"""Context variables: every task has its own copy.

A task copies the context in which it was made. What it sets, nobody else sees,
unless a context is passed on purpose.
"""

import asyncio
import contextvars

request = contextvars.ContextVar("request", default="none")


async def handle(name):
    request.set(name)
    await asyncio.sleep(0)
    return await deep_inside()


async def deep_inside():
    # No argument was passed down here.
    return f"handled {request.get()}"


def callback(label):
    print(f"  {label}: {request.get()}")


async def main():
    print(await asyncio.gather(handle("one"), handle("two")))
    print("here it is still:", request.get())

    request.set("main's")
    task = asyncio.create_task(deep_inside())
    request.set("changed later")
    print("a task sees the moment of its birth:", await task)

    print("callbacks:")
    loop = asyncio.get_running_loop()
    loop.call_soon(callback, "as it is now")
    other = contextvars.copy_context()
    other.run(request.set, "another")
    loop.call_soon(callback, "in a context of its own", context=other)
    await asyncio.sleep(0)

    print("a context shared on purpose:")
    shared = contextvars.copy_context()
    await asyncio.create_task(handle("shared"), context=shared)
    print("  ", shared[request])


asyncio.run(main())
