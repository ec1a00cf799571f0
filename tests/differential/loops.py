"""Loops for the players: virtual time where the loop can do it, tiny real delays elsewhere.

In virtual time nothing waits. When a loop has nothing to do, its clock jumps to the next deadline, so
that a program takes no time and runs in the same order every time.
"""

import asyncio
import math
import selectors


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The stock loop in virtual time.

    Its heap leaves open in which order equal deadlines come; here it is the order in which they were
    asked for.
    """

    def __init__(self):
        self._now = 1000.0
        self._deadlines = set()
        super().__init__(_NeverWaits(self))

    def call_at(self, when, callback, *args, context=None):
        while when in self._deadlines:
            when = math.nextafter(when, math.inf)
        self._deadlines.add(when)
        return super().call_at(when, callback, *args, context=context)

    def time(self):
        return self._now

    def skip(self):
        if not self._scheduled:
            raise RuntimeError("nothing will ever happen")
        self._now = max(self._now, self._scheduled[0]._when)


class _NeverWaits(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None or timeout > 0:
            self._loop.skip()
        return super().select(0)


def stock():
    """A stock loop and the length of its unit of time."""
    return VirtualTimeLoop(), 1.0


def under_test(module, attempt):
    """A loop of the module under test and the length of its unit of time.

    In real time, what should be apart may come together when the machine is busy: each attempt leaves
    more room.
    """
    if module is asyncio:
        return stock()
    if virtual := getattr(module, "_new_virtual_event_loop", None):
        return virtual(), 1.0
    return module.new_event_loop(), (0.002, 0.01, 0.05)[attempt]
