"""The running loop, the current loop, and the handles of callbacks."""

import sys
import types
from asyncio import events as _stock
from asyncio import unix_events as _stock_unix
from asyncio.events import *  # noqa: F403
from asyncio.events import __all__  # noqa: F401

from ._rasyncio import (
    Handle,
    TimerHandle,
    _get_running_loop,
    _set_running_loop,
    get_running_loop,
)
from ._stock import fallback
from .unix_events import EventLoop

_get_policy = getattr(_stock, "_get_event_loop_policy", None) or _stock.get_event_loop_policy

# 3.14 made the policies private.
_DefaultPolicy = (
    getattr(_stock_unix, "_DefaultEventLoopPolicy", None) or _stock_unix.DefaultEventLoopPolicy
)


def new_event_loop():
    """Make a native loop: what to pass as `loop_factory`. The caller closes it.

    asyncio's policies have no say in it.
    """
    return EventLoop()


def _new_default_loop():
    """The loop of a program that names none: ours, unless the program set a policy of its own."""
    policy = _get_policy()
    return EventLoop() if type(policy) is _DefaultPolicy else policy.new_event_loop()


def _unseen_by_warnings(function):
    """asyncio's warnings are shown at the first frame outside modules called `asyncio.*`."""
    names = {**globals(), "__name__": "asyncio.events"}
    unseen = types.FunctionType(function.__code__, names, function.__name__)
    unseen.__doc__, unseen.__module__ = function.__doc__, __name__
    return unseen


@_unseen_by_warnings
def get_event_loop():
    """Return the running loop, or else the thread's current loop, as the running version does.

    Before 3.14 a main thread without a loop is given one, which is native; since 3.14 that is a
    RuntimeError.
    """
    loop = _get_running_loop()
    if loop is not None:
        return loop
    policy = _get_policy()
    if type(policy) is not _DefaultPolicy or sys.version_info >= (3, 14):
        return policy.get_event_loop()
    # The policy knows when to make a loop and how to warn of it; only the kind is ours.
    policy._loop_factory = EventLoop
    try:
        return policy.get_event_loop()
    finally:
        del policy._loop_factory


__getattr__ = fallback("events")
