"""TLS: what the two ends agree on, and what becomes of those that do not."""

import asyncio
import functools
import gc
import os
import socket
import ssl

import pytest
from _sockets import Recorder, same, settled
from _tls import CERTIFICATE, STRANGER, connecting

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


class Quiet(Recorder):
    """What is told of a transport is its class: its address is another one in each run."""

    def _told(self, name, *what):
        if name == "connection_made":
            what = (type(what[0]).__name__,)
        return super()._told(name, *what)


def server(certificate=CERTIFICATE, version=None, **attributes):
    return _with(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, version, attributes)


def client(certificate=None, version=None, **attributes):
    context = ssl.create_default_context(cafile=CERTIFICATE)
    return _with(context, certificate, version, attributes)


def _with(context, certificate, version, attributes):
    if certificate is not None:
        context.load_cert_chain(certificate)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


async def outcome(log, task, *steps):
    """What both ends come to. Steps of the peer's may fail when the other end has gone."""
    for step in steps:
        try:
            log("peer:", type(await step).__name__)
        except (OSError, EOFError) as error:
            log("peer:", type(error).__name__, getattr(error, "reason", None))
    try:
        _, recorder = await asyncio.wait_for(task, 10)
    except OSError as error:
        log(type(error).__name__, getattr(error, "reason", None))
    else:
        return recorder


@VERSIONS
@pytest.mark.parametrize("server_side", [False, True])
def test_versions(version, server_side):
    async def scenario(log):
        contexts = client(), server(version=version)
        task, peer = await connecting(
            lambda: Quiet(log),
            server_side,
            context=contexts[server_side],
            peer={"context": contexts[not server_side]},
        )
        recorder = await outcome(log, task, peer.handshake())
        transport = recorder.transport
        log(transport.get_extra_info("ssl_object").version(), transport.get_extra_info("cipher"))
        for size in (1, 16_384, 100_000):
            transport.write(bytes(size))
            received = 0
            while received < size:
                received += len(await peer.read())
            await peer.write(bytes(size))
        await settled()
        log(len(recorder.received))
        transport.close()
        await peer.unwrap()
        log(await recorder.lost)
        peer.close()

    assert "116385" in same(scenario)


