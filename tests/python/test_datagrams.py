"""Datagram endpoints: their keywords, and what is sent and received through them."""

import asyncio
import random
import socket
import tempfile

import pytest
from _datagrams import arrived, drained, ended, endpoint, plain, same, unix_pair
from _sockets import settled


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connected_and_not(host):
    async def scenario(log):
        server = await endpoint(log, local_addr=(host, 0))
        address = server.transport.get_extra_info("sockname")
        client = await endpoint(log, remote_addr=address[:2])
        for transport in (server.transport, client.transport):
            log(transport, type(transport).__name__, isinstance(transport, asyncio.Transport))
            log(isinstance(transport, asyncio.DatagramTransport))
            for name in ("sockname", "peername", "nothing"):
                log(transport.get_extra_info(name, "default"))
            log(type(transport.get_extra_info("socket")).__name__)
        for data in (b"one", b"two"):
            client.transport.sendto(data)
            data, sender = await server.got.get()
            server.transport.sendto(data + b" answered", sender)
            log(await client.got.get())
        client.transport.sendto(b"to whom it is connected", address)
        log(await server.got.get())
        await ended(server, client)
        log(server.transport, client.transport)

    same(scenario)


@pytest.mark.parametrize("hosts", [["127.0.0.1", "127.0.0.2"], ["::1"]])
def test_senders_of_one_host_and_of_another(hosts):
    async def scenario(log):
        server = await endpoint(log, local_addr=(hosts[0], 0))
        address = server.transport.get_extra_info("sockname")
        family = server.transport.get_extra_info("socket").family
        senders = [(host, socket.socket(family, socket.SOCK_DGRAM)) for host in hosts for _ in range(2)]
        for host, sender in senders:
            sender.bind((host, 0))
        # Each twice in a row, and after each other.
        for _, sender in [*senders, *senders[::-1], *senders[::2]]:
            sender.sendto(b"from me", address)
            _, shown = await server.got.get()
            log(shown[0], shown == sender.getsockname())
            server.transport.sendto(b"to you", shown)
            log(sender.recv(100))
        for _, sender in senders:
            sender.close()
        await ended(server)

    same(scenario)


def test_keywords():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            other, address = plain()
            given = [
                {"local_addr": ("127.0.0.1", 0), "remote_addr": address},
                {"local_addr": ("localhost", 0), "family": socket.AF_INET},
                {"local_addr": ("127.0.0.1", 0), "reuse_port": True},
                {"local_addr": ("127.0.0.1", 0), "proto": socket.IPPROTO_UDP, "flags": socket.AI_PASSIVE},
                {"remote_addr": address, "allow_broadcast": True},
                {"family": socket.AF_INET},
                {"family": socket.AF_UNIX},
                {"family": socket.AF_UNIX, "local_addr": f"{folder}/a"},
                {"family": socket.AF_UNIX, "local_addr": f"{folder}/a"},
                {"family": socket.AF_UNIX, "local_addr": "\0a name without a file"},
                {"family": socket.AF_UNIX, "remote_addr": f"{folder}/absent"},
                {"family": socket.AF_UNIX, "remote_addr": 5},
                {},
                {"local_addr": "127.0.0.1"},
                {"local_addr": ("127.0.0.1", 0), "remote_addr": ("::1", 1)},
                {"local_addr": address},
                {"sock": socket.socket()},
                {"sock": socket.socket(type=socket.SOCK_DGRAM), "local_addr": address, "proto": 1},
                {"sock": socket.socket(type=socket.SOCK_DGRAM)},
            ]
            for keywords in given:
                log(keywords)
                try:
                    recorder = await endpoint(log, **keywords)
                except (OSError, TypeError, ValueError) as error:
                    log(error)
                    continue
                sock = recorder.transport.get_extra_info("socket")
                log(recorder.transport.get_extra_info("sockname"), sock.gettimeout())
                log(recorder.transport.get_extra_info("peername"))
                for option in (socket.SO_BROADCAST, socket.SO_REUSEPORT):
                    log(sock.getsockopt(socket.SOL_SOCKET, option))
                await ended(recorder)
            other.close()

    same(scenario)


