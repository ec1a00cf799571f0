"""TLS: what the protocol is told, and when, whatever the peer and the program do."""

import asyncio
import gc
import hashlib
import os
import random
import socket
import ssl
import sys
import warnings
import weakref
from asyncio import sslproto

import pytest
from _sockets import Buffered, Recorder, same, settled
from _tls import CERTIFICATE, Peer, client_context, connecting, secured, server_context

import rasyncio

def ours(scenario):
    """Runs a scenario on our loop."""
    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        return runner.run(scenario())


def silent(*what):
    """No log."""


def fails(self):
    raise ValueError("expected")


class Quiet(Recorder):
    """What is told of a transport is its class: its address is another one in each run."""

    def _told(self, name, *what):
        if name == "connection_made":
            what = (type(what[0]).__name__,)
        return super()._told(name, *what)


class QuietBuffered(Quiet, Buffered):
    def __init__(self, log, size=65536, **then):
        super().__init__(log, size, **then)
        # A slice of it is no copy.
        self.buffer = memoryview(self.buffer)


KINDS = pytest.mark.parametrize("protocol", [Quiet, QuietBuffered])


@KINDS
@pytest.mark.parametrize("server_side", [False, True])
def test_data_both_ways_and_the_peers_goodbye(protocol, server_side):
    async def scenario(log):
        recorder, peer = await secured(lambda: protocol(log), server_side)
        await peer.write(b"hello")
        await settled()
        recorder.transport.write(b"answer")
        log(await peer.read())
        await peer.unwrap()
        log(await recorder.lost, recorder.transport.is_closing())
        peer.close()

    assert "connection_lost None" in same(scenario)


@KINDS
def test_close_says_goodbye(protocol):
    async def scenario(log):
        recorder, peer = await secured(lambda: protocol(log))
        recorder.transport.write(b"last")
        recorder.transport.close()
        log(recorder.transport.is_closing())
        log(await peer.read())
        log(await peer.read())
        await peer.unwrap()
        log(await recorder.lost)
        peer.close()

    same(scenario)


@KINDS
@pytest.mark.parametrize("when", ["idle", "after data", "within a record"])
def test_a_truncated_close_is_an_end(protocol, when):
    async def scenario(log):
        recorder, peer = await secured(lambda: protocol(log))
        if when != "idle":
            peer.session.write(b"x" * 1000)
            data = peer.take()
            peer.sock.send(data if when == "after data" else data[:500])
        peer.close()
        log(await recorder.lost)

    same(scenario)


@KINDS
def test_what_is_sent_a_byte_at_a_time(protocol):
    async def main():
        task, peer = await connecting(lambda: protocol(silent))
        await peer.handshake(piece=1)
        _, recorder = await task
        data = os.urandom(1000)
        await peer.write(data, piece=1)
        await settled()
        assert recorder.received == data
        recorder.transport.abort()
        await recorder.lost
        peer.close()

    ours(main)


@KINDS
@pytest.mark.parametrize("goodbye", [False, True])
def test_many_records_in_one_segment(protocol, goodbye):
    async def scenario(log):
        recorder, peer = await secured(lambda: protocol(log))
        for number in range(20):
            peer.session.write(b"%d," % number * 30)
        if goodbye:
            try:
                peer.session.unwrap()
            except ssl.SSLWantReadError:
                pass
        await peer.send()
        await settled()
        log(len(recorder.received), hashlib.sha256(recorder.received).hexdigest())
        peer.close()
        log(await recorder.lost)

    same(scenario)


def test_a_small_buffer_gets_all():
    async def main():
        recorder, peer = await secured(lambda: QuietBuffered(silent, size=7))
        data = os.urandom(100_000)
        await peer.write(data)
        await settled()
        assert recorder.received == data
        peer.close()
        await recorder.lost

    ours(main)


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


