"""Mistakes everybody makes once, and what asyncio says to them.

Calling instead of awaiting, running a loop inside a loop, forgetting an error,
leaving before the work is done.
"""

import asyncio
import gc
import logging
import sys
import warnings


class Short(logging.Formatter):
    """The first line of what is logged, and the error: the rest names files and lines."""

    def formatMessage(self, record):
        return "  logged: " + record.message.partition("\n")[0]

    def formatException(self, exc_info):
        return f"  {exc_info[1]!r}"


output = logging.StreamHandler(sys.stdout)
output.setFormatter(Short())
logging.getLogger().addHandler(output)
warnings.showwarning = lambda message, *rest: print("  warned:", message)
warnings.simplefilter("always")


async def work():
    return "worked"


async def fail():
    raise ValueError("nobody looked")


def show_error(call, *args):
    try:
        call(*args)
    except (RuntimeError, TypeError, ValueError) as error:
        print(f"  {type(error).__name__}: {error}")


async def called_only():
    work()
    gc.collect()


async def nested_run():
    coroutine = work()
    show_error(asyncio.run, coroutine)
    coroutine.close()


async def never_retrieved():
    task = asyncio.create_task(fail(), name="forgotten")
    await asyncio.sleep(0)
    del task
    gc.collect()


async def left_too_early():
    asyncio.create_task(slow(), name="slow")
    await asyncio.sleep(0)
    print("  main leaves")


async def slow():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        print("  slow was cancelled by run()")
        raise


def pending_destroyed():
    loop = asyncio.new_event_loop()

    async def lost():
        await loop.create_future()

    task = loop.create_task(lost(), name="lost")
    loop.run_until_complete(asyncio.sleep(0))
    task = None
    # Nobody refers to the task, nor to the future that it waits for.
    gc.collect()
    loop.close()


print("calling a coroutine function and not awaiting it:")
asyncio.run(called_only())

print("asyncio.run inside a running loop:")
asyncio.run(nested_run())

print("asyncio.run of what is no coroutine:")
for what, wrong in (("the function itself", work), ("a number", 42)):
    # Which error it is depends on the version.
    try:
        asyncio.run(wrong)
    except (TypeError, ValueError):
        print("  refused:", what)

print("no loop is running:")
show_error(asyncio.get_running_loop)
coroutine = work()
show_error(asyncio.create_task, coroutine)
coroutine.close()

print("an error that nobody retrieves:")
asyncio.run(never_retrieved())

print("main ends before its tasks:")
asyncio.run(left_too_early())

print("a pending task that nobody refers to:")
pending_destroyed()
