"""`sys.exit` in a plain callback, with the loop left open."""

import asyncio
import sys

loop = asyncio.new_event_loop()
loop.call_soon(sys.exit, "a message for the exit")
loop.call_soon(print, "not in this run")
loop.run_forever()
