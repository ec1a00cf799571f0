"""Signals as ordinary callbacks: `add_signal_handler`.

A plain `signal.signal` handler may run between any two instructions. One of
the loop runs as a callback and may use everything that belongs to the loop.
"""

import asyncio
import os
import signal


async def main():
    loop = asyncio.get_running_loop()
    reloaded = asyncio.Event()
    stop = asyncio.Event()

    def on_signal(name, event):
        print("  got", name)
        event.set()

    loop.add_signal_handler(signal.SIGHUP, on_signal, "SIGHUP", reloaded)
    loop.add_signal_handler(signal.SIGTERM, on_signal, "SIGTERM", stop)

    print("reload:")
    os.kill(os.getpid(), signal.SIGHUP)
    await reloaded.wait()

    print("stop:")
    loop.call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
    await stop.wait()

    print("removed:", loop.remove_signal_handler(signal.SIGHUP))
    print("again:  ", loop.remove_signal_handler(signal.SIGHUP))
    try:
        loop.add_signal_handler(signal.SIGKILL, print)
    except RuntimeError as error:
        print("refused:", error)


asyncio.run(main())
