"""Transports of sockets when something goes wrong: protocols that raise, peers that vanish, descriptors that are gone."""

import asyncio
import gc
import hashlib
import os
import random
import socket
import struct
import warnings
import weakref

import pytest
from _sockets import Buffered, Recorder, connected, same, settled, turns

import rasyncio


def fails(self):
    raise ValueError("expected")


@pytest.mark.parametrize(
    "method",
    ["connection_made", "data_received", "eof_received", "connection_lost", "pause_writing"],
)
def test_a_protocol_that_raises(method):
    async def scenario(log):
        recorder, peer = await connected(log, **{method: fails})
        recorder.transport.write(b"x" * 3_000_000)
        peer.send(b"data")
        await settled()
        if not recorder.lost.done():
            peer.shutdown(socket.SHUT_WR)
            await settled()
        recorder.transport.abort()
        await turns()
        log(recorder.lost)
        peer.close()

    assert any("handler" in line for line in same(scenario))


def test_resume_writing_that_raises():
    async def scenario(log):
        recorder, peer = await connected(log, resume_writing=fails)
        recorder.transport.write(b"x" * 1_000_000)
        got = 0
        while got < 1_000_000:
            await asyncio.sleep(0)
            try:
                got += len(peer.recv(100_000))
            except BlockingIOError:
                pass
        await settled()
        recorder.transport.close()
        await recorder.lost
        peer.close()

    same(scenario)


@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated"])
def test_a_buffered_protocol_that_raises(method):
    async def scenario(log):
        recorder, peer = await connected(log, Buffered, **{method: fails})
        peer.send(b"data")
        await settled()
        log(recorder.lost)
        peer.close()

    same(scenario)


@pytest.mark.parametrize(
    "buffer", [bytearray(), b"read-only", 5, memoryview(bytearray(10))[::2]], ids=repr
)
def test_a_bad_buffer(buffer):
    async def scenario(log):
        recorder, peer = await connected(log, Buffered, buffer=lambda self: buffer)
        peer.send(b"data")
        await settled()
        log(recorder.lost)
        peer.close()

    same(scenario)


def test_a_peer_that_resets():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        made = loop.create_future()
        server = await loop.create_server(
            lambda: Recorder(log, connection_made=made.set_result), "127.0.0.1", 0
        )
        with socket.create_connection(server.sockets[0].getsockname()) as peer:
            recorder = await made
            recorder.transport.write(b"unread")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        log(await recorder.lost)
        server.close()
        await server.wait_closed()

    assert any("ConnectionResetError" in line for line in same(scenario))


def test_writing_to_a_peer_that_is_gone():
    async def scenario(log):
        recorder, peer = await connected(log, eof_received=lambda self: True)
        peer.close()
        await settled()
        for _ in range(8):
            recorder.transport.write(b"x")
            await turns(2)
        log(type(await recorder.lost))

    same(scenario)


def test_one_byte_at_a_time():
    async def scenario(log):
        recorder, peer = await connected(log)
        for byte in b"slowly":
            peer.send(bytes([byte]))
            await settled()
        log(bytes(recorder.received))
        recorder.transport.close()
        await recorder.lost
        peer.close()

    same(scenario)


def test_the_socket_closed_under_the_transport():
    async def scenario(log):
        recorder, peer = await connected(log)
        recorder.transport.get_extra_info("socket")._sock.close()
        recorder.transport.write(b"x")
        log(type(await recorder.lost))
        peer.close()

    same(scenario)


def test_a_number_that_is_used_again_gets_nothing_of_ours():
    async def main():
        recorder, peer = await connected(lambda *what: None)
        sock = recorder.transport.get_extra_info("socket")._sock
        number = sock.fileno()
        sock.close()
        other, far = socket.socketpair()
        assert other.fileno() == number
        other.setblocking(False)
        far.send(b"for the other one")
        far.setblocking(False)
        recorder.transport.write(b"for the first one")
        assert isinstance(await recorder.lost, OSError)
        assert other.recv(100) == b"for the other one"
        with pytest.raises(BlockingIOError):
            far.recv(100)
        assert not recorder.received
        for each in (peer, other, far):
            each.close()

    rasyncio.run(main())


