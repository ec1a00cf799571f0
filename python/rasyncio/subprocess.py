"""asyncio's subprocesses: the standard library's classes over the native loop."""

from asyncio.subprocess import *  # noqa: F403
from asyncio.subprocess import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("subprocess")
