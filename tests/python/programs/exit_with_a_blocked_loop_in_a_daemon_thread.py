"""The interpreter ends while a loop in a daemon thread sleeps without any deadline."""

import asyncio
import threading

started = threading.Event()
loop = asyncio.new_event_loop()
loop.call_soon(started.set)
threading.Thread(target=loop.run_forever, daemon=True).start()
started.wait(10)
print("leaving")
