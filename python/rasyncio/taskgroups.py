"""Tasks that live and fail together: `async with TaskGroup() as group:`."""

from ._rasyncio import TaskGroup
from ._stock import fallback

__all__ = ("TaskGroup",)

__getattr__ = fallback("taskgroups")
