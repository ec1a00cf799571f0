"""Plays a program on stock asyncio and in each mixture of stock and module, and compares the logs."""

import asyncio
import difflib
import gc

from . import generate, generate_streams, generate_sync, loops
from .corrected import STOCK
from .player import Player
from .player_streams import StreamsPlayer
from .player_sync import SyncPlayer

#: What kinds of programs there are: what makes them, and what plays them.
FAMILIES = {
    "tasks": (generate.program, Player),
    "sync": (generate_sync.program, SyncPlayer),
    "streams": (generate_streams.program, StreamsPlayer),
}

#: Which vocabulary on which loop.
MIXTURES = (
    "module on its loop",
    "stock on the module's loop",
    "module on a stock loop",
    "module installed",
)

ATTEMPTS = 3


def program(family, seed, **options):
    """The program of that family and number."""
    return FAMILIES[family][0](seed, **options)


def play(program, aio, loop, unit):
    # When the collector comes depends on what ran before; it closes abandoned coroutines, which then
    # leave their lines.
    gc.disable()
    try:
        player = FAMILIES[program["family"]][1]
        return player(program, aio, unit).play(loop)
    finally:
        loop.close()
        gc.enable()


def stock_log(program):
    return play(program, STOCK, *loops.stock())


def log_of(program, module, mixture, attempt=0):
    if mixture == "module on a stock loop":
        return play(program, module, *loops.stock())
    if mixture == "module installed" and module is not asyncio:
        module.install()
        try:
            return play(program, asyncio, *loops.under_test(module, attempt))
        finally:
            module.uninstall()
    aio = STOCK if mixture == "stock on the module's loop" else module
    return play(program, aio, *loops.under_test(module, attempt))


def differences(program, module, mixtures=MIXTURES):
    """Of each mixture whose log is not stock asyncio's: its name, and what differs as text."""
    expected = stock_log(program)
    for mixture in mixtures:
        for attempt in range(ATTEMPTS):
            try:
                found = log_of(program, module, mixture, attempt)
            except Exception as error:
                found = [f"the program did not run: {error!r}"]
            if found == expected:
                break
        else:
            yield mixture, "\n".join(
                difflib.unified_diff(expected, found, "stock asyncio", mixture, lineterm="", n=8)
            )


def difference(program, module, mixture):
    """What differs, as text; None when the logs are equal."""
    return next((text for _, text in differences(program, module, [mixture])), None)


def collect():
    """Lets what a program left behind go now, with no loop running."""
    gc.collect()
