"""The event loop by hand: make it, run it, stop it, close it.

`asyncio.run` does all of this for you. Knowing the steps helps when a program
has to live with another framework that owns the main thread.
"""

import asyncio


async def add(a, b):
    await asyncio.sleep(0)
    return a + b


def state(loop):
    return f"running={loop.is_running()} closed={loop.is_closed()}"


loop = asyncio.new_event_loop()
print("new:         ", state(loop))

# Finite work: run until one awaitable is done and hand back its result.
print("2 + 3 =      ", loop.run_until_complete(add(2, 3)))

# Open-ended work: run until somebody says stop.
ticks = []


def tick():
    ticks.append(state(loop))
    if len(ticks) == 3:
        loop.stop()
    else:
        loop.call_soon(tick)


loop.call_soon(tick)
loop.run_forever()
print("in a callback:", ticks[0])
print("ticks:       ", len(ticks))

# A stopped loop can go on later; a closed one cannot.
print("10 + 20 =    ", loop.run_until_complete(add(10, 20)))
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
print("closed:      ", state(loop))

try:
    loop.call_soon(tick)
except RuntimeError as error:
    print("afterwards:  ", error)
