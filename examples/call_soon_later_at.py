"""Plain callbacks: `call_soon`, `call_later`, `call_at`, and taking them back.

Callbacks asked for with `call_soon` run in the order in which they were asked
for. Timers run in the order of their deadlines, whenever they were made.
"""

import asyncio


def show(text):
    print(" ", text)


async def main():
    loop = asyncio.get_running_loop()
    finished = loop.create_future()

    print("soon:")
    loop.call_soon(show, "first")
    loop.call_soon(show, "second")
    unwanted = loop.call_soon(show, "never shown")
    unwanted.cancel()
    print("  this line comes before them: a callback waits for its turn")
    await asyncio.sleep(0)
    print("  cancelled:", unwanted.cancelled())

    print("later:")
    start = loop.time()
    loop.call_at(start + 0.09, finished.set_result, "the last timer")
    loop.call_at(start + 0.06, show, "60 ms")
    timer = loop.call_at(start + 0.03, show, "30 ms")
    unwanted = loop.call_later(0.01, show, "never shown")
    unwanted.cancel()
    print("  when() is the deadline asked for:", timer.when() == start + 0.03)
    print("  ended by", await finished)
    print("  no timer was early:", loop.time() >= start + 0.09)


asyncio.run(main())
