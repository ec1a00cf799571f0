"""`Queue`: first in, first out, with a size that makes producers wait."""

import asyncio


async def main():
    queue = asyncio.Queue(maxsize=2)
    print("empty:", queue.empty(), "full:", queue.full(), "size:", queue.qsize())

    await queue.put("first")
    queue.put_nowait("second")
    print("full: ", queue.full(), "size:", queue.qsize())
    try:
        queue.put_nowait("third")
    except asyncio.QueueFull:
        print("put_nowait: QueueFull")

    putter = asyncio.create_task(queue.put("third"))
    await asyncio.sleep(0)
    print("put waits:", not putter.done())
    print("get:", await queue.get())
    await putter
    print("get:", queue.get_nowait(), "and", queue.get_nowait())

    try:
        queue.get_nowait()
    except asyncio.QueueEmpty:
        print("get_nowait: QueueEmpty")

    getters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.put_nowait("for the one who waited longest")
    queue.put_nowait("for the other")
    for getter in getters:
        print("got:", await getter)

    try:
        await asyncio.wait_for(queue.get(), timeout=0.01)
    except TimeoutError:
        print("nothing came: TimeoutError")


asyncio.run(main())
