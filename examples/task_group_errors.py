"""Task groups and errors: one fails, the others are cancelled, all are reported.

The errors come out as an ExceptionGroup, to be taken apart with `except*`.
"""

import asyncio


cancelled = []


async def work(name):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        cancelled.append(name)
        raise


def report():
    # A group cancels its tasks in no particular order.
    print("   cancelled:", sorted(cancelled))
    cancelled.clear()


async def fail(error, delay=0):
    await asyncio.sleep(delay)
    raise error


async def fail_at_clean_up():
    try:
        await asyncio.sleep(3600)
    finally:
        raise OSError("clean-up went wrong")


async def one_of_three():
    print("one fails:")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work("A"))
            group.create_task(fail(ValueError("bad value")))
            group.create_task(work("B"))
            await work("the block itself")
    except* ValueError as errors:
        print("  ", repr(errors))
    report()


async def several():
    print("several fail:")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(KeyError("k")))
            group.create_task(fail(IndexError(7)))
            group.create_task(fail_at_clean_up())
    except* LookupError as errors:
        print("   lookup errors:", [repr(error) for error in errors.exceptions])
    except* OSError as errors:
        print("   system errors:", [repr(error) for error in errors.exceptions])


async def body():
    print("the block fails:")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work("C"))
            await asyncio.sleep(0)
            raise RuntimeError("in the block")
    except* RuntimeError as errors:
        print("  ", repr(errors))
    report()


async def from_outside():
    print("the group is cancelled from outside:")

    async def in_a_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(work("D"))
            group.create_task(work("E"))

    task = asyncio.create_task(in_a_group())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    report()
    print("   and the task around it:", task.cancelled())


async def main():
    await one_of_three()
    await several()
    await body()
    await from_outside()


asyncio.run(main())
