"""asyncio's streams: the standard library's classes over the native loop."""

from asyncio.streams import *  # noqa: F403
from asyncio.streams import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("streams")
