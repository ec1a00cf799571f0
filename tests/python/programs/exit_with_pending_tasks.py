"""The interpreter ends while tasks, timers and callbacks wait on a loop that was never closed."""

import asyncio
import sys


async def forever():
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        pass


loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda loop, context: None)
tasks = [loop.create_task(forever()) for _ in range(10)]
handles = [loop.call_later(60, print), loop.call_soon(print, "never")]
handles[1].cancel()
future = loop.create_future()
future.add_done_callback(print)
loop.run_until_complete(asyncio.sleep(0))
loop.call_soon(print, "never run")
sys.keep = [loop, tasks, future, asyncio.sleep]
print("leaving")
