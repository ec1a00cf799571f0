"""asyncio's protocols: the standard library's own, so that `isinstance` works across both."""

from asyncio.protocols import *  # noqa: F403
from asyncio.protocols import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("protocols")
