"""What `call_soon_threadsafe` answers since some release of 3.14."""

import threading

from . import _rasyncio


class _ThreadSafeHandle(_rasyncio._CollectedHandle):
    """A handle that other threads may cancel: they wait while its callback runs.

    So whoever has cancelled it knows that the callback has ended, or never begins.
    """

    __slots__ = ("_lock",)

    def __init__(self, callback, args, loop, context=None):
        # A callback may cancel its own handle.
        self._lock = threading.RLock()

    def cancel(self):
        with self._lock:
            super().cancel()

    def cancelled(self):
        with self._lock:
            return super().cancelled()

    def _run(self):
        with self._lock:
            # It may have been cancelled since it was queued.
            if not super().cancelled():
                super()._run()
