"""TLS transports: what is known of them, what they are put over, and that nothing of them is left."""

import asyncio
import gc
import os
import socket
import ssl
import sys
import warnings
import weakref
from asyncio import sslproto

import pytest
from _sockets import same, settled
from _tls import CERTIFICATE, Peer, client_context, secured, server_context
from _tls_recorders import Quiet, QuietBuffered, echo_server, ours, silent

import rasyncio


def test_what_is_known_of_a_connection():
    names = (
        "socket sockname peername sslcontext ssl_object peercert cipher compression nothing"
    ).split()

    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log))
        transport = recorder.transport
        for name in names:
            log(name, type(transport.get_extra_info(name)).__name__)
        log(transport.get_extra_info("cipher"), transport.get_extra_info("peercert"))
        log(transport.get_extra_info("sslcontext") is client_context())
        log(transport.get_extra_info("nothing", "default"))
        log(transport.get_protocol() is recorder, transport.can_write_eof())
        log(transport._start_tls_compatible, transport._sendfile_compatible)
        log(isinstance(transport, asyncio.Transport), type(transport).__module__)
        transport.abort()
        await recorder.lost
        log(transport.get_extra_info("cipher") is None, transport.get_extra_info("peername"))
        log(transport.get_protocol())
        peer.close()

    same(scenario)


def test_what_cannot_be_done():
    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log))
        transport = recorder.transport
        for data in ("text", 1, None, [b"x"]):
            try:
                transport.write(data)
            except TypeError as error:
                log(error)
        try:
            transport.write_eof()
        except NotImplementedError as error:
            log(repr(error))
        transport.write(b"")
        transport.writelines([])
        transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
        log(await peer.read() != b"")
        transport.abort()
        await recorder.lost
        transport.pause_reading()
        transport.write(b"x")
        loop = asyncio.get_running_loop()
        for options in (
            {"ssl_handshake_timeout": 0},
            {"ssl_shutdown_timeout": -1},
        ):
            left, right = socket.socketpair()
            left.setblocking(False)
            try:
                await loop.create_connection(
                    lambda: Quiet(log),
                    sock=left,
                    ssl=client_context(),
                    server_hostname="localhost",
                    **options,
                )
            except ValueError as error:
                log(error)
            left.close()
            right.close()
        for context, transport in ((None, None), (client_context(), object())):
            try:
                await loop.start_tls(transport, recorder, context)
            except TypeError as error:
                log(str(error).split(" object at")[0])
        peer.close()

    same(scenario)


def test_another_protocol_takes_over():
    async def scenario(log):
        second = []

        def exchange(self):
            second.append(QuietBuffered(log))
            self.transport.set_protocol(second[0])

        recorder, peer = await secured(lambda: Quiet(log, data_received=exchange))
        await peer.write(b"one")
        await settled()
        await peer.write(b"two")
        await settled()
        peer.close()
        log(await second[0].lost, bytes(second[0].received))

    same(scenario)


@pytest.mark.parametrize("early", [False, True])
def test_start_tls(early):
    async def scenario(log):
        left, right = socket.socketpair()
        loop = asyncio.get_running_loop()
        transport, recorder = await loop.create_connection(lambda: Quiet(log), sock=left)
        peer = Peer(right, server_side=False)
        if early:
            # The peer's first flight waits in the socket when TLS starts.
            try:
                peer.session.do_handshake()
            except ssl.SSLWantReadError:
                await peer.send()
        task = asyncio.ensure_future(
            loop.start_tls(transport, recorder, server_context(), server_side=True)
        )
        await peer.handshake()
        secure = await task
        log(type(secure).__name__, secure.get_protocol() is recorder)
        secure.write(b"secret")
        log(await peer.read())
        await peer.write(b"too")
        await settled()
        secure.close()
        await peer.unwrap()
        log(await recorder.lost)
        peer.close()

    same(scenario)


def test_tls_in_tls():
    async def main():
        async def echo(reader, writer):
            await writer.start_tls(server_context())
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
        )
        await writer.start_tls(client_context(), server_hostname="localhost")
        for size in (1, 1000, 200_000):
            data = bytes(size)
            writer.write(data)
            assert await reader.readexactly(size) == data
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    ours(main)


