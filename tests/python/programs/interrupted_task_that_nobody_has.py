"""A task in a context of its own ends the loop, and context and task with it; then others run."""

import asyncio
import contextvars
import gc


async def interrupted():
    raise KeyboardInterrupt


loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
for turn in range(3):
    loop.create_task(interrupted(), context=contextvars.Context())
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted")
    gc.collect()
    loop.run_until_complete(asyncio.sleep(0))
loop.close()
print("ended")
