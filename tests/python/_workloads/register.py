"""How a workload is made known, and what several are made of."""

import asyncio


def workload(function):
    """Marks a coroutine function `(aio, count)` as a workload; `WORKLOADS` has them all by name."""
    WORKLOADS[function.__name__] = function
    return function


WORKLOADS = {}


async def nothing():
    pass


async def fails():
    raise ValueError("expected")


async def forever():
    await asyncio.get_running_loop().create_future()


def batches(count, size=100):
    for start in range(0, count, size):
        yield min(size, count - start)


def ignore(*arguments):
    pass


async def cancelled_while_waiting(aio, tasks):
    await aio.sleep(0)
    for task in tasks:
        task.cancel("message")
    await aio.wait(tasks)
