"""The event loop.

Its scheduling half is native (`_rasyncio.BaseLoop`: callbacks, timers, futures, tasks, readers and
writers, executors), and so are transports of sockets, accepting connections and the methods of plain
sockets (`selector_events`), transports of pipes (`_pipes`) and waiting for child processes
(`base_subprocess`). Setting up connections and endpoints is done by the methods of the standard library's
loop, which run unchanged over our readers, timers and tasks.
"""

import selectors
import sys
import threading
import time
import warnings
import weakref
from asyncio import events, timeouts
from asyncio import unix_events as _stock
from asyncio.log import logger
from asyncio.unix_events import *  # noqa: F403
from collections.abc import MutableMapping

from . import _handles, _rasyncio, base_subprocess, selector_events
from ._pipes import PipeMethods, _UnixReadPipeTransport, _UnixWritePipeTransport  # noqa: F401
from ._stock import fallback
from .base_subprocess import _UnixSubprocessTransport  # noqa: F401

# Our loops derive from it, also when install() has put ours in its place.
_StockLoop = _stock._UnixSelectorEventLoop


class _Selector:
    """`loop._selector`, to look at: which descriptors the loop watches, and for what.

    Transports ask it for their repr. Assigning `select` makes the loop wait by that: libraries that
    let a test's time leap do so, and call the former one.
    """

    def __init__(self, loop, given):
        self._loop = loop
        self._given = given

    def __setattr__(self, name, value):
        if name == "select":
            self._loop._select_is_replaced()
        super().__setattr__(name, value)

    def select(self, timeout=None):
        """Wait for events, at most `timeout` seconds, and schedule what they ask for.

        The answer has an item for each; what it is is the loop's business.
        """
        return [(None, 0)] * self._loop._select(timeout)

    def get_key(self, fileobj):
        """As a selector's: KeyError for what is not watched."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        events = self._loop._interest(fd)
        if not events:
            raise KeyError(f"{fileobj!r} is not registered")
        return selectors.SelectorKey(fileobj, fd, events, None)

    def unregister(self, fileobj):
        """Stop watching a descriptor."""
        key = self.get_key(fileobj)
        self._loop._remove_reader(key.fd)
        self._loop._remove_writer(key.fd)
        return key

    def close(self):
        if self._given is not None:
            self._given.close()


class _Transports(MutableMapping):
    """`loop._transports`: who has which descriptor, without being kept alive by that.

    The loop knows the native ones; any others are here.
    """

    __slots__ = ("_loop", "_others", "data")

    def __init__(self, loop):
        self._loop = loop
        self._others = weakref.WeakValueDictionary()
        self.data = self._others.data

    def __getitem__(self, fd):
        native = self._loop._transport_of(fd)
        return self._others[fd] if native is None else native

    def __setitem__(self, fd, transport):
        self._loop._forget_transport(fd)
        self._others[fd] = transport

    def __delitem__(self, fd):
        self[fd]  # KeyError if there is none
        self._loop._forget_transport(fd)
        self._others.pop(fd, None)

    def __iter__(self):
        return iter({*self._loop._transport_numbers(), *self._others})

    def __len__(self):
        return len({*self._loop._transport_numbers(), *self._others})


class _State(_rasyncio.BaseLoop):
    """What stock methods read from the loop, in slots.

    So the loop's `__dict__` stays empty, and the interpreter can look up its methods in the
    quickest of its ways: that is a third of what `loop.call_soon` costs.
    """

    __slots__ = (
        "_asyncgens",
        "_asyncgens_shutdown_called",
        "_clock_resolution",
        "_coroutine_origin_tracking_enabled",
        "_coroutine_origin_tracking_saved_depth",
        "_csock",
        "_executor_shutdown_called",
        "_internal_fds",
        "_selector",
        "_signal_handlers",
        "_ssock",
        "_transports",
        "_unix_server_sockets",
        "_watcher",
    )


# It carries the stock class's name, so that its repr, in logs and in tests, is the same.
@_rasyncio._own_methods
class _UnixSelectorEventLoop(
    _State,
    selector_events.SocketMethods,
    PipeMethods,
    base_subprocess.SubprocessMethods,
    _StockLoop,
):
    """asyncio's event loop, with a native engine.

    `selector` is accepted because asyncio's loop takes one. The engine polls by itself: a selector
    given here watches nothing, and is closed with the loop.
    """

    def __init__(self, selector=None):
        _rasyncio.BaseLoop.__init__(self)
        self._selector = _Selector(self, selector)
        # What stock methods read. Its own __init__ would open a selector and a socket pair.
        self._transports = _Transports(self)
        self._unix_server_sockets = {}
        self._signal_handlers = {}
        self._ssock = self._csock = None
        self._internal_fds = 1  # what wakes the poll
        self._clock_resolution = time.get_clock_info("monotonic").resolution
        self._coroutine_origin_tracking_enabled = False
        self._coroutine_origin_tracking_saved_depth = None
        self._asyncgens = weakref.WeakSet()
        self._asyncgens_shutdown_called = False
        self._executor_shutdown_called = False
        if hasattr(_stock, "_PidfdChildWatcher"):  # since 3.14; before that a policy had it
            self._watcher = (
                _stock._PidfdChildWatcher()
                if _stock.can_use_pidfd()
                else _stock._ThreadedChildWatcher()
            )

    def close(self):
        """Drop all callbacks and timers and release the loop's descriptors.

        The default executor is told to end and not waited for. Closing twice does nothing;
        RuntimeError while the loop runs.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        if self.get_debug():
            logger.debug("Close %r", self)
        self._remove_signal_handlers()
        if self._ssock is not None:
            self._close_self_pipe()
        _rasyncio.BaseLoop.close(self)
        self._executor_shutdown_called = True
        executor, self._default_executor = self._default_executor, None
        if executor is not None:
            executor.shutdown(wait=False)
        self._internal_fds = 0
        self._selector.close()
        self._selector = None

    # Signals: the interpreter's C handler writes the signal's number to a socket that the loop
    # reads. Few programs need it, so the pair is made by the first handler.

    def add_signal_handler(self, sig, callback, *args):
        """Call `callback(*args)` in the loop whenever the signal `sig` arrives.

        Only in the main thread (RuntimeError elsewhere); ValueError for a number that is no
        signal, RuntimeError for one that cannot be caught, TypeError for a coroutine function.
        """
        if self._csock is None and not self.is_closed():
            self._make_self_pipe()
        super().add_signal_handler(sig, callback, *args)

    def _remove_signal_handlers(self):
        # Asked through the stock module, which is where tests pretend it.
        if _stock.sys.is_finalizing():
            if self._signal_handlers:
                warnings.warn(
                    f"Closing the loop {self!r} on interpreter shutdown stage, "
                    f"skipping signal handlers removal",
                    ResourceWarning,
                    source=self,
                )
                self._signal_handlers.clear()
            return
        for sig in list(self._signal_handlers):
            self.remove_signal_handler(sig)

    def _add_callback(self, handle):
        """Run an existing handle in the next turn."""
        if not handle._cancelled:
            self.call_soon(_run_handle, handle)

    def _add_callback_signalsafe(self, handle):
        # Called from a reader, in the loop's own thread: there is nobody to wake.
        self._add_callback(handle)

    if hasattr(events, "_ThreadSafeHandle"):  # came with a release of 3.14

        def call_soon_threadsafe(self, callback, *args, context=None):
            """Like call_soon(), from any thread."""
            self._check_closed()
            if self.get_debug():
                self._check_callback(callback, "call_soon_threadsafe")
            handle = _handles._ThreadSafeHandle(callback, args, self, context)
            if handle._source_traceback:
                del handle._source_traceback[-1]  # this very line
            super().call_soon_threadsafe(handle._run)
            return handle

    if sys.version_info < (3, 12):

        async def shutdown_default_executor(self, timeout=None):
            """End the default executor and wait for its threads, at most `timeout` seconds."""
            self._executor_shutdown_called = True
            executor = self._default_executor
            if executor is None:
                return
            ended = self.create_future()
            thread = threading.Thread(target=self._do_shutdown, args=(ended,))
            thread.start()
            try:
                async with timeouts.timeout(timeout):
                    await ended
            except TimeoutError:
                warnings.warn(
                    f"The executor did not finishing joining its threads within {timeout} seconds.",
                    RuntimeWarning,
                    stacklevel=2,
                )
                executor.shutdown(wait=False)
            else:
                thread.join()


def _run_handle(handle):
    # It may have been cancelled since it was queued.
    if not handle._cancelled:
        handle._run()


class _VirtualTimeEventLoop(_UnixSelectorEventLoop):
    """A loop for tests: when it has nothing to do, its clock jumps to the next deadline."""

    _virtual_time = True


SelectorEventLoop = EventLoop = _UnixSelectorEventLoop

__all__ = tuple(dict.fromkeys((*_stock.__all__, "EventLoop")))

__getattr__ = fallback("unix_events")
