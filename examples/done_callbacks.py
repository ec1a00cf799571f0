"""Callbacks that run when a task or future is done.

They run in the order in which they were added, each in a turn of the loop
after the result is there, never inside `set_result`. A callback added to
something that is done already runs soon.
"""

import asyncio
import functools


def plain(task):
    print(f"  plain: {task.get_name()} gave {task.result()!r}")


def with_arguments(text, task):
    print(f"  {text}: {task.get_name()}")


def removed(task):
    print("  never shown")


async def work():
    await asyncio.sleep(0.01)
    return 42


async def main():
    task = asyncio.create_task(work(), name="worker")
    task.add_done_callback(plain)
    task.add_done_callback(functools.partial(with_arguments, "partial"))
    task.add_done_callback(removed)
    task.add_done_callback(removed)
    print("callbacks removed:", task.remove_done_callback(removed))

    print("waiting")
    await task
    print("awaited: the waiter is itself a callback, added last")

    task.add_done_callback(functools.partial(with_arguments, "late"))
    print("added to a finished task")
    await asyncio.sleep(0)

    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda future: print("  future:", future.result()))
    future.set_result("set")
    print("set_result has returned, the callback has not run")
    await asyncio.sleep(0)


asyncio.run(main())