def test_a_forgotten_transport_warns_and_closes():
    async def main():
        recorder, peer = await connected(lambda *what: None)
        recorder.transport.pause_reading()
        reference = weakref.ref(recorder.transport)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            del recorder
            gc.collect()
            told = [str(warning.message) for warning in caught]
            # A recorded warning holds what it is about.
            caught.clear()
            gc.collect()
        assert reference() is None
        assert any("unclosed transport <_SelectorSocketTransport" in text for text in told)
        assert peer.recv(10) == b""
        peer.close()

    rasyncio.run(main())


def test_a_cycle_through_a_transport_is_collected():
    async def main():
        recorder, peer = await connected(lambda *what: None)
        recorder.transport.write(b"x" * 1_000_000)  # something waits
        return weakref.ref(recorder), peer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reference, peer = rasyncio.run(main())
        gc.collect()
    assert reference() is None
    peer.close()


@pytest.mark.parametrize("kind", ["protocol", "buffered"])
def test_streams_of_random_sizes_arrive_whole(kind):
    """Both directions at once, with pauses, in pieces of all sizes and kinds."""
    rng = random.Random(kind)

    async def main():
        loop = asyncio.get_running_loop()
        ends = []
        sent = [hashlib.sha256(), hashlib.sha256()]
        got = [hashlib.sha256(), hashlib.sha256()]

        class End(asyncio.BufferedProtocol if kind == "buffered" else asyncio.Protocol):
            def __init__(self, number):
                self.number = number
                self.room = asyncio.Event()
                self.room.set()
                self.count = 0
                self.lost = loop.create_future()
                self.buffer = bytearray(70_000)

            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                got[self.number].update(data)
                self.count += len(data)
                if rng.random() < 0.1:
                    self.transport.pause_reading()
                    loop.call_later(rng.random() / 1000, self.transport.resume_reading)

            def get_buffer(self, hint):
                return memoryview(self.buffer)[: rng.choice((1, 100, 70_000))]

            def buffer_updated(self, count):
                self.data_received(self.buffer[:count])

            def eof_received(self):
                return True

            def pause_writing(self):
                self.room.clear()

            def resume_writing(self):
                self.room.set()

            def connection_lost(self, exc):
                self.lost.set_result(exc)

        server_side = loop.create_future()

        def accept():
            end = End(0)
            server_side.set_result(end)
            return end

        server = await loop.create_server(accept, "127.0.0.1", 0)
        _, client = await loop.create_connection(
            lambda: End(1), *server.sockets[0].getsockname()
        )
        ends = [await server_side, client]

        async def talk(end):
            total = 0
            for _ in range(400):
                size = rng.choice((0, 1, 10, 1000, 5000, 100_000))
                data = rng.randbytes(rng.randint(0, size))
                total += len(data)
                sent[1 - end.number].update(data)
                if rng.random() < 0.3:
                    cut = rng.randint(0, len(data))
                    end.transport.writelines([data[:cut], memoryview(data)[cut:]])
                else:
                    end.transport.write(rng.choice((bytes, bytearray, memoryview))(data))
                await end.room.wait()
                if rng.random() < 0.2:
                    await asyncio.sleep(0)
            end.transport.write_eof()
            return total

        totals = await asyncio.gather(*map(talk, ends))
        while ends[0].count < totals[1] or ends[1].count < totals[0]:
            await asyncio.sleep(0.001)
        for end in ends:
            end.transport.close()
            assert await end.lost is None
        assert [h.digest() for h in sent] == [h.digest() for h in got]
        server.close()

    rasyncio.run(main())


def test_many_connections_leave_no_descriptor():
    async def main():
        loop = asyncio.get_running_loop()

        class Echo(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                self.transport.write(data)
                self.transport.close()

        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()

        async def one():
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"hello")
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()

        await one()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(40):
            await asyncio.gather(*(one() for _ in range(25)))
        await settled()
        assert len(os.listdir("/proc/self/fd")) == before
        server.close()

    rasyncio.run(main())
