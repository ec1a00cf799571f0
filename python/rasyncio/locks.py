"""asyncio's locks: the standard library's classes over native futures."""

from asyncio.locks import *  # noqa: F403
from asyncio.locks import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("locks")
