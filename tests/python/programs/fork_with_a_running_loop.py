"""A child process of a running loop has no running loop, and may run its own."""

import asyncio
import os
import sys


async def work():
    await asyncio.sleep(0.001)
    return "worked"


def child():
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        print("child:", error)
    print("child:", asyncio.run(work()))
    sys.stdout.flush()


async def main():
    task = asyncio.create_task(work())
    pid = os.fork()
    if not pid:
        try:
            child()
        finally:
            os._exit(7)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    print("parent: child's exit code", os.waitstatus_to_exitcode(status))
    print("parent:", await task, asyncio.get_running_loop().is_running())


asyncio.run(main())
