"""TLS: what goes over a connection, in unusual ways, and how much of it is held."""

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import socket
import ssl

import pytest
from _leaks import growth
from _sockets import same, settled
from _tls import CERTIFICATE, client_context, secured, server_context
from _tls_recorders import KINDS, Quiet, QuietBuffered, ours, silent

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def client(version):
    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.minimum_version = context.maximum_version = version
    return context


async def pair(protocol, version, server_side, log=silent, **options):
    contexts = client(version), server_context()
    return await secured(
        lambda: protocol(log),
        server_side,
        context=contexts[server_side],
        peer={"context": contexts[not server_side]},
        **options,
    )


@KINDS
@VERSIONS
@pytest.mark.parametrize("server_side", [False, True])
def test_one_write_of_ten_megabytes(protocol, version, server_side):
    async def main():
        recorder, peer = await pair(protocol, version, server_side)
        data = random.Random(1).randbytes(10_000_000)
        recorder.transport.write(data)
        received = bytearray()
        while len(received) < len(data):
            received += await peer.read()
        assert received == data
        await peer.write(data)
        async with asyncio.timeout(20):
            while len(recorder.received) < len(data):
                await asyncio.sleep(0.001)
        assert recorder.received == data
        assert recorder.transport.get_write_buffer_size() == 0
        recorder.transport.abort()
        await recorder.lost
        peer.close()

    ours(main)


@KINDS
@VERSIONS
@pytest.mark.parametrize("server_side", [False, True])
def test_a_byte_at_a_time_each_way(protocol, version, server_side):
    async def main():
        recorder, peer = await pair(protocol, version, server_side)
        data = os.urandom(300)
        await peer.write(data, piece=1)
        for byte in data:
            recorder.transport.write(bytes([byte]))
        received = bytearray()
        while len(received) < len(data):
            received += await peer.read()
        await settled()
        assert received == recorder.received == data
        recorder.transport.abort()
        await recorder.lost
        peer.close()

    ours(main)


@pytest.mark.parametrize("size", [1, 1000, 16_383, 16_384, 16_385, 40_000])
def test_the_rest_goes_to_the_protocol_that_takes_over(size):
    """A buffered protocol that goes in the middle of a record leaves the rest to the next one."""

    async def scenario(log):
        second = []

        def exchange(self):
            second.append(Quiet(silent))
            self.transport.set_protocol(second[0])

        recorder, peer = await secured(
            lambda: QuietBuffered(log, size=size, buffer_updated=exchange)
        )
        data = random.Random(2).randbytes(50_000)
        await peer.write(data)
        await settled()
        assert bytes(recorder.received + second[0].received) == data
        log(len(recorder.received))
        peer.close()
        log(await second[0].lost)

    same(scenario)


def test_a_paused_reader_keeps_the_rest_of_a_record():
    async def scenario(log):
        def pause(self):
            self.transport.pause_reading()

        recorder, peer = await secured(lambda: QuietBuffered(log, size=100, buffer_updated=pause))
        await peer.write(bytes(1000))
        # It comes in pieces, each of which somebody has asked for, and nothing else comes.
        for turn in range(9):
            await settled()
            log(len(recorder.received), recorder.transport.get_read_buffer_size())
            recorder.transport.resume_reading()
        await settled()
        log(len(recorder.received))
        peer.close()
        recorder.transport.resume_reading()
        log(await recorder.lost)

    assert "1000" in same(scenario)


@KINDS
def test_many_small_writes_go_out_in_order(protocol):
    async def scenario(log):
        recorder, peer = await secured(lambda: protocol(log))
        pieces = [b"%d," % number for number in range(2000)]
        for start in range(0, 2000, 20):
            recorder.transport.writelines(pieces[start : start + 10])
            for piece in pieces[start + 10 : start + 20]:
                recorder.transport.write(bytearray(piece))
        wanted = b"".join(pieces)
        received = bytearray()
        while len(received) < len(wanted):
            received += await peer.read()
        log(received == wanted)
        recorder.transport.abort()
        await recorder.lost
        peer.close()

    same(scenario)


