"""Asynchronous context managers: awaiting at the start and end of a block."""

import asyncio
import contextlib


class Connection:
    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        await asyncio.sleep(0)
        print(f"  {self.name} opened")
        return self

    async def __aexit__(self, kind, error, traceback):
        await asyncio.sleep(0)
        print(f"  {self.name} closed,", "no error" if kind is None else kind.__name__)
        return kind is KeyError


@contextlib.asynccontextmanager
async def transaction(connection):
    print(f"  begin on {connection.name}")
    try:
        yield connection
    except ValueError:
        print("  roll back")
        raise
    else:
        print("  commit")


async def main():
    print("a class:")
    async with Connection("one"):
        print("  in use")

    print("it may swallow the error:")
    async with Connection("two"):
        raise KeyError("missing")

    print("a generator function:")
    try:
        async with Connection("three") as connection, transaction(connection):
            raise ValueError("wrong")
    except ValueError as error:
        print("  raised:", error)

    print("closed although the task is cancelled:")

    async def use():
        async with Connection("four"):
            await asyncio.sleep(3600)

    task = asyncio.create_task(use())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])

    print("as many as there are:")
    async with contextlib.AsyncExitStack() as stack:
        for number in range(2):
            await stack.enter_async_context(Connection(f"pool {number}"))


asyncio.run(main())
