"""The socket under a datagram transport, and the end of both."""

import asyncio
import gc
import logging
import os
import re
import socket
import tempfile
import warnings
import weakref

import pytest
from _datagrams import counted_right, drained, ended, endpoint, fill, plain, same, unix_pair
from _sockets import settled, turns

import rasyncio


@pytest.mark.parametrize("connected", [True, False])
def test_calls_after_the_end(connected, caplog):
    async def scenario(log):
        other, address = plain()
        keywords = {"remote_addr": address} if connected else {"family": socket.AF_INET}
        recorder = await endpoint(log, **keywords)
        transport = recorder.transport
        transport.close()
        log(transport, transport.is_closing())
        transport.sendto(b"between", address)
        await recorder.lost
        log(drained(other))
        for _ in range(8):
            try:
                transport.sendto(b"after", address)
            except Exception as error:
                log(error, type(error.__context__))
        transport.pause_reading()
        transport.resume_reading()
        transport.abort()
        transport.close()
        log(transport, transport.get_write_buffer_size(), transport.get_protocol())
        log([record.getMessage() for record in caplog.records if record.name == "asyncio"])
        caplog.clear()
        other.close()

    same(scenario)


def test_the_socket_closed_under_the_transport():
    async def scenario(log):
        other, address = plain()
        recorder = await endpoint(log, remote_addr=address)
        recorder.transport._sock.close()
        recorder.transport.sendto(b"x")
        await turns()
        log(recorder.transport.is_closing())
        recorder.transport.abort()
        await turns()
        other.close()

    same(scenario)


def test_a_number_that_is_used_again_gets_nothing_of_ours():
    async def scenario(log):
        other, address = plain()
        recorder = await endpoint(log, remote_addr=address)
        number = recorder.transport._sock.fileno()
        recorder.transport._sock.close()
        victim, witness = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        while victim.fileno() != number:
            victim = victim.dup()
        witness.setblocking(False)
        recorder.transport.sendto(b"not for the witness")
        log(drained(witness))
        recorder.transport.abort()
        await turns()
        for sock in (victim, witness, other):
            sock.close()

    same(scenario)


@counted_right
def test_debug_mode(caplog):
    caplog.set_level(logging.DEBUG)

    async def scenario(log):
        asyncio.get_running_loop().set_debug(True)
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(log, folder)
            transport = recorder.transport
            transport.pause_reading()
            transport.resume_reading()
            total = fill(recorder) + 1
            transport.sendto(b"x")
            got = 0
            while got < total:
                got += drained(peer)
                await asyncio.sleep(0)
            peer.sendto(b"hello", f"{folder}/own")
            await settled()
            log(transport)
            await ended(recorder)
            peer.close()
        other, address = plain()
        recorder = await endpoint(log, local_addr=("127.0.0.1", 0))
        recorder.transport.sendto(b"x", 5)
        await recorder.lost
        other.close()
        for record in caplog.records:
            text = record.getMessage()
            if record.name == "asyncio" and ("Transport" in text or "endpoint" in text):
                log(re.sub(r"0x[0-9a-f]+|fd=\d+", "…", text))
        caplog.clear()

    same(scenario)


@pytest.mark.parametrize("name", ["recvfrom", "send", "sendto"])
def test_a_socket_with_methods_of_its_own_keeps_them(name):
    async def scenario(log):
        def method(self, *args):
            log(name)
            return getattr(socket.socket, name)(self, *args)

        own = type("Own", (socket.socket,), {name: method})
        other, address = plain()
        sock = own(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        if name == "send":
            sock.connect(address)
        recorder = await endpoint(log, sock=sock)
        recorder.transport.sendto(b"x", address)
        other.sendto(b"x", recorder.transport.get_extra_info("sockname"))
        await settled()
        await ended(recorder)
        other.close()

    same(scenario)


def test_two_transports_of_one_socket():
    async def scenario(log):
        sock, _ = plain()
        first = await endpoint(log, sock=sock)
        try:
            second = await endpoint(log, sock=sock)
        except RuntimeError as error:
            log(re.sub("<.*>", "…", str(error)))
        else:
            second.transport.abort()
        first.transport.abort()
        await turns()

    same(scenario)


def test_a_forgotten_transport_warns_and_closes():
    async def main():
        other, address = plain()
        recorder = await endpoint(lambda *what: None, remote_addr=address)
        sock = recorder.transport._sock
        transport = recorder.transport
        transport.pause_reading()
        del recorder.transport, recorder
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport
            gc.collect()
        assert any("unclosed transport" in str(warning.message) for warning in caught)
        assert sock.fileno() == -1
        other.close()

    rasyncio.run(main())


def test_a_cycle_through_a_transport_is_collected():
    async def main():
        other, address = plain()
        recorder = await endpoint(lambda *what: None, remote_addr=address)
        recorder.transport.sendto(b"x", address)
        other.sendto(b"x", recorder.transport.get_extra_info("sockname"))
        await settled()
        reference = weakref.ref(recorder)
        recorder.transport.pause_reading()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            del recorder
            gc.collect()
        assert reference() is None
        other.close()

    rasyncio.run(main())


def test_many_endpoints_leave_no_descriptor():
    async def main():
        loop = asyncio.get_running_loop()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            server, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            client, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=server.get_extra_info("sockname")
            )
            client.sendto(b"x")
            await asyncio.sleep(0)
            client.close()
            server.abort()
            await turns()
        assert len(os.listdir("/proc/self/fd")) == before

    rasyncio.run(main())


def test_transports_are_native():
    async def main():
        for keywords in ({"family": socket.AF_UNIX}, {"local_addr": ("127.0.0.1", 0)}):
            recorder = await endpoint(lambda *what: None, **keywords)
            assert isinstance(recorder.transport, rasyncio._rasyncio.DatagramTransport)
            await ended(recorder)

    rasyncio.run(main())
