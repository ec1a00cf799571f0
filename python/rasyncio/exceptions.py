"""asyncio's exceptions: the standard library's own, so that `except` works across both."""

from asyncio.exceptions import *  # noqa: F403
from asyncio.exceptions import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("exceptions")
