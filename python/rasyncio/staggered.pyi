from asyncio.events import AbstractEventLoop
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")

async def staggered_race(
    coro_fns: Iterable[Callable[[], Awaitable[_T]]],
    delay: float | None,
    *,
    loop: AbstractEventLoop | None = None,
) -> tuple[_T | None, int | None, list[BaseException | None]]: ...