@VERSIONS
@pytest.mark.parametrize("certificate", [None, CERTIFICATE, STRANGER])
@pytest.mark.parametrize("wanted", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
def test_the_servers_view_of_a_clients_certificate(certificate, wanted, version):
    async def scenario(log):
        context = server(version=version, verify_mode=wanted)
        context.load_verify_locations(CERTIFICATE)
        task, peer = await connecting(
            lambda: Quiet(log), True, context, {"context": client(certificate)}
        )
        recorder = await outcome(log, task, peer.handshake())
        if recorder is not None:
            certificate_seen = recorder.transport.get_extra_info("peercert")
            log("certificate:", certificate_seen and certificate_seen["subject"])
            await peer.write(b"hello")
            await settled()
            recorder.transport.abort()
            await recorder.lost
        peer.close()

    log = same(scenario)
    accepted = certificate == CERTIFICATE or (certificate is None and wanted == ssl.CERT_OPTIONAL)
    assert any(line.startswith("certificate:") for line in log) == accepted


@VERSIONS
@pytest.mark.parametrize("certificate", [None, CERTIFICATE, STRANGER])
def test_a_clients_certificate_seen_from_the_client(certificate, version):
    async def scenario(log):
        context = server(verify_mode=ssl.CERT_REQUIRED)
        context.load_verify_locations(CERTIFICATE)
        task, peer = await connecting(
            lambda: Quiet(log),
            context=client(certificate, version),
            peer={"context": context},
        )
        # In TLS 1.3 the client is done before the server has looked at it.
        recorder = await outcome(log, task, peer.handshake())
        if recorder is not None:
            names = recorder.transport.get_extra_info("peercert")["subjectAltName"]
            log(names)
            await settled()
            recorder.transport.abort()
            log(type(await recorder.lost).__name__)
        peer.close()

    same(scenario)


@pytest.mark.parametrize("hostname", ["localhost", "stranger.test", "127.0.0.1"])
@pytest.mark.parametrize("checked", [False, True])
def test_the_name_of_the_host(hostname, checked):
    async def scenario(log):
        context = client()
        context.check_hostname = checked
        task, peer = await connecting(lambda: Quiet(log), context=context, server_hostname=hostname)
        recorder = await outcome(log, task, peer.handshake())
        if recorder is not None:
            recorder.transport.abort()
            await recorder.lost
        peer.close()

    same(scenario)


@pytest.mark.parametrize("server_side", [False, True])
@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"], ["spdy"], None])
def test_alpn(offered, server_side):
    async def scenario(log):
        contexts = client(), server()
        contexts[0].set_alpn_protocols(offered or [])
        contexts[1].set_alpn_protocols(["h2", "http/1.1"])
        task, peer = await connecting(
            lambda: Quiet(log),
            server_side,
            contexts[server_side],
            {"context": contexts[not server_side]},
        )
        recorder = await outcome(log, task, peer.handshake())
        if recorder is not None:
            session = recorder.transport.get_extra_info("ssl_object")
            log(session.selected_alpn_protocol(), peer.session.selected_alpn_protocol())
            recorder.transport.abort()
            await recorder.lost
        peer.close()

    same(scenario)


@pytest.mark.parametrize("hostname", ["stranger.test", "localhost", None])
def test_another_context_for_another_name(hostname):
    async def scenario(log):
        context, other = server(), server(STRANGER)

        def choose(session, name, given):
            log("asked for:", name, given is context)
            if name == "stranger.test":
                session.context = other

        context.sni_callback = choose
        trusting = client()
        trusting.load_verify_locations(STRANGER)
        trusting.check_hostname = hostname is not None
        task, peer = await connecting(
            lambda: Quiet(log), True, context, {"context": trusting, "hostname": hostname}
        )
        recorder = await outcome(log, task, peer.handshake())
        log(peer.session.getpeercert()["subject"])
        transport = recorder.transport
        log(transport.get_extra_info("sslcontext") is context)
        log(transport.get_extra_info("ssl_object").context is other)
        await peer.write(b"hello")
        await settled()
        transport.abort()
        await recorder.lost
        peer.close()

    same(scenario)


@pytest.mark.parametrize(
    "answer", [ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME, ValueError("expected"), "no number"]
)
def test_a_name_that_is_refused(answer):
    async def scenario(log):
        def refuse(session, name, context):
            if isinstance(answer, Exception):
                raise answer
            return answer

        context = server()
        context.sni_callback = refuse
        task, peer = await connecting(lambda: Quiet(log), True, context)
        assert await outcome(log, task, peer.handshake()) is None
        peer.close()

    with pytest.MonkeyPatch.context() as patch:
        # What the callback raised is written there.
        patch.setattr("sys.unraisablehook", lambda unraisable: None)
        same(scenario)


def test_the_connection_is_aborted_while_a_name_is_chosen():
    async def scenario(log):
        def choose(session, name, context):
            (transport,) = asyncio.get_running_loop()._transports.values()
            transport.get_protocol()._app_transport.abort()

        context = server()
        context.sni_callback = choose
        task, peer = await connecting(lambda: Quiet(log), True, context)
        log(type(await outcome(log, task, peer.handshake())).__name__)
        await settled()
        peer.close()

    same(scenario)


@VERSIONS
def test_a_session_that_is_taken_up_again(version):
    async def scenario(log):
        context, trusting = server(version=version), client()
        session = None
        for _ in range(2):
            task, peer = await connecting(
                lambda: Quiet(log), True, context, {"context": trusting, "session": session}
            )
            recorder = await outcome(log, task, peer.handshake())
            known = recorder.transport.get_extra_info("ssl_object")
            log(known.session_reused, peer.session.session_reused, known.session is not None)
            # Tickets come with the first data in TLS 1.3.
            recorder.transport.write(b"hello")
            log(await peer.read())
            session = peer.session.session
            log(session.has_ticket)
            recorder.transport.close()
            await peer.unwrap()
            await recorder.lost
            peer.close()

    assert "True True True" in same(scenario)


def test_versions_that_do_not_meet():
    async def scenario(log):
        task, peer = await connecting(
            lambda: Quiet(log),
            True,
            server(version=ssl.TLSVersion.TLSv1_3),
            {"context": client(version=ssl.TLSVersion.TLSv1_2)},
        )
        assert await outcome(log, task, peer.handshake()) is None
        peer.close()

    same(scenario)


def test_a_server_without_a_certificate():
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log), True, server(None))
        assert await outcome(log, task, peer.handshake()) is None
        peer.close()

    same(scenario)


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zeros": bytes(5000),
    "text": b"hello, world\n" * 10,
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "data": b"\x17\x03\x03\x00\x05hello",
    "an empty record": b"\x16\x03\x03\x00\x00",
    "a record that is too long": b"\x16\x03\x03\xff\xff" + bytes(70_000),
    "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
    "half a hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("server_side", [False, True])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_something_else_in_place_of_a_handshake(garbage, server_side):
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log), server_side, ssl_handshake_timeout=0.3)
        await settled()
        peer.sock.send(GARBAGE[garbage])
        assert await outcome(log, task) is None
        await settled()
        peer.close()

    same(scenario)


