"""A loop of another thread, left open and unreferenced, dies in the main thread."""

import asyncio
import gc
import threading

loops = []


def thread():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.call_soon(print, "never")
    loops.append(loop)


worker = threading.Thread(target=thread)
worker.start()
worker.join()
loop = loops.pop()
loop.close()
del loop
gc.collect()
print("collected in the main thread")
