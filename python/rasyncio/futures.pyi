import sys
from asyncio.futures import *
from typing import Any

if sys.version_info < (3, 14):
    def future_add_to_awaited_by(fut: Future[Any], waiter: Future[Any], /) -> None: ...
    def future_discard_from_awaited_by(fut: Future[Any], waiter: Future[Any], /) -> None: ...
