import sys
from asyncio.futures import Future
from types import FrameType
from typing import Any

from _typeshed import SupportsWrite

if sys.version_info >= (3, 14):
    # One type on the versions that have it, so that values pass between the two.
    from asyncio.graph import FrameCallGraphEntry as FrameCallGraphEntry
    from asyncio.graph import FutureCallGraph as FutureCallGraph
else:
    from dataclasses import dataclass

    @dataclass(frozen=True, slots=True)
    class FrameCallGraphEntry:
        frame: FrameType

    @dataclass(frozen=True, slots=True)
    class FutureCallGraph:
        future: Future[Any]
        call_stack: tuple[FrameCallGraphEntry, ...]
        awaited_by: tuple[FutureCallGraph, ...]

def capture_call_graph(
    future: Future[Any] | None = None, /, *, depth: int = 1, limit: int | None = None
) -> FutureCallGraph | None: ...
def format_call_graph(
    future: Future[Any] | None = None, /, *, depth: int = 1, limit: int | None = None
) -> str: ...
def print_call_graph(
    future: Future[Any] | None = None,
    /,
    *,
    file: SupportsWrite[str] | None = None,
    depth: int = 1,
    limit: int | None = None,
) -> None: ...
