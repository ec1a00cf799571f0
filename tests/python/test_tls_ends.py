"""TLS that ends badly or early: handshakes that fail or stall, peers that say rubbish, protocols that raise."""

import asyncio
import socket
import ssl

import pytest
from _sockets import same, settled
from _tls import Peer, connecting, secured
from _tls_recorders import Quiet, QuietBuffered, fails


@pytest.mark.parametrize(
    "method",
    ["connection_made", "data_received", "eof_received", "connection_lost", "pause_writing"],
)
def test_a_protocol_that_raises(method):
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log, **{method: fails}))
        try:
            await peer.handshake()
            _, recorder = await task
            await peer.write(b"x")
            await settled()
            recorder.transport.write(b"y" * 3_000_000)
            await settled()
            recorder.transport.abort()
            await recorder.lost
        except (OSError, EOFError, ValueError) as error:
            log(type(error).__name__)
        log(task.done())
        peer.close()
        await settled()

    same(scenario)


@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated", "eof_received"])
def test_a_buffered_protocol_that_raises(method):
    async def scenario(log):
        recorder, peer = await secured(lambda: QuietBuffered(log, **{method: fails}))
        await peer.write(b"x")
        await settled()
        peer.close()
        log(await recorder.lost)

    same(scenario)


@pytest.mark.parametrize("how", ["abort", "close"])
@pytest.mark.parametrize("state", ["handshake", "wrapped", "closing"])
def test_the_ends_in_each_state(state, how):
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log))
        if state == "handshake":
            await settled()
            # Nobody has the transport yet but the socket's protocol.
            for transport in list(asyncio.get_running_loop()._transports.values()):
                getattr(transport.get_protocol()._app_transport, how)()
            await settled()
            log(task.done())
            await asyncio.wait([task], timeout=1)
            log(task.exception())
        else:
            await peer.handshake()
            _, recorder = await task
            if state == "closing":
                recorder.transport.close()
            recorder.transport.write(b"lost?")
            getattr(recorder.transport, how)()
            getattr(recorder.transport, how)()
            if how == "close":
                await peer.unwrap()
            log(await recorder.lost)
        peer.close()

    same(scenario)


def test_a_stalled_handshake_times_out():
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log), ssl_handshake_timeout=0.05)
        try:
            await task
        except ConnectionAbortedError as error:
            log(error)
        log(peer.sock.recv(5)[:1], peer.sock.fileno() > 0)
        peer.close()

    assert "taking longer than 0.05 seconds" in "".join(same(scenario))


def test_a_goodbye_that_is_not_answered_times_out():
    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log), ssl_shutdown_timeout=0.05)
        recorder.transport.close()
        log(type(await recorder.lost).__name__)
        peer.close()

    assert same(scenario)[-1] == "TimeoutError"


@pytest.mark.parametrize("what", [b"GET / HTTP/1.0\r\n\r\n", b"", b"\x16\x03"])
def test_a_peer_that_speaks_something_else(what):
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log), server_side=True)
        peer.sock.send(what)
        peer.close()
        try:
            await task
        except OSError as error:
            log(type(error).__name__, getattr(error, "reason", None))

    same(scenario)


def test_a_certificate_that_is_not_trusted():
    async def scenario(log):
        left, right = socket.socketpair()
        right.setblocking(False)
        left.setblocking(False)
        peer = Peer(right)
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(
            loop.create_connection(
                lambda: Quiet(log), sock=left, ssl=True, server_hostname="localhost"
            )
        )
        try:
            await peer.handshake()
        except (OSError, EOFError) as error:
            log(type(error).__name__)
        try:
            await task
        except ssl.SSLCertVerificationError as error:
            log(error.verify_message)
        peer.close()

    same(scenario)


def test_rubbish_in_the_middle():
    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log))
        peer.sock.send(b"this is no record at all")
        log(type(await recorder.lost).__name__)
        peer.close()

    same(scenario)


def test_cancelled_in_the_handshake():
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log))
        await settled()
        task.cancel()
        await asyncio.wait([task])
        log(task.cancelled())
        await settled()
        peer.sock.recv(65536)
        log(peer.sock.recv(1))
        peer.close()

    assert same(scenario) == ["True", "b''"]
