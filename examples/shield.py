"""`shield`: cancel the wait, not the work.

Who waits behind a shield may be cancelled; the task in front of it goes on.
Keep a reference to that task, and look after it.
"""

import asyncio


async def save(name):
    print(f"  {name}: writing")
    await asyncio.sleep(0.03)
    print(f"  {name}: written")
    return "saved"


async def cancelled_wait():
    print("the wait is cancelled:")
    task = asyncio.create_task(save("A"))
    shielded = asyncio.shield(task)
    asyncio.get_running_loop().call_later(0.01, shielded.cancel)
    try:
        await shielded
    except asyncio.CancelledError:
        print("  CancelledError; shield:", shielded.cancelled(), "task:", task.cancelled())
    print("  and later:", await task)


async def request(task):
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # The polite form: finish what must not be left half done, then go.
        await task
        raise


async def cancelled_waiter():
    print("the waiting task is cancelled:")
    task = asyncio.create_task(save("B"))
    waiter = asyncio.create_task(request(task))
    await asyncio.sleep(0.01)
    waiter.cancel()
    await asyncio.wait([waiter])
    print("  waiter cancelled:", waiter.cancelled(), "and B", task.result())


async def timed_out():
    print("a timeout around a shield:")
    task = asyncio.create_task(save("C"))
    try:
        await asyncio.wait_for(asyncio.shield(task), timeout=0.01)
    except TimeoutError:
        print("  TimeoutError; task done:", task.done())
    await task


async def inner_cancelled():
    print("the task itself is cancelled: a shield has one side")
    task = asyncio.create_task(save("D"))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        print("  CancelledError")


async def main():
    await cancelled_wait()
    await cancelled_waiter()
    await timed_out()
    await inner_cancelled()


asyncio.run(main())
