"""asyncio's abstract transports: the standard library's own, so that `isinstance` works across both."""

from asyncio.transports import *  # noqa: F403
from asyncio.transports import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("transports")
