"""asyncio's queues: the standard library's classes over native futures.

`QueueShutDown` exists on every version, so that code which catches it runs on each.
"""

from asyncio import queues as _stock
from asyncio.queues import *  # noqa: F403

from ._stock import fallback

try:
    from asyncio.queues import QueueShutDown
except ImportError:  # before 3.13

    class QueueShutDown(Exception):
        """Raised when putting on to or getting from a queue that was shut down."""


__all__ = tuple(dict.fromkeys((*_stock.__all__, "QueueShutDown")))

__getattr__ = fallback("queues")
