"""Streams: what is read, searched and drained is native.

`_rasyncio.StreamReader`, `StreamWriter` and `StreamProtocol` have what runs for each request. Here is
what happens once in a stream's life. Much of that is the standard library's own code, run with our
classes in the place of its own, so that each version keeps its own ways.
"""

import sys
from asyncio import events, format_helpers
from asyncio import streams as _stock
from asyncio.streams import *  # noqa: F403
from asyncio.streams import __all__  # noqa: F401

from . import _rasyncio
from ._stock import fallback, with_names

_DEFAULT_LIMIT = _stock._DEFAULT_LIMIT  # 64 KiB


class _Buffer(bytes):
    """`reader._buffer`: what has come and was not read, as it was when it was asked for.

    What changes it changes the reader, from the front or at the end.
    """

    def __new__(cls, reader):
        self = super().__new__(cls, reader._peek())
        self._reader = reader
        return self

    def clear(self):
        self._reader._take(sys.maxsize)

    def extend(self, data):
        self._reader._put(data)

    def __iadd__(self, data):
        self._reader._put(data)
        return _Buffer(self._reader)

    def __delitem__(self, index):
        kept = bytearray(self._reader._peek())
        del kept[index]
        self.clear()
        self._reader._put(kept)


@_rasyncio._own_methods
class StreamReader(_rasyncio.StreamReader):
    """What a stream brings: fed by a protocol, read by coroutines, one at a time.

    More than twice `limit` bytes that nobody reads make the transport pause; `readline` and
    `readuntil` refuse what is longer than `limit`.
    """

    _source_traceback = None

    def __init__(self, limit=_DEFAULT_LIMIT, loop=None):
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        if loop is None:
            loop = _default_loop()
        super().__init__(limit, loop)
        if loop.get_debug():
            self._source_traceback = format_helpers.extract_stack(sys._getframe(1))

    @property
    def _buffer(self):
        return _Buffer(self)

    @_buffer.setter
    def _buffer(self, data):
        self._take(sys.maxsize)
        self._put(data)

    __repr__ = _stock.StreamReader.__repr__
    _wait_for_data = _stock.StreamReader._wait_for_data


if sys.version_info < (3, 12):

    def _default_loop():
        return events._get_event_loop(stacklevel=4)

else:

    def _default_loop():
        return events.get_event_loop()


@_rasyncio._own_methods
class StreamWriter(_rasyncio.StreamWriter):
    """The other half of a stream: a transport's methods, and `drain`, to wait for room."""

    def __init__(self, transport, protocol, reader, loop):
        # drain() asks the reader for its exception.
        assert reader is None or isinstance(
            reader, (_rasyncio.StreamReader, _stock.StreamReader)
        )
        super().__init__(transport, protocol, reader, loop)

    __repr__ = _stock.StreamWriter.__repr__
    if hasattr(_stock.StreamWriter, "__del__"):  # not in the first releases of 3.11
        __del__ = _stock.StreamWriter.__del__
    wait_closed = _stock.StreamWriter.wait_closed
    start_tls = _stock.StreamWriter.start_tls


def _with_our_classes(function):
    """A function of the standard library's module that makes our readers, writers and protocols."""
    made = with_names(function, _stock, _OURS)
    made.__module__ = __name__
    return made


# Bases in this order: attributes that `drain` looks at are native.
class StreamReaderProtocol(_rasyncio.StreamProtocol, _stock.StreamReaderProtocol):
    """The protocol between a transport and a reader; for a server, it makes the writer too."""

    # What `__init__` and `connection_made` set: in slots, so that no dict is filled for a connection.
    __slots__ = (
        "_client_connected_cb",
        "_closed",
        "_drain_waiters",
        "_loop",
        "_over_ssl",
        "_reject_connection",
        "_stream_writer",
        "_strong_reader",
        "_task",
        "_transport",
    )


_OURS = {
    "StreamReader": StreamReader,
    "StreamWriter": StreamWriter,
    "StreamReaderProtocol": StreamReaderProtocol,
}

StreamReaderProtocol.connection_made = _with_our_classes(
    _stock.StreamReaderProtocol.connection_made
)
open_connection = _with_our_classes(_stock.open_connection)
start_server = _with_our_classes(_stock.start_server)
open_unix_connection = _with_our_classes(_stock.open_unix_connection)
start_unix_server = _with_our_classes(_stock.start_unix_server)

__getattr__ = fallback("streams")
