"""Blocking functions in threads."""

from ._rasyncio import to_thread
from ._stock import fallback

__all__ = ("to_thread",)

__getattr__ = fallback("threads")
