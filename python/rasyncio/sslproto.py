"""TLS over a transport.

What runs for each piece of data, and the order of events, is native (`_rasyncio.TlsProtocol` and
`TlsTransport`). Here is what happens once in a connection's life, and what Python says of it.
"""

import types
import warnings
from asyncio import base_events, constants, exceptions, protocols, streams
from asyncio import sslproto as _stock
from asyncio.log import logger

from . import _rasyncio
from ._stock import fallback, with_names

ssl = _stock.ssl  # None, where the interpreter was built without


def _time_limit(name, given, default):
    if given is None:
        return default
    if given <= 0:
        raise ValueError(f"{name} should be a positive number, got {given}")
    return given


# Both carry the stock classes' names, so that their reprs, in logs and in tests, are the same.
class _SSLProtocolTransport(_rasyncio.TlsTransport):
    """The transport of a TLS connection, as the application sees it."""

    __module__ = _stock.__name__

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.FALLBACK

    def __del__(self, _warnings=warnings):
        if not self._closed:
            self._closed = True
            _warnings.warn(
                "unclosed transport <asyncio._SSLProtocolTransport object>", ResourceWarning
            )


class SSLProtocol(_rasyncio.TlsProtocol, protocols.BufferedProtocol):
    """The protocol of the transport below: it has the session, and the application's protocol.

    `waiter` is a future that is done when the handshake is. Without `call_connection_made` the
    application knows of the connection already.
    """

    __module__ = _stock.__name__

    def __init__(
        self,
        loop,
        app_protocol,
        sslcontext,
        waiter,
        server_side=False,
        server_hostname=None,
        call_connection_made=True,
        ssl_handshake_timeout=None,
        ssl_shutdown_timeout=None,
    ):
        if ssl is None:
            raise RuntimeError("stdlib ssl module not available")
        handshake = _time_limit(
            "ssl_handshake_timeout", ssl_handshake_timeout, constants.SSL_HANDSHAKE_TIMEOUT
        )
        shutdown = _time_limit(
            "ssl_shutdown_timeout", ssl_shutdown_timeout, constants.SSL_SHUTDOWN_TIMEOUT
        )
        if not sslcontext:
            sslcontext = _stock._create_transport_context(server_side, server_hostname)
        self._sslcontext = sslcontext
        self._server_side = server_side
        self._server_hostname = server_hostname if server_hostname and not server_side else None
        self._handshake_start_time = None
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        sslobj = sslcontext.wrap_bio(
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=self._server_hostname,
        )
        super().__init__(
            loop,
            app_protocol,
            waiter,
            call_connection_made,
            handshake,
            shutdown,
            {"sslcontext": sslcontext},
            incoming,
            outgoing,
            sslobj,
            # What an SSLObject's read() and write() call.
            sslobj._sslobj if type(sslobj) is ssl.SSLObject else sslobj,
            server_side,
        )
        self._app_transport = _SSLProtocolTransport(loop, self)

    def connection_made(self, transport):
        """The transport below is connected: start the handshake."""
        if self._loop.get_debug():
            logger.debug("%r starts SSL handshake", self)
            self._handshake_start_time = self._loop.time()
        super().connection_made(transport)

    def _established(self):
        sslobj = self._sslobj
        peercert = sslobj.getpeercert()
        if self._handshake_start_time is not None:
            took = self._loop.time() - self._handshake_start_time
            logger.debug("%r: SSL handshake took %.1f ms", self, took * 1e3)
        self._extra.update(
            peercert=peercert,
            cipher=sslobj.cipher(),
            compression=sslobj.compression(),
            ssl_object=sslobj,
        )

    def _refused(self, exc):
        # Called while `exc` is being handled, as _fatal_error() is.
        if isinstance(exc, ssl.CertificateError):
            message = "SSL handshake failed on verifying the certificate"
        else:
            message = "SSL handshake failed"
        self._fatal_error(exc, message)

    def _fatal_error(self, exc, message="Fatal error on transport"):
        transport = self._transport
        if transport is not None:
            transport._force_close(exc)
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=True)
        elif not isinstance(exc, exceptions.CancelledError):
            self._loop.call_exception_handler(
                {
                    "message": message,
                    "exception": exc,
                    "transport": transport,
                    "protocol": self,
                }
            )


def _for_start_tls(loop, app_protocol, sslcontext, waiter, server_side=False, *args, **kwargs):
    """A protocol for a connection that was not encrypted so far.

    What a client has sent already, without being asked, is the beginning of its handshake: newer
    versions take it back from the stream's reader, and older ones had better.
    """
    protocol = SSLProtocol(loop, app_protocol, sslcontext, waiter, server_side, *args, **kwargs)
    if server_side and isinstance(app_protocol, streams.StreamReaderProtocol):
        reader = getattr(app_protocol, "_stream_reader", None)
        if reader is not None and (buffer := reader._buffer):
            protocol._incoming.write(buffer)
            buffer.clear()
    return protocol


# Each version's own, which looks for the class in its module's globals.
start_tls = with_names(
    base_events.BaseEventLoop.start_tls,
    base_events,
    {"sslproto": types.SimpleNamespace(SSLProtocol=_for_start_tls)},
)

__getattr__ = fallback("sslproto")
