"""Time limits for a block of code: `async with timeout(seconds):`."""

from ._rasyncio import Timeout, timeout, timeout_at
from ._stock import fallback

__all__ = ("Timeout", "timeout", "timeout_at")

__getattr__ = fallback("timeouts")