def test_a_connected_socket_that_is_given():
    async def scenario(log):
        other, address = plain()
        sock, _ = plain()
        sock.connect(address)
        recorder = await endpoint(log, sock=sock)
        recorder.transport.sendto(b"without an address")
        recorder.transport.sendto(b"with one that is not looked at", ("127.0.0.1", 1))
        await settled()
        log(other.recvfrom(100), other.recvfrom(100))
        await ended(recorder)
        other.close()

    same(scenario)


def test_empty_datagrams():
    async def scenario(log):
        other, address = plain()
        for recorder in (
            await endpoint(log, remote_addr=address),
            await endpoint(log, local_addr=("127.0.0.1", 0)),
        ):
            recorder.transport.sendto(b"", address)
            recorder.transport.sendto(bytearray(), address)
            recorder.transport.sendto(b"last", address)
            await settled()
            log(drained(other))
            own = recorder.transport.get_extra_info("sockname")
            other.sendto(b"", own)
            other.sendto(b"not empty", own)
            await arrived(recorder, 2)
            await ended(recorder)
        other.close()

    same(scenario)


def test_what_is_no_bytes():
    async def scenario(log):
        other, address = plain()
        for data in ("text", 5, None, [b"list"], memoryview(bytearray(10))[::2]):
            recorder = await endpoint(log, remote_addr=address)
            try:
                recorder.transport.sendto(data)
            except TypeError as error:
                log(error)
            log(recorder.transport.is_closing())
            await ended(recorder)
        for call in (
            lambda transport: transport.sendto(),
            lambda transport: transport.sendto(b"x", None, None),
            lambda transport: transport.sendto(b"x", address=None),
        ):
            recorder = await endpoint(log, remote_addr=address)
            try:
                call(recorder.transport)
            except TypeError as error:
                log(error)
            await ended(recorder)
        log(drained(other))
        other.close()

    same(scenario)


def test_every_kind_of_bytes_and_a_buffer_that_is_used_again():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            recorder, peer = await unix_pair(log, folder)
            buffer = bytearray(b"0" * 50)
            for number in range(40):
                buffer[:2] = b"%02d" % number
                data = [bytes(buffer), buffer, memoryview(buffer), memoryview(buffer)[:2]][number % 4]
                recorder.transport.sendto(data, None)
            got = []
            while len(got) < 40:
                await asyncio.sleep(0)
                try:
                    got.append(peer.recv(100))
                except BlockingIOError:
                    pass
            log(got)
            await ended(recorder)
            peer.close()

    same(scenario)


def test_datagrams_of_every_size():
    async def scenario(log):
        other, address = plain()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        recorder = await endpoint(log, local_addr=("127.0.0.1", 0))
        own = recorder.transport.get_extra_info("sockname")
        for size in (1, 100, 1500, 9000, 32 * 1024, 65506, 65507):
            data = random.Random(size).randbytes(size)
            recorder.transport.sendto(data, address)
            await settled()
            got = other.recv(70_000)
            log(size, got == data)
            other.sendto(data, own)
            got, _ = await recorder.got.get()
            log(got == data)
        recorder.transport.sendto(b"x" * 65508, address)
        await settled()
        await ended(recorder)
        other.close()

    assert any("Message too long" in line for line in same(scenario))


def test_a_port_that_nobody_has():
    async def scenario(log):
        other, address = plain()
        recorder = await endpoint(log, remote_addr=address)
        other.close()
        for _ in range(3):
            recorder.transport.sendto(b"x")
            await settled()
        log(recorder.transport)
        await ended(recorder)

    assert any("error_received ConnectionRefusedError" in line for line in same(scenario))
