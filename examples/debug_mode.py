"""Debug mode: slow callbacks, slow tasks, calls from the wrong thread, where things came from.

Switched on by `asyncio.run(..., debug=True)`, by `PYTHONASYNCIODEBUG=1` or by
`python -X dev`.
"""

import asyncio
import logging
import re
import time


class ToOutput(logging.Handler):
    """Prints what asyncio logs, without places and the measured times."""

    def emit(self, record):
        message = record.getMessage().splitlines()[0]
        message = re.sub(r"<(Handle|Task) .*>", r"<\1 ...>", message)
        print("  log:", re.sub(r"took [\d.]+ seconds", "took too long", message))


logger = logging.getLogger("asyncio")
logger.addHandler(ToOutput())
logger.propagate = False
logger.setLevel(logging.WARNING)


def hog():
    time.sleep(0.03)


async def hog_in_a_task():
    hog()


async def never_awaited():
    pass


async def from_another_thread(loop):
    try:
        await asyncio.to_thread(loop.call_soon, print)
    except RuntimeError as error:
        print("  refused:", error)


async def main():
    loop = asyncio.get_running_loop()
    print("debug:", loop.get_debug())

    print("a callback that is slow:")
    loop.slow_callback_duration = 0.02
    loop.call_soon(hog)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    print("a step of a task that is slow:")
    await asyncio.create_task(hog_in_a_task())
    loop.slow_callback_duration = 60

    print("a call from the wrong thread:")
    await from_another_thread(loop)

    print("a callback that is no function:")
    for wrong in (never_awaited, 42):
        try:
            loop.call_soon(wrong)
        except TypeError as error:
            print("  refused:", str(error).partition(",")[0])

    print("where a task was made:")
    task = asyncio.create_task(asyncio.sleep(0))
    print("  is known:", "created at" in repr(task))
    await task


asyncio.run(main(), debug=True)
