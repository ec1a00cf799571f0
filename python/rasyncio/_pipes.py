"""Transports of pipes.

Native are `_rasyncio.ReadPipeTransport` and `WritePipeTransport`: setting up, reading, writing, flow
control, closing. How they present themselves is the standard library's own code.
"""

from asyncio import unix_events as _stock

from . import _rasyncio, selector_events


# They carry the stock classes' names, so that their reprs, in logs and in tests, are the same.
@_rasyncio._own_methods
class _UnixReadPipeTransport(_rasyncio.ReadPipeTransport):
    """The transport of a pipe, a socket or a character device that is read."""

    max_size = 256 * 1024  # bytes that one read asks for at most

    __repr__ = _stock._UnixReadPipeTransport.__repr__
    __del__ = _stock._UnixReadPipeTransport.__del__
    _fatal_error = _stock._UnixReadPipeTransport._fatal_error


@_rasyncio._own_methods
class _UnixWritePipeTransport(_rasyncio.WritePipeTransport):
    """The transport of a pipe, a socket or a character device that is written to.

    That nobody reads a pipe or a socket any more closes it.
    """

    __repr__ = _stock._UnixWritePipeTransport.__repr__
    __del__ = _stock._UnixWritePipeTransport.__del__
    _fatal_error = _stock._UnixWritePipeTransport._fatal_error


class PipeMethods:
    """The loop's methods that make transports of pipes."""

    __slots__ = ()

    def _make_read_pipe_transport(self, pipe, protocol, waiter=None, extra=None):
        native = selector_events.watches_natively(self)
        cls = _UnixReadPipeTransport if native else _stock._UnixReadPipeTransport
        return cls(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(self, pipe, protocol, waiter=None, extra=None):
        native = selector_events.watches_natively(self)
        cls = _UnixWritePipeTransport if native else _stock._UnixWritePipeTransport
        return cls(self, pipe, protocol, waiter, extra)
