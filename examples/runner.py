"""`Runner`: several runs on one loop, in one context."""

import asyncio
import contextvars

visits = contextvars.ContextVar("visits", default=0)


async def visit():
    visits.set(visits.get() + 1)
    return asyncio.get_running_loop(), visits.get()


async def leave_something_behind():
    asyncio.create_task(asyncio.sleep(3600), name="left behind").add_done_callback(
        lambda task: print("  left behind, cancelled at the end:", task.cancelled())
    )


with asyncio.Runner() as runner:
    loop, first = runner.run(visit())
    same, second = runner.run(visit())
    print("the same loop:", loop is same is runner.get_loop())
    print("the same context:", first, second)
    print("another context:", runner.run(visit(), context=contextvars.Context())[1])
    runner.run(leave_something_behind())
    print("closing:")

print("closed:", loop.is_closed())
try:
    runner.get_loop()
except RuntimeError as error:
    print(error)

print("asyncio.run has a loop for each run:", asyncio.run(visit())[0] is not loop)
