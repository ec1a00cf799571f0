"""A loop made before a fork stays usable in the parent; the child closes its copy."""

import asyncio
import os
import sys

loop = asyncio.new_event_loop()
loop.call_later(60, print, "never")
print(loop.run_until_complete(asyncio.sleep(0, "before")), flush=True)
pid = os.fork()
if not pid:
    loop.close()
    print("child:", loop.is_closed(), asyncio.run(asyncio.sleep(0, "own loop")))
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
print(loop.run_until_complete(asyncio.sleep(0.001, "after")))
loop.call_soon_threadsafe(print, "still wakes")
loop.run_until_complete(asyncio.sleep(0.001))
loop.close()
