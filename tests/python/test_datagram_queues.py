"""Datagrams that wait to be sent: water marks, the close, and a peer that goes."""

import asyncio
import hashlib
import random
import socket
import tempfile

import pytest
from _datagrams import MISCOUNTS, counted_right, drained, ended, endpoint, fails, fill, same, unix_pair
from _sockets import settled, turns

import rasyncio


@counted_right
def test_water_marks():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(log, folder)
            transport = recorder.transport
            log(transport.get_write_buffer_limits())
            transport.set_write_buffer_limits(high=500, low=200)
            fill(recorder)
            log(transport)
            for _ in range(8):
                transport.sendto(b"x" * 100)
                log(transport.get_write_buffer_size())
            for high, low in ((5, 6), (-1, None), (None, -1)):
                try:
                    transport.set_write_buffer_limits(high, low)
                except ValueError as error:
                    log(error)
            total = 0
            while transport.get_write_buffer_size():
                total += drained(peer)
                await asyncio.sleep(0)
            await settled()
            log(total + drained(peer), transport)
            transport.set_write_buffer_limits()
            log(transport.get_write_buffer_limits())
            await ended(recorder)
            peer.close()

    log = same(scenario)
    assert log.count("pause_writing") == log.count("resume_writing") == 1


def test_a_protocol_that_was_paused_goes_on():
    async def main():
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            log = []
            recorder, peer = await unix_pair(lambda *what: log.append(what[0]), folder)
            recorder.transport.set_write_buffer_limits(high=0)
            fill(recorder)
            for _ in range(50):
                recorder.transport.sendto(b"x")
            while "resume_writing" not in log:
                drained(peer)
                await asyncio.sleep(0)
            assert recorder.transport.get_write_buffer_size() == 0
            await ended(recorder)
            peer.close()

    rasyncio.run(main())


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
@counted_right
def test_flow_control_that_raises(method):
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(log, folder, {method: fails})
            recorder.transport.set_write_buffer_limits(high=0)
            fill(recorder)
            while recorder.transport.get_write_buffer_size():
                drained(peer)
                await asyncio.sleep(0)
            await settled()
            log(recorder.transport)
            await ended(recorder)
            peer.close()

    assert any("handler" in line for line in same(scenario))


def test_close_sends_what_is_queued():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(log, folder)
            total = fill(recorder)
            for _ in range(30):
                recorder.transport.sendto(b"y")
            recorder.transport.close()
            log(recorder.transport.is_closing())
            # It is still open, so far as sending goes.
            recorder.transport.sendto(b"late")
            got = 0
            while not recorder.lost.done() or got < total + 31:
                got += drained(peer)
                await asyncio.sleep(0)
            log(got == total + 31)
            peer.close()

    same(scenario)


def test_abort_drops_what_is_queued():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(log, folder)
            total = fill(recorder)
            for _ in range(30):
                recorder.transport.sendto(b"y")
            recorder.transport.abort()
            log(await recorder.lost)
            log(drained(peer) < total)
            peer.close()

    same(scenario)


def test_a_peer_that_goes_while_something_waits():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(log, folder)
            fill(recorder)
            for _ in range(3):
                recorder.transport.sendto(b"y")
            peer.close()
            await settled()
            log(recorder.transport.get_write_buffer_size() if not MISCOUNTS else 0)
            recorder.transport.close()
            await asyncio.wait([recorder.lost], timeout=5)
            log(recorder.lost)

    same(scenario)


def test_an_unconnected_one_queues_for_several():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            peers = []
            for name in "ab":
                peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                peer.bind(f"{folder}/{name}")
                peer.setblocking(False)
                peers.append(peer)
            recorder = await endpoint(log, family=socket.AF_UNIX, local_addr=f"{folder}/own")
            for number in range(100):
                recorder.transport.sendto(b"%d" % number, f"{folder}/{'ab'[number % 2]}")
            log(recorder.transport.get_write_buffer_size() > 0)
            got = [[], []]
            while sum(map(len, got)) < 100:
                await asyncio.sleep(0)
                for peer, data in zip(peers, got):
                    try:
                        data.append(int(peer.recv(100)))
                    except BlockingIOError:
                        pass
            log(got)
            await ended(recorder)
            for peer in peers:
                peer.close()

    same(scenario)


def test_what_waits_goes_with_the_transport():
    gone = []

    class Data(bytes):
        def __del__(self):
            gone.append(bytes(self))

    async def main():
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(lambda *what: None, folder)
            fill(recorder)
            recorder.transport.sendto(Data(b"waits"))
            assert not gone
            recorder.transport.abort()
            assert gone == [b"waits"]
            await recorder.lost
            peer.close()

    rasyncio.run(main())


@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_datagrams_arrive_whole_and_in_order(seed):
    """Unix sockets lose none: all that waits has to come, whoever pauses."""

    async def main():
        sizes = random.Random(seed)
        loop = asyncio.get_running_loop()
        going = asyncio.Event()
        going.set()
        done = loop.create_future()
        count = 3000
        received = hashlib.sha256()

        class Receiver(asyncio.DatagramProtocol):
            got = 0

            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, addr):
                received.update(len(data).to_bytes(4, "big") + data)
                self.got += 1
                if self.got == count:
                    done.set_result(None)
                elif not self.got % 50:
                    self.transport.pause_reading()
                    loop.call_later(0.001, self.transport.resume_reading)

        class Sender(asyncio.DatagramProtocol):
            def pause_writing(self):
                going.clear()

            def resume_writing(self):
                going.set()

        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            path = f"{folder}/receiver"
            unix = socket.AF_UNIX
            receiver, _ = await loop.create_datagram_endpoint(Receiver, family=unix, local_addr=path)
            sender, _ = await loop.create_datagram_endpoint(Sender, family=unix, remote_addr=path)
            sender.set_write_buffer_limits(high=20_000)
            sent = hashlib.sha256()
            for _ in range(count):
                data = sizes.randbytes(sizes.choice([1, 10, 500, 5_000, 60_000]))
                sent.update(len(data).to_bytes(4, "big") + data)
                sender.sendto(data)
                await going.wait()
            await asyncio.wait_for(done, 60)
            assert received.digest() == sent.digest()
            sender.close()
            receiver.close()
            await turns()

    rasyncio.run(main())
