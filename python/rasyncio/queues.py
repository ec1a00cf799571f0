"""Queues between tasks. `shutdown()` and `QueueShutDown` exist on every version."""

from asyncio import queues as _stock
from asyncio.queues import QueueEmpty, QueueFull  # noqa: F401

from ._rasyncio import LifoQueue, PriorityQueue, Queue, QueueShutDown  # noqa: F401
from ._stock import fallback

__all__ = tuple(dict.fromkeys((*_stock.__all__, "QueueShutDown")))

__getattr__ = fallback("queues")
