"""Futures, and the bridge to the futures of threads."""

import concurrent.futures
from asyncio import events, exceptions
from asyncio import futures as _stock

from ._rasyncio import (
    Future,
    future_add_to_awaited_by,
    future_discard_from_awaited_by,
    isfuture,
)
from ._stock import fallback

__all__ = tuple(
    dict.fromkeys((*_stock.__all__, "future_add_to_awaited_by", "future_discard_from_awaited_by"))
)

_CFuture = Future


def _get_loop(future):
    """The loop of a future. Some future-like objects offer only the attribute."""
    get_loop = getattr(future, "get_loop", None)
    return future._loop if get_loop is None else get_loop()


def _set_result_unless_cancelled(future, result):
    """Set the result, unless the future was cancelled meanwhile."""
    if not future.cancelled():
        future.set_result(result)


_ASYNCIO_ERRORS = {
    concurrent.futures.CancelledError: exceptions.CancelledError,
    concurrent.futures.InvalidStateError: exceptions.InvalidStateError,
}


def _convert_future_exc(error):
    """Turn an error of concurrent.futures into asyncio's of the same name."""
    kind = _ASYNCIO_ERRORS.get(type(error), type(error))
    if kind is type(error):
        return error
    return kind(*error.args).with_traceback(error.__traceback__)


def _set_concurrent_future_state(concurrent_future, source):
    """Copy the outcome of a done future to a `concurrent.futures.Future`."""
    assert source.done()
    if source.cancelled():
        concurrent_future.cancel()
    if not concurrent_future.set_running_or_notify_cancel():
        return
    error = source.exception()
    if error is None:
        concurrent_future.set_result(source.result())
    else:
        concurrent_future.set_exception(_convert_future_exc(error))


def _outcome(source):
    """The state of a future as (done, cancelled, result, error)."""
    snapshot = getattr(source, "_get_snapshot", None)
    if snapshot is not None:
        # A concurrent.futures.Future of 3.15: one look under its lock.
        return snapshot()
    if not source.done():
        return False, False, None, None
    if source.cancelled():
        return True, True, None, None
    error = source.exception()
    return True, False, source.result() if error is None else None, error


def _copy_future_state(source, dest):
    """Copy the outcome of a done future, of either kind, to an asyncio future."""
    if dest.cancelled():
        return
    assert not dest.done()
    done, cancelled, result, error = _outcome(source)
    assert done
    if cancelled:
        dest.cancel()
    elif error is None:
        dest.set_result(result)
    else:
        dest.set_exception(_convert_future_exc(error))


def _chain_future(source, destination):
    """Let the outcome of one future, asyncio's or a thread's, settle another.

    Cancelling the destination cancels the source. Each future is only touched from the thread of
    its own loop.
    """
    for role, future in (("source", source), ("destination", destination)):
        if not isfuture(future) and not isinstance(future, concurrent.futures.Future):
            raise TypeError(f"A future is required for {role} argument")
    source_loop = _get_loop(source) if isfuture(source) else None
    destination_loop = _get_loop(destination) if isfuture(destination) else None

    def cancel_source(destination):
        if not destination.cancelled():
            return
        if source_loop is None or source_loop is events._get_running_loop():
            source.cancel()
        else:
            source_loop.call_soon_threadsafe(source.cancel)

    def settle():
        if isfuture(destination):
            _copy_future_state(source, destination)
        else:
            _set_concurrent_future_state(destination, source)

    def settle_destination(_):
        if destination_loop is None or destination_loop is events._get_running_loop():
            # A cancelled destination of a closed loop needs nothing more.
            if destination_loop is None or not (
                destination.cancelled() and destination_loop.is_closed()
            ):
                settle()
        elif not destination_loop.is_closed():
            destination_loop.call_soon_threadsafe(settle)

    destination.add_done_callback(cancel_source)
    source.add_done_callback(settle_destination)


def wrap_future(future, *, loop=None):
    """Return an asyncio future that follows a `concurrent.futures.Future`.

    An asyncio future is returned as it is. Without `loop`, the current loop is used.
    """
    if isfuture(future):
        return future
    assert isinstance(future, concurrent.futures.Future), (
        f"concurrent.futures.Future is expected, got {future!r}"
    )
    if loop is None:
        loop = events.get_event_loop()
    wrapped = loop.create_future()
    _chain_future(future, wrapped)
    return wrapped


__getattr__ = fallback("futures")
