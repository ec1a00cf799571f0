"""Plays a program on stock asyncio and in each mixture of stock and module, and compares the logs."""

import asyncio
import difflib
import gc

from . import loops
from .player import Player

#: Which vocabulary on which loop.
MIXTURES = ("module on its loop", "stock on the module's loop", "module on a stock loop")

ATTEMPTS = 3


def play(program, aio, loop, unit):
    try:
        return Player(program, aio, unit).play(loop)
    finally:
        loop.close()


def stock_log(program):
    return play(program, asyncio, *loops.stock())


def log_of(program, module, mixture, attempt=0):
    if mixture == "module on a stock loop":
        return play(program, module, *loops.stock())
    aio = asyncio if mixture == "stock on the module's loop" else module
    return play(program, aio, *loops.under_test(module, attempt))


def difference(program, module, mixture):
    """What differs, as text; None when the logs are equal."""
    expected = stock_log(program)
    for attempt in range(ATTEMPTS):
        try:
            found = log_of(program, module, mixture, attempt)
        except Exception as error:
            found = [f"the program did not run: {error!r}"]
        if found == expected:
            return None
    return "\n".join(
        difflib.unified_diff(expected, found, "stock asyncio", mixture, lineterm="", n=8)
    )


def collect():
    """Lets what a program left behind go now, with no loop running."""
    gc.collect()
