"""The interpreter ends while a daemon thread runs a loop."""

import asyncio
import threading

started = threading.Event()


async def main():
    asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(started.set)
    while True:
        await asyncio.sleep(0.001)


threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
started.wait(10)
print("leaving")
