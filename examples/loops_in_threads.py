"""One loop per thread, and messages between them.

Each thread may run a loop of its own. They meet through futures of
`concurrent.futures` and through `call_soon_threadsafe`.
"""

import asyncio
import threading


async def count(name, numbers):
    total = 0
    for number in numbers:
        await asyncio.sleep(0)
        total += number
    return name, total


def thread_main(name, results):
    results[name] = asyncio.run(count(name, range(100)))


async def ask(other_loop, coroutine):
    """Awaits in this loop what runs in the other one."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, other_loop))


def has_loop():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def main():
    print("running loop in this thread:", has_loop())
    print("running loop in another one:", await asyncio.to_thread(has_loop))

    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    try:
        print("the other loop answers:", await ask(other, count("guest", [1, 2, 3])))
        print("both at once:", await asyncio.gather(ask(other, count("a", [4])), count("b", [5])))
    finally:
        other.call_soon_threadsafe(other.stop)
        thread.join()
        other.close()


results = {}
threads = [threading.Thread(target=thread_main, args=(name, results)) for name in "xyz"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("three loops in three threads:", sorted(results.values()))

asyncio.run(main())
