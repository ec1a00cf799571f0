"""A signal handler that runs while the loop sleeps neither ends nor shortens the sleep."""

import asyncio
import signal

fired = []
signal.signal(signal.SIGALRM, lambda number, frame: fired.append(number))


async def main():
    loop = asyncio.get_running_loop()
    start = loop.time()
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    await asyncio.sleep(0.1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(loop.time() - start >= 0.1, len(fired) > 2)


asyncio.run(main())
