import sys
from asyncio.events import AbstractEventLoop
from asyncio.tasks import *
from collections.abc import Coroutine, Generator
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")
_Coroutine = Coroutine[Any, Any, _T] | Generator[Any, None, _T]
_T_co = TypeVar("_T_co", covariant=True)

if sys.version_info < (3, 12):
    class _Constructor(Protocol[_T_co]):
        def __call__(
            self,
            coro: _Coroutine[Any],
            /,
            *,
            loop: AbstractEventLoop,
            eager_start: bool,
            **kwargs: Any,
        ) -> _T_co: ...

    class _Factory(Protocol[_T_co]):
        def __call__(
            self,
            loop: AbstractEventLoop,
            coro: _Coroutine[Any],
            *,
            eager_start: bool = True,
            **options: Any,
        ) -> _T_co: ...

    def create_eager_task_factory(
        custom_task_constructor: _Constructor[_T],
    ) -> _Factory[_T]: ...
    def eager_task_factory(
        loop: AbstractEventLoop,
        coro: _Coroutine[_T],
        *,
        eager_start: bool = True,
        **options: Any,
    ) -> Task[_T]: ...
