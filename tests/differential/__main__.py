"""Plays many programs: `python -m tests.differential --programs 10000`."""

import argparse
import importlib
import pprint
import sys
import time
import warnings

from . import compare, shrink


def arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--family", choices=compare.FAMILIES, default="tasks")
    parser.add_argument("--programs", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first program")
    parser.add_argument("--size", type=int, default=40, help="the most steps in a program")
    parser.add_argument("--show", type=int, metavar="SEED", help="print one program and its log")
    parser.add_argument("--module", default="rasyncio", help="the module under test")
    parser.add_argument("--mixture", choices=compare.MIXTURES, action="append")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    return parser.parse_args()


def show(program):
    pprint.pprint(program)
    print("\n".join(compare.stock_log(program)))


def report(program, module, mixture, text):
    def fails(program):
        return compare.difference(program, module, mixture) is not None

    program = shrink.shrink(program, fails)
    print(f"\nprogram {program['seed']} differs: {mixture}")
    pprint.pprint(program)
    # None now: it came of what ran before.
    print(compare.difference(program, module, mixture) or f"(not always)\n{text}")


def quiet():
    """Programs abandon coroutines by design; those complain."""
    warnings.simplefilter("ignore")
    report = sys.unraisablehook

    def hook(unraisable):
        if "coroutine object" not in f"{unraisable.err_msg} {unraisable.object}":
            report(unraisable)

    sys.unraisablehook = hook


def main():
    quiet()
    options = arguments()
    if options.show is not None:
        show(compare.program(options.family, options.show, size=options.size))
        return 0
    module = importlib.import_module(options.module)
    failed = 0
    start = time.monotonic()
    for seed in range(options.seed, options.seed + options.programs):
        program = compare.program(options.family, seed, size=options.size)
        for mixture, text in compare.differences(program, module, options.mixture or compare.MIXTURES):
            failed += 1
            report(program, module, mixture, text)
        if seed % 200 == 199:
            compare.collect()
        if failed >= options.failures:
            break
    print(f"{seed - options.seed + 1} programs, {failed} differ, {time.monotonic() - start:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
