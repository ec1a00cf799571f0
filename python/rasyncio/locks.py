"""Locks, events, conditions, semaphores and barriers for tasks."""

from asyncio.locks import __all__  # noqa: F401

from ._rasyncio import Barrier, BoundedSemaphore, Condition, Event, Lock, Semaphore  # noqa: F401
from ._stock import fallback

__getattr__ = fallback("locks")
