"""`run_in_executor`: the default pool, a pool of threads, a pool of processes.

Threads are for calls that block, processes for calls that compute.
"""

import asyncio
import concurrent.futures
import functools
import os


def sum_of_squares(count):
    return sum(number * number for number in range(count))


def read_first_line(path):
    with open(path, encoding="utf-8") as file:
        return file.readline().strip()


def process_of(_):
    return os.getpid()


async def main():
    loop = asyncio.get_running_loop()

    print("default:  ", await loop.run_in_executor(None, read_first_line, __file__))

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        call = functools.partial(int, "ff", base=16)
        print("threads:  ", await loop.run_in_executor(pool, call))

    with concurrent.futures.ProcessPoolExecutor(max_workers=1) as pool:
        print("processes:", await loop.run_in_executor(pool, sum_of_squares, 1000))
        other = await loop.run_in_executor(pool, process_of, None)
        print("            a process of its own:", other != os.getpid())

    pool = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="mine")
    loop.set_default_executor(pool)
    print("replaced: ", await loop.run_in_executor(None, pow, 2, 10))

    pool.shutdown()
    try:
        await loop.run_in_executor(pool, print)
    except RuntimeError as error:
        print("shut down:", error)


if __name__ == "__main__":
    asyncio.run(main())
