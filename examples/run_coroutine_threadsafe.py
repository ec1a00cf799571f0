"""Into a loop from another thread: `run_coroutine_threadsafe`, `call_soon_threadsafe`.

Nothing else of a loop may be used from outside its thread.
"""

import asyncio
import concurrent.futures
import threading


async def divide(a, b):
    await asyncio.sleep(0.01)
    return a / b


async def hang(cancelled):
    try:
        await asyncio.sleep(3600)
    finally:
        cancelled.set()


def other_thread(loop):
    """Asks the loop for work and blocks for the answers."""
    future = asyncio.run_coroutine_threadsafe(divide(22, 7), loop)
    print("a result:     ", round(future.result(timeout=10), 2))

    future = asyncio.run_coroutine_threadsafe(divide(1, 0), loop)
    print("an error:     ", repr(future.exception(timeout=10)))

    cancelled = threading.Event()
    future = asyncio.run_coroutine_threadsafe(hang(cancelled), loop)
    try:
        future.result(timeout=0.05)
    except concurrent.futures.TimeoutError:
        print("a timeout:     still running:", not future.done())
    future.cancel()
    print("cancelled:    ", cancelled.wait(timeout=10))

    numbers = []
    full = threading.Event()
    for number in range(5):
        loop.call_soon_threadsafe(numbers.append, number)
    loop.call_soon_threadsafe(full.set)
    full.wait(timeout=10)
    print("callbacks:    ", numbers)


loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
try:
    other_thread(loop)
finally:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
print("loop closed:  ", loop.is_closed())
