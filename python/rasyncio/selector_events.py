"""Transports of sockets.

Native are `_rasyncio.SocketTransport` and `_rasyncio.DatagramTransport` (setting up, reading, writing,
flow control, closing) and accepting connections (`loop._listen`). Here is what Python says of a transport, and when the standard
library's own way is taken.
"""

import selectors
import socket
import sys
import types
import warnings
import weakref
from asyncio import base_events, constants
from asyncio import selector_events as _stock
from asyncio.log import logger
from asyncio.transports import DatagramTransport

from . import _rasyncio, sslproto
from ._stock import fallback

# Until 3.12 a server counted its connections; since then it has a set of them.
_SERVER_KNOWS_TRANSPORTS = base_events.Server._attach.__code__.co_argcount == 2

# Methods of a socket that the transport goes past: a class that overrides one means it.
_BYPASSED = ("recv", "recv_into", "send", "sendmsg")
_BYPASSED_BY_DATAGRAMS = ("recvfrom", "send", "sendto")

# Whose addresses the native transport can read and write.
_FAMILIES = {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX}


def _datagram_ways():
    """What a waiting datagram counts for beyond its bytes, and whether empty ones are sent.

    Bug-fix releases differ, so the standard library is made to queue two.
    """
    cls = _stock._SelectorDatagramTransport
    queued = types.SimpleNamespace(
        _address=None,
        _conn_lost=0,
        _buffer=["something"],
        _buffer_size=0,
        _header_size=getattr(cls, "_header_size", 0),
        _maybe_pause_protocol=lambda: None,
    )
    cls.sendto(queued, b"x")
    cls.sendto(queued, b"")
    sends_empty = len(queued._buffer) == 3
    return (queued._buffer_size - 1) // (2 if sends_empty else 1), sends_empty


