"""`atexit` functions and late destructors that use asyncio."""

import asyncio
import atexit


class Late:
    def __init__(self, loop):
        self.loop = loop

    def __del__(self):
        print("late destructor, loop closed:", self.loop.is_closed())


async def work():
    await asyncio.sleep(0.001)
    return "worked"


def hook():
    print("at exit:", asyncio.run(work()))


atexit.register(hook)
loop = asyncio.new_event_loop()
loop.close()
late = Late(loop)
print(asyncio.run(work()))
