"""The call graph: what a task executes, who awaits it, and who awaits those."""

import dataclasses
import inspect
import sys
import types

from . import events, futures, tasks

__all__ = (
    "capture_call_graph",
    "format_call_graph",
    "print_call_graph",
    "FrameCallGraphEntry",
    "FutureCallGraph",
)

_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_GENERATOR = _ASYNC | inspect.CO_ITERABLE_COROUTINE | inspect.CO_GENERATOR


@dataclasses.dataclass(frozen=True, slots=True)
class FrameCallGraphEntry:
    """One call: its frame."""

    frame: types.FrameType


@dataclasses.dataclass(frozen=True, slots=True)
class FutureCallGraph:
    """A future or task, its calls from the innermost out, and the graphs of those who await it."""

    future: "futures.Future"
    call_stack: tuple[FrameCallGraphEntry, ...]
    awaited_by: tuple["FutureCallGraph", ...]


def capture_call_graph(future=None, /, *, depth=1, limit=None):
    """Capture the call graph of a future, or of the current task.

    `depth` skips that many of the innermost frames of the current task. `limit` bounds each call
    stack: a positive one keeps the outermost calls, a negative one the innermost, 0 none.

    Return None where there is no current task. RuntimeError without `future` and without a
    running loop; TypeError for what is no future.
    """
    loop = events._get_running_loop()
    if future is None:
        if loop is None:
            raise RuntimeError(
                "capture_call_graph() is called outside of a running event loop and no *future* "
                "to introspect was provided"
            )
        future = tasks.current_task(loop)
        if future is None:
            return None
    elif loop is None or future is not tasks.current_task(loop):
        return _graph_of(future, limit, frozenset())
    _check_future(future)
    frames = [] if limit == 0 else _running_frames(sys._getframe(depth))
    return _graph(future, frames, limit, frozenset())


def format_call_graph(future=None, /, *, depth=1, limit=None):
    """Return the call graph as text; arguments as for `capture_call_graph()`."""
    graph = capture_call_graph(future, depth=depth + 1, limit=limit)
    try:
        return "" if graph is None else "\n".join(_lines(graph, ""))
    finally:
        # It holds frames, this one's caller among them.
        del graph


def print_call_graph(future=None, /, *, file=None, depth=1, limit=None):
    """Print the call graph to `file`, or standard output; arguments as `capture_call_graph()`."""
    # With depth=1 this function's own frame is shown: so does CPython, and so callers count.
    print(format_call_graph(future, depth=depth, limit=limit), file=file)


def _check_future(future):
    if not futures.isfuture(future):
        raise TypeError(f"{future!r} object does not appear to be compatible with asyncio.Future")


def _graph_of(future, limit, path):
    """The graph of a future that is not the running task."""
    _check_future(future)
    get_coro = getattr(future, "get_coro", None)
    frames = [] if get_coro is None or limit == 0 else _suspended_frames(get_coro())
    return _graph(future, frames, limit, path)


def _graph(future, frames, limit, path):
    """Join a future's frames, the innermost first, with the graphs of those who await it.

    `path` holds the futures on the way here: tasks that await one another in a ring end there.
    """
    if limit is not None and limit != 0:
        frames = frames[-limit:] if limit > 0 else frames[:-limit]
    path |= {id(future)}
    # Only futures of ours, and all since 3.14, know who awaits them.
    awaited_by = getattr(future, "_asyncio_awaited_by", None) or ()
    return FutureCallGraph(
        future,
        tuple(map(FrameCallGraphEntry, frames)),
        tuple(_graph_of(parent, limit, path) for parent in awaited_by if id(parent) not in path),
    )


def _suspended_frames(coro):
    """The frames of a suspended coroutine and of those that it awaits, the innermost first."""
    frames = []
    while coro is not None:
        if hasattr(coro, "cr_await"):
            frame, inner = coro.cr_frame, coro.cr_await
        elif hasattr(coro, "ag_await"):
            frame, inner = coro.ag_frame, coro.ag_await
        else:
            break
        if frame is not None:
            frames.append(frame)
        coro = inner
    frames.reverse()
    return frames


def _running_frames(frame):
    """The frames of the running task, from `frame` out to its outermost coroutine."""
    frames = []
    while frame is not None:
        frames.append(frame)
        outer = frame.f_back
        # What called a coroutine and is no coroutine or generator itself is the loop.
        if (
            frame.f_code.co_flags & _ASYNC
            and outer is not None
            and not outer.f_code.co_flags & _GENERATOR
        ):
            break
        frame = outer
    return frames


def _lines(graph, indent):
    future = graph.future
    if hasattr(future, "get_coro"):
        yield f"{indent}* Task(name={future.get_name()!r}, id={id(future):#x})"
    else:
        yield f"{indent}* Future(id={id(future):#x})"
    if graph.call_stack:
        yield f"{indent}  + Call stack:"
        for entry in graph.call_stack:
            frame = entry.frame
            code = frame.f_code
            yield (
                f"{indent}  |   File {code.co_filename!r}, line {frame.f_lineno}, in "
                f"{_kind(frame)}{code.co_qualname}()"
            )
    if graph.awaited_by:
        yield f"{indent}  + Awaited by:"
        for parent in graph.awaited_by:
            yield from _lines(parent, indent + "    ")


def _kind(frame):
    flags = frame.f_code.co_flags
    if flags & inspect.CO_ASYNC_GENERATOR:
        return "async generator "
    # Native coroutines have code without flags, and frames that know their coroutine.
    if flags & inspect.CO_COROUTINE or hasattr(getattr(frame, "f_generator", None), "cr_frame"):
        return "async "
    return "generator " if flags & _GENERATOR else ""
