"""SIGINT while the loop sleeps without any deadline and without a Runner's handler."""

import asyncio
import os
import signal
import threading

loop = asyncio.new_event_loop()
loop.call_soon(lambda: threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start())
try:
    loop.run_forever()
except KeyboardInterrupt:
    print("KeyboardInterrupt", loop.is_running(), loop.is_closed())
print(loop.run_until_complete(asyncio.sleep(0.001, "and it runs again")))
loop.close()