class _Transport:
    """What all transports of sockets are in Python: their repr, and what happens seldom."""

    __slots__ = ()

    def __repr__(self):
        info = [self.__class__.__name__]
        if self._sock is None:
            info.append("closed")
        elif self._closing:
            info.append("closing")
        fd = self._sock_fd
        info.append(f"fd={fd}")
        loop = self._loop
        if loop is not None and not loop.is_closed():
            events = loop._interest(fd)
            reading = "polling" if events & selectors.EVENT_READ else "idle"
            writing = "polling" if events & selectors.EVENT_WRITE else "idle"
            info.append(f"read={reading}")
            info.append(f"write=<{writing}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    def __del__(self, _warn=warnings.warn):
        sock = self._sock
        if sock is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            sock.close()
            if self._server is not None:
                self._detach_from(self._server)

    def _fatal_error(self, exc, message="Fatal error on transport"):
        # Called while `exc` is being handled.
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self._loop.call_exception_handler(
                {
                    "message": message,
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
        self._force_close(exc)


# It carries the stock class's name, so that its repr, in logs and in tests, is the same.
@_rasyncio._own_methods
class _SelectorSocketTransport(_rasyncio.SocketTransport, _Transport):
    """The transport of a connected stream socket, TCP or Unix.

    The protocol's `connection_made` is called in the next turn of the loop, and reading starts
    after that. `context` is the one that all the protocol's methods run in; without it each has
    a copy of the one that was current when it was scheduled or watched for.
    """

    max_size = 256 * 1024  # bytes that one recv() asks for at most

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    def _attach_to(self, server):
        if _SERVER_KNOWS_TRANSPORTS:
            server._attach(self)
        else:
            server._attach()

    def _detach_from(self, server):
        if _SERVER_KNOWS_TRANSPORTS:
            server._detach(self)
        else:
            server._detach()

    @property
    def _read_ready_cb(self):
        return None if self._closing else self._read_ready


@_rasyncio._own_methods
class _SelectorDatagramTransport(
    _rasyncio.DatagramTransport,
    _Transport,
    # Since 3.12 it is one by its class, too.
    *(base for base in _stock._SelectorDatagramTransport.__bases__ if base is DatagramTransport),
):
    """The transport of a datagram socket, connected or not.

    The protocol's `connection_made` is called in the next turn of the loop, and receiving starts
    after that.
    """

    max_size = 256 * 1024  # bytes that one recvfrom() asks for

    _header_size, _sends_empty = _datagram_ways()


class SocketMethods:
    """The loop's methods that make transports of sockets."""

    __slots__ = ()

    def _start_serving(
        self, protocol_factory, sock, sslcontext=None, server=None, backlog=100, *rest, **keywords
    ):
        given = (protocol_factory, sock, sslcontext, server, backlog, *rest)
        ways = _WAYS_TO_ACCEPT_TLS if sslcontext else _WAYS_TO_ACCEPT
        if self.get_debug() or not _accepts_natively(self, sock, ways):
            super()._start_serving(*given, **keywords)
            return
        # Since 3.15 each connection has a context, made of the server's. It comes last.
        named = dict(zip((*_LIMITS, "context"), rest)) | keywords
        context = named.pop("context", None)
        if _keeps_a_plain_set_of_clients(server):
            _rasyncio._clients_of(server)
        tls = None
        if sslcontext:
            limits = _LIMITS | named
            tls = (_securing(sslcontext, limits), sslcontext, *limits.values())
        self._listen(
            sock, protocol_factory, server, backlog, _SelectorSocketTransport, context, tls
        )

    def _make_socket_transport(
        self, sock, protocol, waiter=None, *, extra=None, server=None, context=None
    ):
        self._ensure_fd_no_transport(sock)
        cls = _transport_class(self, sock)
        return cls(self, sock, protocol, waiter, extra, server, **_given(context))

    def _make_datagram_transport(self, sock, protocol, address=None, waiter=None, extra=None):
        if sys.version_info >= (3, 12):
            self._ensure_fd_no_transport(sock)
        cls = _SelectorDatagramTransport
        if sock.family not in _FAMILIES or not _is_native(self, sock, _BYPASSED_BY_DATAGRAMS):
            cls = _stock._SelectorDatagramTransport
        return cls(self, sock, protocol, address, waiter, extra)

    def _make_ssl_transport(
        self,
        rawsock,
        protocol,
        sslcontext,
        waiter=None,
        *,
        server_side=False,
        server_hostname=None,
        extra=None,
        server=None,
        ssl_handshake_timeout=constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout=constants.SSL_SHUTDOWN_TIMEOUT,
        context=None,
    ):
        self._ensure_fd_no_transport(rawsock)
        ssl_protocol = sslproto.SSLProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        cls = _transport_class(self, rawsock)
        cls(self, rawsock, ssl_protocol, extra=extra, server=server, **_given(context))
        return ssl_protocol._app_transport

    start_tls = sslproto.start_tls


def _accepts_natively(loop, sock, ways):
    """Whether nothing that the native way goes past is overridden."""
    return type(sock) is socket.socket and all(
        getattr(getattr(loop, method.__name__), "__func__", None) is method for method in ways
    )


def _keeps_a_plain_set_of_clients(server):
    """Whether nobody can see that a native set is in its place."""
    return (
        _SERVER_KNOWS_TRANSPORTS
        and type(server) is base_events.Server
        and type(server._clients) is weakref.WeakSet
        and (type(server)._attach, type(server)._detach) == _WAYS_TO_COUNT
    )


def _securing(sslcontext, limits):
    """Makes what is between the transport of an accepted connection and its protocol."""

    def secure(loop, protocol, waiter):
        return sslproto.SSLProtocol(loop, protocol, sslcontext, waiter, True, **limits)

    return secure


def _transport_class(loop, sock):
    """Ours, unless what it would go past is overridden."""
    if _is_native(loop, sock, _BYPASSED):
        return _SelectorSocketTransport
    return _stock._SelectorSocketTransport


def _is_native(loop, sock, bypassed):
    """Whether the loop watches natively, and the socket's class has its own of those methods."""
    cls = type(sock)
    plain = cls is socket.socket or (
        issubclass(cls, socket.socket)
        and all(getattr(cls, name) is getattr(socket.socket, name) for name in bypassed)
    )
    return plain and watches_natively(loop)


def watches_natively(loop):
    """Whether the loop's way to watch descriptors is not overridden in Python."""
    return isinstance(type(loop)._add_reader, types.MethodDescriptorType)


def _given(context):
    """`context` as an argument, if there is one: stock transports know none before 3.15."""
    return {} if context is None else {"context": context}


_WAYS_TO_ACCEPT = (
    _stock.BaseSelectorEventLoop._accept_connection,
    _stock.BaseSelectorEventLoop._accept_connection2,
    SocketMethods._make_socket_transport,
    _stock.BaseSelectorEventLoop._ensure_fd_no_transport,
)
_WAYS_TO_ACCEPT_TLS = (*_WAYS_TO_ACCEPT, SocketMethods._make_ssl_transport)

_WAYS_TO_COUNT = (base_events.Server._attach, base_events.Server._detach)

# How long a client may take, unless the server says something else.
_LIMITS = {
    "ssl_handshake_timeout": constants.SSL_HANDSHAKE_TIMEOUT,
    "ssl_shutdown_timeout": constants.SSL_SHUTDOWN_TIMEOUT,
}

__getattr__ = fallback("selector_events")
