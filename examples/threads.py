"""`to_thread`: a blocking call, without stopping the loop.

The call runs in a worker thread; the loop goes on; the context variables of
the caller are there in the thread.
"""

import asyncio
import contextvars
import threading

user = contextvars.ContextVar("user")


def blocking(event, name):
    """Waits like any code that knows nothing of asyncio."""
    event.wait(timeout=10)
    where = "main" if threading.current_thread() is threading.main_thread() else "worker"
    return f"{name} in the {where} thread for {user.get()}"


def broken():
    raise OSError("in the thread")


async def main():
    user.set("ann")

    print("the loop runs while the thread blocks:")
    event = threading.Event()
    task = asyncio.create_task(asyncio.to_thread(blocking, event, name="call"))
    for turn in range(3):
        await asyncio.sleep(0)
        print("  turn", turn, "done:", task.done())
    event.set()
    print(" ", await task)

    print("several calls at once:")
    barrier = threading.Barrier(3, timeout=10)
    # Each of these waits for the other two: one after the other would hang.
    order = await asyncio.gather(*(asyncio.to_thread(barrier.wait) for _ in range(3)))
    print("  met at the barrier:", sorted(order))

    print("what the call raises comes back:")
    try:
        await asyncio.to_thread(broken)
    except OSError as error:
        print(" ", error)


asyncio.run(main())
