"""Background jobs under control: `Scheduler` and `Job` of the package aiojobs.

    import rasyncio.scheduler as aiojobs

The package itself runs on the native loop as well, and `rasyncio.install()` leaves it alone. For
libraries that import it, `install()` here puts these classes in the place of its own.

They behave as those of version 1.4 do, but for what cannot be meant there:

- Closing a pending job frees no place among the active ones, so that there never are more than
  `limit`.
- A `spawn()` that waits when the scheduler is closed raises RuntimeError; the job would start in a
  closed scheduler, or be pending for ever.
- A `spawn()` that has waited starts its job at once if there is room.
- `job.wait(timeout=...)` of a job that is still pending raises TimeoutError, and closes it.
- `wait_and_close()` does not hang when a shielded task, or an eager one, has just ended.
- A pending job that cannot be started (what was spawned is no coroutine) is closed, and those behind it
  start. A job whose exception handler raises is closed, too.
- A limit that is no number is refused by `Scheduler()`, and not by `spawn()`.
- Jobs are iterated over, waited for and closed in the order in which they were spawned.
"""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable
from typing import Any

from ._rasyncio import Job, Scheduler

__all__ = ("Job", "Scheduler", "create_scheduler")

ExceptionHandler = Callable[[Scheduler, dict[str, Any]], None]


async def create_scheduler(
    *, close_timeout=0.1, limit=100, pending_limit=10000, exception_handler=None
):
    """Make a scheduler. Deprecated in the package: `Scheduler()` does the same."""
    warnings.warn(
        "Scheduler can now be instantiated directly.", DeprecationWarning, stacklevel=2
    )
    return Scheduler(
        close_timeout=close_timeout,
        limit=limit,
        pending_limit=pending_limit,
        exception_handler=exception_handler,
    )


_MODULES = ("aiojobs", "aiojobs._job", "aiojobs._scheduler", "aiojobs.aiohttp")
_OURS = {"Job": Job, "Scheduler": Scheduler, "create_scheduler": create_scheduler}

# What was there before, as (module, name, value). Empty: not installed.
_changes = []


def install():
    """Put these classes in the place of the package's own, in its modules.

    What was imported from the package by name before stays as it is. Calling it again does
    nothing. ImportError if there is no such package.
    """
    if _changes:
        return
    for module in _modules():
        for name, ours in _OURS.items():
            if hasattr(module, name):
                _changes.append((module, name, getattr(module, name)))
                setattr(module, name, ours)


def uninstall():
    """Put the package's own classes back."""
    while _changes:
        setattr(*_changes.pop())


def _modules():
    for name in _MODULES:
        # The last one needs aiohttp, which need not be there.
        if name == "aiojobs.aiohttp" and name not in sys.modules:
            if importlib.util.find_spec("aiohttp") is None:
                continue
        yield importlib.import_module(name)
