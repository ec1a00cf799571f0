"""Random programs of jobs, on the package aiojobs and on `rasyncio.scheduler`.

    python -m tests.differential.jobs --programs 10000

The package must be importable.
"""

import argparse
import asyncio
import difflib
import gc
import pprint
import sys
import time

from . import compare, loops, shrink
from .generate_jobs import program
from .player_jobs import Player

#: Whose jobs on which loop.
MIXTURES = ("native", "native on a stock loop", "the package on the native loop")


def play(program, aio, scheduler, loop):
    # When the collector comes depends on what ran before.
    gc.disable()
    try:
        return Player(program, aio, scheduler).play(loop)
    finally:
        loop.close()
        gc.enable()


def package_log(program, loop, scheduler=None):
    from . import corrected_jobs

    with corrected_jobs.in_place():
        scheduler = scheduler or corrected_jobs.Scheduler
        return play(program, corrected_jobs.STOCK_WITH_TIMEOUT, scheduler, loop)


def log_of(program, module, mixture):
    if mixture == "the package on the native loop":
        return package_log(program, loops.under_test(module, 0)[0])
    stock = "stock" in mixture or module is asyncio
    loop = loops.stock()[0] if stock else loops.under_test(module, 0)[0]
    return play(program, module, module.scheduler.Scheduler, loop)


def differences(program, module, mixtures=MIXTURES):
    """Of each mixture whose log is not the package's: its name, and what differs as text."""
    expected = package_log(program, loops.stock()[0])
    for mixture in mixtures:
        try:
            found = log_of(program, module, mixture)
        except Exception as error:
            found = [f"the program did not run: {error!r}"]
        if found != expected:
            yield mixture, "\n".join(
                difflib.unified_diff(expected, found, "the package", mixture, lineterm="", n=12)
            )


def difference(program, module, mixture):
    """What differs, as text; None when the logs are equal."""
    return next((text for _, text in differences(program, module, [mixture])), None)


def report(program, module, mixture, text):
    program = shrink.shrink(program, lambda less: difference(less, module, mixture) is not None)
    print(f"\nprogram {program['seed']} differs: {mixture}")
    pprint.pprint(program)
    # None now: it came of what ran before.
    print(difference(program, module, mixture) or f"(not always)\n{text}")


def main():
    from .__main__ import quiet

    import rasyncio

    parser = argparse.ArgumentParser(prog="python -m tests.differential.jobs")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first program")
    parser.add_argument("--size", type=int, default=14, help="the most steps of a task")
    parser.add_argument("--show", type=int, metavar="SEED", help="print one program and its log")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    options = parser.parse_args()
    quiet()
    if options.show is not None:
        shown = program(options.show, options.size)
        pprint.pprint(shown)
        print("\n".join(package_log(shown, loops.stock()[0])))
        return 0
    failed = 0
    start = time.monotonic()
    for seed in range(options.seed, options.seed + options.programs):
        made = program(seed, options.size)
        for mixture, text in differences(made, rasyncio):
            failed += 1
            report(made, rasyncio, mixture, text)
        if seed % 200 == 199:
            compare.collect()
        if failed >= options.failures:
            break
    print(f"{seed - options.seed + 1} programs, {failed} differ, {time.monotonic() - start:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
