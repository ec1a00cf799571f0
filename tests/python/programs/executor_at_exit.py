"""Calls in threads that are still running when the loop, and then the program, ends."""

import asyncio
import time


async def main():
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, time.sleep, 0.05)
    task = asyncio.create_task(asyncio.to_thread(time.sleep, 0.05))
    await asyncio.sleep(0.01)
    print("main ends before its threads:", future.done(), task.done())


asyncio.run(main())
print("run waited for them")
loop = asyncio.new_event_loop()
future = loop.run_in_executor(None, time.sleep, 0.05)
loop.close()
print("closed without waiting")
