"""What a row is.

A row is a coroutine function of `n`, the number of operations, that answers the
seconds which those operations took.  It uses nothing but the public names of
`asyncio`, looked up when it runs, so that one and the same program serves every
contestant: stock names on any loop, and native ones after `rasyncio.install()`.

What is not the subject of a row stays outside its clock: a row that is about
switching makes its tasks first, a row about due timers does not count the time
for which they were waiting.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_clock = time.perf_counter


def clock() -> float:
    """Seconds, by the clock in use."""
    return _clock()


def measure_by(function: Callable[[], float]) -> None:
    """Takes another clock."""
    global _clock
    _clock = function


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    run: Callable[[int], Awaitable[float]]
    # `n` is always a multiple of this.
    batch: int
    # Threads and clocks make instruction counts meaningless.
    countable: bool


ROWS: dict[str, Row] = {}


def row(name: str, title: str, *, batch: int = 1, countable: bool = True):
    """Enter the decorated program into `ROWS`."""

    def enter(run):
        ROWS[name] = Row(name, title, run, batch, countable)
        return run

    return enter