@pytest.mark.parametrize("server_side", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_a_byte_of_the_handshake_is_altered(which, server_side):
    """In each of the peer's flights, one at its beginning, in its middle and at its end."""

    async def one(log, place):
        task, peer = await connecting(lambda: Quiet(log), server_side, ssl_handshake_timeout=0.3)
        flight = 0
        take = peer.take

        def altered():
            nonlocal flight
            data = bytearray(take())
            if data and flight == which:
                data[[5, len(data) // 2, len(data) - 1][place]] ^= 0x55
            flight += bool(data)
            return bytes(data)

        peer.take = altered
        try:
            async with asyncio.timeout(2):
                await peer.handshake()
        except (OSError, EOFError, TimeoutError):
            pass
        peer.close()
        recorder = await outcome(log, task)
        if recorder is not None:
            # What the client sends last is no longer part of the client's own handshake.
            await recorder.lost

    async def scenario(log):
        for place in range(3):
            await one(log, place)

    same(scenario)


@pytest.mark.parametrize("server_side", [False, True])
@pytest.mark.parametrize("flights", [0, 1])
def test_a_peer_that_goes_in_the_handshake(flights, server_side):
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log), server_side)
        await settled()
        if flights:
            try:
                peer.incoming.write(peer.sock.recv(65536))
            except BlockingIOError:
                pass
            try:
                peer.session.do_handshake()
            except ssl.SSLWantReadError:
                pass
            await peer.send()
            await settled()
        peer.close()
        recorder = await outcome(log, task)
        if recorder is not None:
            log(await recorder.lost)

    same(scenario)


@pytest.mark.parametrize("server_side", [False, True])
def test_a_handshake_that_is_cancelled_leaves_nothing(server_side):
    async def scenario(log):
        before = len(os.listdir("/proc/self/fd"))
        task, peer = await connecting(lambda: Quiet(log), server_side)
        await settled()
        task.cancel()
        await asyncio.wait([task])
        log(task.cancelled())
        peer.close()
        await settled()
        log(len(os.listdir("/proc/self/fd")) - before)
        del task
        gc.collect()
        log(len(asyncio.get_running_loop()._transports))

    assert same(scenario) == ["True", "0", "0"]


def test_what_is_written_in_the_handshake_goes_out_after_it():
    async def scenario(log):
        task, peer = await connecting(lambda: Quiet(log))
        await settled()
        (below,) = asyncio.get_running_loop()._transports.values()
        transport = below.get_protocol()._app_transport
        transport.write(b"early ")
        transport.writelines([b"lines ", b"too"])
        log(transport.get_write_buffer_size() > 15, transport.is_closing())
        await peer.handshake()
        _, recorder = await task
        log(await peer.read())
        log(transport.get_write_buffer_size())
        transport.abort()
        await recorder.lost
        peer.close()

    same(scenario)


async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_a_bad_client_does_not_disturb_the_server():
    async def scenario(log):
        listening = await asyncio.start_server(
            echo, "127.0.0.1", 0, ssl=server(), ssl_handshake_timeout=0.2
        )
        port = listening.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        connect = functools.partial(socket.create_connection, ("127.0.0.1", port))
        for garbage in (GARBAGE["http"], GARBAGE["half a hello"], b""):
            with await loop.run_in_executor(None, connect) as sock:
                sock.setblocking(False)
                await loop.sock_sendall(sock, garbage)
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=client(), server_hostname="localhost"
                )
                writer.write(b"hello")
                log(await reader.readexactly(5))
                writer.close()
                await writer.wait_closed()
                # The server has closed it, for what it was or for its silence.
                try:
                    while await loop.sock_recv(sock, 1000):
                        pass
                    log("closed")
                except ConnectionResetError:
                    log("closed")
        listening.close()
        await listening.wait_closed()

    log = same(scenario)
    assert log.count("closed") == log.count("b'hello'") == 3
