"""What is a coroutine, and what is a coroutine function.

Both answers are the running version's own: they know native coroutines, which are registered as
`collections.abc.Coroutine`.
"""

from asyncio.coroutines import *  # noqa: F403
from asyncio.coroutines import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("coroutines")
