"""TLS: what the protocol is told of the data and of the end, and when."""

import asyncio
import hashlib
import os
import random
import ssl

import pytest
from _sockets import same, settled
from _tls import client_context, connecting, secured
from _tls_recorders import KINDS, QuietBuffered, echo_server, ours, silent


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