def test_the_program_may_use_its_buffer_again_at_once():
    async def main():
        recorder, peer = await secured(lambda: Quiet(silent))
        buffer = bytearray(b"a" * 3_000_000)
        recorder.transport.write(buffer)
        recorder.transport.write(memoryview(buffer)[:10])
        buffer[:] = b"b" * len(buffer)
        received = bytearray()
        while len(received) < 3_000_010:
            received += await peer.read()
        assert set(received) == set(b"a")
        recorder.transport.abort()
        await recorder.lost
        peer.close()

    ours(main)


@VERSIONS
@pytest.mark.parametrize("paused", [False, True])
def test_the_peer_ends_its_side_without_a_goodbye(version, paused):
    """TCP's half is closed, TLS's is not: the connection ends, and what waited was delivered."""

    async def scenario(log):
        recorder, peer = await pair(Quiet, version, False, log)
        transport = recorder.transport
        for attempt in (transport.write_eof, transport.can_write_eof):
            try:
                log(attempt())
            except NotImplementedError as error:
                log(repr(error))
        if paused:
            transport.pause_reading()
        await peer.write(b"x" * 30_000)
        peer.sock.shutdown(socket.SHUT_WR)
        await settled()
        transport.write(b"answer")
        if paused:
            transport.resume_reading()
        log(await recorder.lost, len(recorder.received))
        peer.close()

    same(scenario)


@VERSIONS
def test_data_after_our_goodbye_is_taken_or_refused_alike(version):
    async def scenario(log):
        recorder, peer = await pair(Quiet, version, False, log, ssl_shutdown_timeout=1)
        recorder.transport.close()
        try:
            log(await peer.read())
            await peer.write(b"one more thing")
            await peer.unwrap()
        except (OSError, EOFError) as error:
            log(type(error).__name__)
        log(type(await recorder.lost).__name__)
        peer.close()

    same(scenario)


def test_a_stream_that_nobody_reads_holds_little():
    async def main():
        async def serve(reader, writer):
            started.set()
            await finish.wait()
            held.append(len(reader._buffer) + writer.transport.get_read_buffer_size())
            writer.close()

        held = []
        started, finish = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(), limit=1000)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
        )
        sent = 0
        await started.wait()
        with contextlib.suppress(TimeoutError):
            while sent < 200_000_000:
                writer.write(bytes(100_000))
                sent += 100_000
                async with asyncio.timeout(0.5):
                    await writer.drain()
        # What the kernel holds, and the two ends' marks.
        assert sent < 30_000_000
        assert writer.transport.get_write_buffer_size() < 2_000_000
        writer.transport.abort()
        finish.set()
        await settled()
        assert held[0] < 2_000_000
        server.close()
        await server.wait_closed()

    ours(main)


