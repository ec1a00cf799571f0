"""A tour of rasyncio: every example beside stock asyncio, then a small comparison of speed.

    make demo

Each example is a program for plain `import asyncio`. It runs twice, as `python EXAMPLE` and as
`python -m rasyncio EXAMPLE`, and both must print the same, addresses aside.
"""

import ast
import asyncio
import concurrent.futures
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import rasyncio

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "python"))

from _normal import normal  # noqa: E402

COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ

#: Rounds of the comparison of speed; the best of each counts.
ROUNDS = 5


def colour(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def heading(text):
    print(f"\n{colour(1, text)}\n")


# Programs ----------------------------------------------------------------------------------------


def subject(path):
    """What an example shows: the first line of its docstring."""
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
    words = words.replace("`", "").rstrip(".:")
    if not sys.stdout.isatty():
        return words
    room = max(shutil.get_terminal_size().columns - 34, 40)
    return words if len(words) <= room else f"{words[: room - 1]}…"


def output(*command):
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"},
    )
    return normal(f"{done.stdout}\n{done.stderr}\nexit code {done.returncode}")


def beside_stock(path):
    return output(path) == output("-m", "rasyncio", path)


def beside_expected(path):
    expected = path.with_suffix(".txt").read_text(encoding="utf-8")
    return output(path).split() == [*expected.split(), *"exit code 0".split()]


def show(paths, check):
    """One line for each program; answers how many did not do as they should."""
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for path, equal in zip(paths, pool.map(check, paths)):
            failed += not equal
            mark = colour(32, "equal") if equal else colour(31, "DIFFERS")
            print(f"  {mark}  {path.stem:25}{subject(path)}", flush=True)
    return failed


# Speed -------------------------------------------------------------------------------------------


async def sleep_zero(aio, count):
    for _ in range(count):
        await aio.sleep(0)


async def nothing():
    pass


async def create_task(aio, count):
    for _ in range(count):
        await aio.create_task(nothing())


async def gather(aio, count):
    for _ in range(count // 100):
        await aio.gather(*[nothing() for _ in range(100)])


async def call_soon(aio, count):
    loop = aio.get_running_loop()
    finished = loop.create_future()

    def step(left):
        if left:
            loop.call_soon(step, left - 1)
        else:
            finished.set_result(None)

    step(count)
    await finished


async def hand_over(aio, count):
    """A task wakes another through a future, and waits to be woken in turn."""
    loop = aio.get_running_loop()
    to_there, to_here = loop.create_future(), loop.create_future()

    async def there():
        nonlocal to_there
        for _ in range(count):
            await to_there
            to_there = loop.create_future()
            to_here.set_result(None)

    task = aio.create_task(there())
    for _ in range(count):
        to_here = loop.create_future()
        to_there.set_result(None)
        await to_here
    await task


async def timeout(aio, count):
    for _ in range(count):
        async with aio.timeout(60):
            pass


#: What is measured, its name, and how many operations take about a tenth of a second.
ROWS = (
    ("sleep(0)", sleep_zero, 100_000),
    ("create_task and await", create_task, 30_000),
    ("gather of 100, each", gather, 40_000),
    ("call_soon, chained", call_soon, 60_000),
    ("future ping-pong", hand_over, 12_000),
    ("timeout()", timeout, 40_000),
)


def rate(aio, function, count):
    """Operations per second."""
    with aio.Runner(loop_factory=aio.new_event_loop) as runner:
        start = time.perf_counter()
        runner.run(function(aio, count))
        return count / (time.perf_counter() - start)


def compare_speed():
    print(f"  {'thousand operations per second':32}{'asyncio':>10}{'rasyncio':>10}")
    for name, function, count in ROWS:
        best = {asyncio: 0.0, rasyncio: 0.0}
        # Turn and turn about, so that a busy moment of the machine hits both.
        for _ in range(ROUNDS):
            for aio in best:
                best[aio] = max(best[aio], rate(aio, function, count))
        times = best[rasyncio] / best[asyncio]
        bar = colour(36, "━" * min(round(times * 2), 40))
        stock, ours = (f"{best[aio] / 1000:>10,.0f}" for aio in (asyncio, rasyncio))
        print(f"  {name:32}{stock}{ours}  {colour(1, f'{times:5.1f} ×')}  {bar}", flush=True)


def main():
    print(colour(1, "rasyncio"), f"on {platform.python_implementation()} {platform.python_version()}")

    heading("The same program on asyncio and on rasyncio (python -m rasyncio), outputs compared")
    examples = sorted(path for path in HERE.glob("*.py") if path.name != Path(__file__).name)
    failed = show(examples, beside_stock)

    heading("The newest asyncio on this Python: import rasyncio as asyncio")
    native = sorted((HERE / "native").glob("*.py"))
    failed += show(native, beside_expected)

    total = len(examples) + len(native)
    print(f"\n  {total - failed} of {total} programs print what they should")

    heading(f"Speed, best of {ROUNDS} rounds (make bench measures with care)")
    compare_speed()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
