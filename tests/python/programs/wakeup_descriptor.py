"""Signals reach the loop while it runs, and their handlers are put back afterwards."""

import asyncio
import os
import signal


def plain(number, frame):
    print("plain handler", signal.Signals(number).name, flush=True)


async def main():
    loop = asyncio.get_running_loop()
    seen = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, seen.set_result, "loop handler")
    os.kill(os.getpid(), signal.SIGUSR1)
    print(await seen, flush=True)
    # A handler that is not the loop's runs even though the loop sleeps.
    os.kill(os.getpid(), signal.SIGUSR2)
    await asyncio.sleep(0.01)


signal.signal(signal.SIGUSR2, plain)
asyncio.run(main())
print(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL, signal.set_wakeup_fd(-1))