@contextlib.asynccontextmanager
async def openssl(context, *options):
    """OpenSSL's own client on a server of ours: the server's protocol, and the client's process."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    def factory():
        accepted.set_result(Quiet(silent))
        return accepted.result()

    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *f"openssl s_client -connect 127.0.0.1:{port} -quiet -no_ign_eof".split(),
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    recorder = await accepted
    yield recorder, process
    process.stdin.close()
    recorder.transport.abort()
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()
    server.close()


async def told(recorder, process, lines):
    """Types the lines, each when the one before has had its effect, and waits for the last one."""
    for line in lines:
        process.stdin.write(line)
        await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        while not recorder.received.endswith(lines[-1]):
            await settled()


has_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl program")


def old(allowed):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if allowed:
        context.options |= 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION
    return context


@has_openssl
def test_renegotiation():
    """TLS 1.2: the client begins another handshake in the middle of its data."""

    async def scenario(log):
        async with openssl(old(True), "-tls1_2") as (recorder, process):
            # A line that begins with `R` asks for it.
            await told(recorder, process, [b"before\n", b"R\n", b"after\n", b"R\n", b"end\n"])
            recorder.transport.write(b"heard\n")
            log(await process.stdout.readline(), bytes(recorder.received))

    assert same(scenario) == ["b'heard\\n' b'before\\nafter\\nend\\n'"]


@has_openssl
def test_renegotiation_that_is_refused():
    async def scenario(log):
        async with openssl(old(False), "-tls1_2") as (recorder, process):
            await told(recorder, process, [b"before\n"])
            process.stdin.write(b"R\n")
            # The client takes a refusal for the end.
            async with asyncio.timeout(10):
                await recorder.lost
            log(bytes(recorder.received))

    same(scenario)


@has_openssl
def test_the_peer_changes_its_keys():
    """TLS 1.3: `k` changes its own, and `K` asks for ours, too."""

    async def scenario(log):
        async with openssl(server_context(), "-tls1_3") as (recorder, process):
            lines = [b"before\n", b"k\n", b"after\n", b"K\n", b"again\n", b"K\n", b"end\n"]
            await told(recorder, process, lines)
            recorder.transport.write(b"heard\n")
            log(await process.stdout.readline(), bytes(recorder.received))

    assert same(scenario) == ["b'heard\\n' b'before\\nafter\\nagain\\nend\\n'"]


def connections(count):
    """Opens, uses and ends them, in several ways, `count` in all."""

    async def echo(reader, writer):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(5000):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def one(port, number):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
        )
        data = bytes([number % 256]) * (number * 37 % 3000 + 1)
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        match number % 3:
            case 0:
                writer.close()
                await writer.wait_closed()
            case 1:
                writer.transport.abort()
            case 2:
                # Not a word of goodbye.
                writer.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    assert not await reader.read()
                writer.close()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context(), backlog=100)
        port = server.sockets[0].getsockname()[1]
        for start in range(0, count, 20):
            await asyncio.gather(*(one(port, number) for number in range(start, start + 20)))
        server.close()
        await server.wait_closed()
        while len(asyncio.all_tasks()) > 1 or asyncio.get_running_loop()._transports:
            await settled()

    ours(main)


def test_two_thousand_connections_leave_nothing_behind():
    before = len(os.listdir("/proc/self/fd"))
    grown = growth(connections, 600)
    assert len(os.listdir("/proc/self/fd")) == before
    assert grown.objects < 20, grown
    assert grown.blocks < 100, grown
    assert grown.allocated < 50_000, grown


def test_checksummed_streams_in_both_directions_at_once():
    async def sends(chance, writer):
        """So many bytes, and then their checksum."""
        checksum = hashlib.sha256()
        for _ in range(50):
            data = chance.randbytes(int(10 ** chance.uniform(0, 5)))
            checksum.update(data)
            writer.write(len(data).to_bytes(4, "big"))
            writer.write(data)
            if chance.random() < 0.5:
                await writer.drain()
        writer.write(bytes(4))
        writer.write(checksum.digest())

    async def receives(reader):
        checksum = hashlib.sha256()
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            checksum.update(await reader.readexactly(size))
        assert await reader.readexactly(32) == checksum.digest()

    async def both(seed, reader, writer):
        async with asyncio.TaskGroup() as group:
            group.create_task(sends(random.Random(seed), writer))
            group.create_task(receives(reader))
        # Both have all.
        writer.write(b".")
        assert await reader.readexactly(1) == b"."
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def main():
        loop = asyncio.get_running_loop()
        served = []

        def serve(reader, writer):
            served.append(loop.create_task(both(len(served), reader, writer)))

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context())
        port = server.sockets[0].getsockname()[1]

        async def connect(seed):
            streams = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
            )
            await both(seed, *streams)

        async with asyncio.timeout(60):
            await asyncio.gather(*(connect(100 + number) for number in range(6)))
            await asyncio.gather(*served)
        server.close()
        await server.wait_closed()

    ours(main)
