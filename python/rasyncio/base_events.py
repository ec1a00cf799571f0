"""asyncio's base loop and server.

The loop itself is in `rasyncio.unix_events`; it is a subclass of the `BaseEventLoop` found here, as
programs ask for by `isinstance`.
"""

from asyncio.base_events import *  # noqa: F403
from asyncio.base_events import __all__  # noqa: F401

from ._stock import fallback

__getattr__ = fallback("base_events")
