"""Ctrl-C: the main task is cancelled, cleans up, and run() raises KeyboardInterrupt.

The program sends itself the signal that a terminal sends for Ctrl-C.
"""

import asyncio
import os
import signal


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


async def background():
    try:
        await asyncio.sleep(3600)
    finally:
        print("  background task cleans up")


async def main():
    asyncio.create_task(background())
    asyncio.get_running_loop().call_later(0.01, ctrl_c)
    try:
        print("  working")
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        print("  main is cancelled and may await its clean-up")
        await asyncio.sleep(0.01)
        raise


async def refuses():
    asyncio.get_running_loop().call_later(0.01, ctrl_c)
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return "it had a result to save"


print("the usual way:")
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("  KeyboardInterrupt")

print("main returns all the same:")
print("  ", asyncio.run(refuses()))

print("the handler from before is back:", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