def test_writing_pauses_and_resumes():
    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log))
        transport = recorder.transport
        log(transport.get_write_buffer_limits(), transport.get_read_buffer_limits())
        transport.set_write_buffer_limits(high=100_000)
        log(transport.get_write_buffer_limits(), transport.get_write_buffer_size())
        count = 0
        while "pause_writing" not in log:
            transport.write(b"x" * 50_000)
            count += 50_000
        log(transport._protocol_paused)
        while count:
            count -= len(await peer.read())
        await settled()
        log(transport._protocol_paused, transport.get_write_buffer_size())
        for given in ({"high": 1, "low": 2}, {"high": -1}, {"high": 0}, {}):
            try:
                transport.set_write_buffer_limits(**given)
                log(transport.get_write_buffer_limits())
                transport.set_read_buffer_limits(**given)
                log(transport.get_read_buffer_limits())
            except ValueError as error:
                log(error)
        transport.abort()
        await recorder.lost
        peer.close()

    log = same(scenario)
    assert "pause_writing" in log and "resume_writing" in log


def test_reading_pauses_and_resumes():
    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log))
        transport = recorder.transport
        transport.pause_reading()
        log(transport.is_reading())
        await peer.write(b"kept")
        await settled()
        log(bytes(recorder.received), transport.get_read_buffer_size() > 0)
        transport.resume_reading()
        log(transport.is_reading(), bytes(recorder.received))
        await settled()
        # What came before the end is passed on before it.
        transport.pause_reading()
        await peer.write(b"also")
        peer.close()
        await settled()
        transport.resume_reading()
        log(await recorder.lost, bytes(recorder.received))

    same(scenario)


def test_a_paused_connection_holds_little():
    async def main():
        recorder, peer = await secured(lambda: Quiet(silent))
        recorder.transport.pause_reading()
        sent = 0
        data = os.urandom(1 << 16)
        for _ in range(200):
            try:
                async with asyncio.timeout(0.2):
                    await peer.write(data)
            except TimeoutError:
                break
            sent += len(data)
        assert sent < 4 << 20
        assert recorder.transport.get_read_buffer_size() < 1 << 20
        recorder.transport.abort()
        await recorder.lost
        peer.close()

    ours(main)


def test_a_peer_that_reads_nothing_holds_little_and_is_left():
    async def main():
        log = []
        recorder, peer = await secured(
            lambda: Quiet(lambda *what: log.append(what[0])), ssl_shutdown_timeout=0.1
        )
        written = 0
        while "pause_writing" not in log:
            recorder.transport.write(b"x" * 10_000)
            written += 10_000
        assert written < 4 << 20
        assert recorder.transport.get_write_buffer_size() < 1 << 20
        recorder.transport.close()
        async with asyncio.timeout(5):
            assert isinstance(await recorder.lost, TimeoutError)
        peer.close()

    ours(main)


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


async def echo_server(**options):
    async def echo(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context(), **options)
    return server, server.sockets[0].getsockname()[1]


def test_random_streams_both_ways():
    async def one(port, seed):
        chance = random.Random(seed)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
        )
        sent, received = hashlib.sha256(), hashlib.sha256()
        total = 0

        async def write():
            nonlocal total
            for _ in range(60):
                data = chance.randbytes(chance.choice([1, 10, 1000, 16_384, 16_385, 100_000]))
                sent.update(data)
                total += len(data)
                if chance.random() < 0.3:
                    half = len(data) // 2
                    writer.writelines([data[:half], memoryview(data)[half:]])
                else:
                    writer.write(data)
                if chance.random() < 0.5:
                    await writer.drain()

        writing = asyncio.ensure_future(write())
        count = 0
        while not writing.done() or count < total:
            data = await reader.read(chance.choice([1, 100, 65536]))
            assert data
            received.update(data)
            count += len(data)
        await writing
        assert count == total and sent.digest() == received.digest()
        writer.close()
        await writer.wait_closed()

    async def main():
        server, port = await echo_server()
        await asyncio.gather(*(one(port, seed) for seed in range(8)))
        server.close()
        await server.wait_closed()

    ours(main)


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
