"""`wait`: until all are done, until the first is, or until the first error.

It returns two sets and never raises what the tasks raised, nor cancels any.
"""

import asyncio


async def work(name, delay, error=None):
    await asyncio.sleep(delay)
    if error:
        raise error
    return name


def names(tasks):
    return sorted(task.get_name() for task in tasks)


async def show(return_when):
    print(return_when)
    tasks = [
        asyncio.create_task(work("quick", 0.01), name="quick"),
        asyncio.create_task(work("broken", 0.06, ValueError("broken")), name="broken"),
        asyncio.create_task(work("slow", 0.11), name="slow"),
    ]
    done, pending = await asyncio.wait(tasks, return_when=return_when)
    print("  done:   ", names(done))
    print("  pending:", names(pending))
    for task in done:
        if error := task.exception():
            print("  error:  ", repr(error))

    # Who is pending is still running: wait again, or cancel.
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
        print("  cancelled:", names(task for task in pending if task.cancelled()))


async def main():
    await show(asyncio.FIRST_COMPLETED)
    await show(asyncio.FIRST_EXCEPTION)
    await show(asyncio.ALL_COMPLETED)

    for wrong in ([], [work("no task", 0)]):
        try:
            await asyncio.wait(wrong)
        except (TypeError, ValueError) as error:
            print(f"{type(error).__name__}: {error}")
        for coroutine in wrong:
            coroutine.close()


asyncio.run(main())
