"""The main thread ends first; the loop in another thread goes on to its end."""

import asyncio
import threading


async def main():
    while threading.main_thread().is_alive():
        await asyncio.sleep(0.001)
    print("the loop ends", flush=True)


threading.Thread(target=lambda: asyncio.run(main())).start()
print("the main thread ends", flush=True)
