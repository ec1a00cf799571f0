from asyncio.events import AbstractEventLoop
from asyncio.runners import Runner as Runner
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")

def run(
    main: Awaitable[_T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
) -> _T: ...