class Kept(ssl.SSLObject):
    """A session that keeps what it was given to read into."""

    seen = []

    def read(self, len=1024, buffer=None):
        if buffer is not None:
            self.seen.append(buffer)
        return super().read(len, buffer)


def test_sessions_of_a_class_of_the_programs_own():
    async def main():
        context = ssl.create_default_context(cafile=CERTIFICATE)
        context.sslobject_class = Kept
        left, right = socket.socketpair()
        peer = Peer(right)
        task = asyncio.ensure_future(
            asyncio.get_running_loop().create_connection(
                lambda: Quiet(silent), sock=left, ssl=context, server_hostname="localhost"
            )
        )
        await peer.handshake()
        _, recorder = await task
        data = os.urandom(300_000)
        await peer.write(data)
        await settled()
        assert recorder.received == data
        assert isinstance(recorder.transport.get_extra_info("ssl_object"), Kept)
        peer.close()
        await recorder.lost

    ours(main)
    del Kept.seen[:]


def test_nothing_is_left_behind():
    async def connections(count):
        server, port = await echo_server()
        kept = []
        for number in range(count):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
            )
            kept += [weakref.ref(writer.transport), weakref.ref(writer.transport._ssl_protocol)]
            writer.write(b"x" * 1000)
            await reader.readexactly(1000)
            if number % 3 == 0:
                writer.transport.abort()
            else:
                writer.close()
                await writer.wait_closed()
            del reader, writer
        server.close()
        await server.wait_closed()
        await settled()
        gc.collect()
        assert not any(reference() for reference in kept)

    async def main():
        await connections(3)
        before = len(os.listdir("/proc/self/fd"))
        await connections(20)
        assert len(os.listdir("/proc/self/fd")) == before

    ours(main)


def test_a_transport_that_nobody_closed_is_complained_of():
    async def main():
        recorder, peer = await secured(lambda: Quiet(silent))
        transport = recorder.transport
        # As if the loop had forgotten it: the socket's transport alone holds it.
        transport._ssl_protocol._transport.abort()
        assert not transport._closed
        await recorder.lost
        assert transport._closed
        peer.close()
        lone = type(transport)(asyncio.get_running_loop(), transport._ssl_protocol)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            del lone
        assert [str(warning.message) for warning in seen] == [
            "unclosed transport <asyncio._SSLProtocolTransport object>"
        ]

    ours(main)


def test_other_loops_keep_their_own():
    async def main():
        recorder, peer = await secured(lambda: Quiet(silent))
        kind = type(recorder.transport)
        recorder.transport.abort()
        await recorder.lost
        peer.close()
        return kind

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(main()) is sslproto._SSLProtocolTransport
    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        assert runner.run(main()) is not sslproto._SSLProtocolTransport


@pytest.mark.parametrize(
    "start_tls",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                sys.version_info < (3, 14), reason="older versions' start_tls keeps its waiter"
            ),
        ),
    ],
)
def test_a_failed_handshake_leaves_no_cycle(start_tls):
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        peer = Peer(right)
        distrustful = ssl.create_default_context()

        async def connect():
            if start_tls:
                transport, protocol = await loop.create_connection(asyncio.Protocol, sock=left)
                await loop.start_tls(transport, protocol, distrustful, server_hostname="localhost")
            else:
                await loop.create_connection(
                    asyncio.Protocol, sock=left, ssl=distrustful, server_hostname="localhost"
                )

        task = asyncio.ensure_future(connect())
        await settled()
        kept = [weakref.ref(transport) for transport in loop._transports.values()]
        assert len(kept) == 1
        try:
            await peer.handshake()
        except (OSError, EOFError):
            pass
        with pytest.raises(ssl.SSLCertVerificationError):
            await task
        del task
        await settled()
        assert [reference() for reference in kept] == [None]
        peer.close()

    gc.collect()
    gc.disable()
    try:
        ours(main)
    finally:
        gc.enable()
