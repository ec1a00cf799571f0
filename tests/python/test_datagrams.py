"""Datagram endpoints: what the protocol is told, and when, whatever the peer and the program do."""

import asyncio
import contextvars
import gc
import hashlib
import logging
import os
import random
import re
import socket
import sys
import tempfile
import warnings
import weakref

import pytest
from _sockets import run, settled, turns

import rasyncio

STOCK = asyncio.selector_events._SelectorDatagramTransport

# 3.13.0 counts a header for each datagram that waits, and never takes it off again.
MISCOUNTS = sys.version_info[:2] == (3, 13) and not hasattr(STOCK, "_header_size")
counted_right = pytest.mark.skipif(MISCOUNTS, reason="this version miscounts what waits")


def same(scenario):
    """Runs it both ways, with ports and folders taken out of the logs."""

    async def named(log):
        def logged(*what):
            text = " ".join(map(_text, what))
            log(re.sub(r"\b\d{4,5}\b", "PORT", re.sub(r"/tmp/\w+", "FOLDER", text)))
        await scenario(logged)

    ours = run(named, rasyncio.new_event_loop)
    # There, some methods are those of a class above.
    stock = run(named, asyncio.SelectorEventLoop)
    assert ours == [line.replace("_SelectorTransport.", "_SelectorDatagramTransport.") for line in stock]
    return ours


def _text(value):
    if isinstance(value, (bytes, bytearray)) and len(value) > 40:
        return f"{len(value)} bytes"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}({value})"
    return str(value)


def fails(self):
    raise ValueError("expected")


class Recorder(asyncio.DatagramProtocol):
    """A protocol that logs; `then` maps a method's name to what is done in it."""

    def __init__(self, log, **then):
        self.log = log
        self.then = then
        self.lost = asyncio.get_running_loop().create_future()
        self.got = asyncio.Queue()

    def _told(self, name, *what):
        self.log(name, *what)
        if name in self.then:
            self.then[name](self)

    def connection_made(self, transport):
        self.transport = transport
        self._told("connection_made", transport)

    def datagram_received(self, data, addr):
        self.got.put_nowait((data, addr))
        self._told("datagram_received", data, addr)

    def error_received(self, exc):
        self._told("error_received", exc)

    def pause_writing(self):
        self._told("pause_writing")

    def resume_writing(self):
        self._told("resume_writing")

    def connection_lost(self, exc):
        self.lost.set_result(exc)
        self._told("connection_lost", exc)


async def endpoint(log, then={}, /, **keywords):
    loop = asyncio.get_running_loop()
    _, recorder = await loop.create_datagram_endpoint(lambda: Recorder(log, **then), **keywords)
    return recorder


async def ended(*recorders):
    for recorder in recorders:
        recorder.transport.close()
        await recorder.lost


async def arrived(recorder, count):
    """Until it was told of so many datagrams, and then a while, for there should be no more."""
    for _ in range(2000):
        if recorder.got.qsize() >= count:
            break
        await asyncio.sleep(0.001)
    await turns(10)
    await settled()


def plain(host="127.0.0.1"):
    """A socket of the standard library's that does not block, and its address."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock, sock.getsockname()


async def unix_pair(log, folder, then={}):
    """An endpoint that is connected to a socket, which is full after a few datagrams."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(f"{folder}/peer")
    peer.setblocking(False)
    recorder = await endpoint(
        log, then, family=socket.AF_UNIX, local_addr=f"{folder}/own", remote_addr=f"{folder}/peer"
    )
    return recorder, peer


def drained(peer):
    """How many datagrams there were."""
    count = 0
    while True:
        try:
            peer.recv(300_000)
        except BlockingIOError:
            return count
        count += 1


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


def test_addresses_that_are_refused():
    async def scenario(log):
        other, address = plain()
        connected = await endpoint(log, remote_addr=address)
        for wrong in (("127.0.0.1", 1), "nobody", (), 0):
            try:
                connected.transport.sendto(b"x", wrong)
            except ValueError as error:
                log(error)
        await ended(connected)
        for wrong in (
            None,
            5,
            (),
            ("127.0.0.1",),
            ("127.0.0.1", "1"),
            ("127.0.0.1", 65536),
            ("127.0.0.1", -1),
            ("127.0.0.1", 1.0),
            ("127.0.0.1", 1, 2),
            ("::1", 1),
            ("no such name.invalid", 1),
            ("127.0.0.1\0", 1),
            (b"127.0.0.1", address[1]),
            ("1" * 200, 1),
            "path",
        ):
            recorder = await endpoint(log, family=socket.AF_INET)
            log(wrong)
            try:
                recorder.transport.sendto(b"x", wrong)
            except Exception as error:
                log("raised", error)
            log(recorder.transport.is_closing())
            await ended(recorder)
        other.close()

    same(scenario)


def test_addresses_of_version_6_that_are_refused():
    async def scenario(log):
        for wrong in (
            ("::1",),
            ("::1", 1, 2**20),
            ("::1", 1, -1),
            ("::1", 1, 0, 2**32),
            ("::1", 1, 0, 0, 0),
            ("::1%lo", 1),
            ("127.0.0.1", 1),
        ):
            recorder = await endpoint(log, family=socket.AF_INET6)
            log(wrong)
            recorder.transport.sendto(b"x", wrong)
            log(recorder.transport.is_closing())
            await ended(recorder)

    same(scenario)


def test_every_spelling_of_an_address_arrives():
    class Text(str):
        pass

    class Number(int):
        pass

    async def scenario(log):
        other, (host, port) = plain()
        recorder = await endpoint(log, family=socket.AF_INET)
        for number, spelt in enumerate(
            [
                (host, port),
                ("localhost", port),
                ("", port),
                (Text(host), Number(port)),
                (bytearray(host, "ascii"), port),
                ("127.1", port),
                ("127.000.0.1", port),
            ]
        ):
            recorder.transport.sendto(b"%d" % number, spelt)
            await settled()
            try:
                log(other.recv(100))
            except BlockingIOError:
                log("nothing came", spelt)
        await ended(recorder)
        other.close()
        other, (host, port, flow, scope) = plain("::1")
        recorder = await endpoint(log, family=socket.AF_INET6)
        for spelt in ((host, port), (host, port, flow), ("0:0:0:0:0:0:0:1", port, flow, scope)):
            recorder.transport.sendto(b"6", spelt)
            await settled()
            log(other.recv(100))
        await ended(recorder)
        other.close()

    same(scenario)


def test_unix_senders_with_and_without_a_name():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            path = f"{folder}/server"
            server = await endpoint(log, family=socket.AF_UNIX, local_addr=path)
            nobody = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            named = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            named.bind(f"{folder}/named")
            hidden = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            hidden.bind("\0hidden name")
            for sock in (nobody, named, hidden, named):
                sock.sendto(b"hello", path)
                _, sender = await server.got.get()
                if sender:
                    server.transport.sendto(b"answer", sender)
                    log(sock.recv(100))
            for sock in (nobody, named, hidden):
                sock.close()
            await ended(server)

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


@pytest.mark.parametrize("method", ["sendto", "event"])
def test_error_received_that_raises(method):
    async def scenario(log):
        other, address = plain()
        recorder = await endpoint(log, {"error_received": fails}, remote_addr=address)
        other.close()
        recorder.transport.sendto(b"x")
        if method == "event":
            await settled()
        try:
            recorder.transport.sendto(b"y")
        except ValueError as error:
            log(error, type(error.__context__))
        await settled()
        log(recorder.transport)
        await ended(recorder)

    same(scenario)


@pytest.mark.parametrize("method", ["connection_made", "datagram_received", "connection_lost"])
def test_a_protocol_that_raises(method):
    async def scenario(log):
        other, address = plain()
        recorder = await endpoint(log, {method: fails}, local_addr=("127.0.0.1", 0))
        for _ in range(2):
            other.sendto(b"data", recorder.transport.get_extra_info("sockname"))
            await settled()
        log(recorder.transport)
        await ended(recorder)
        await turns()
        log(recorder.transport)
        other.close()

    assert any("handler" in line for line in same(scenario))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_protocol_that_ends_the_program(error):
    def ends(self):
        raise error("expected")

    def outcome(factory):
        with asyncio.Runner(loop_factory=factory) as runner:

            async def main():
                other, address = plain()
                then = {"datagram_received": ends}
                recorder = await endpoint(lambda *what: None, then, local_addr=("127.0.0.1", 0))
                other.sendto(b"x", recorder.transport.get_extra_info("sockname"))
                other.close()
                try:
                    await settled()
                finally:
                    recorder.transport.abort()

            try:
                runner.run(main())
            except BaseException as raised:
                return type(raised), str(raised)

    assert outcome(rasyncio.new_event_loop) == outcome(asyncio.SelectorEventLoop)


def test_the_order_of_datagrams_and_callbacks():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        then = {"datagram_received": lambda self: loop.call_soon(log, "a callback")}
        one = await endpoint(log, then, local_addr=("127.0.0.1", 0))
        other, address = plain()
        for number in range(4):
            other.sendto(b"%d" % number, one.transport.get_extra_info("sockname"))
        await arrived(one, 4)
        await ended(one)
        other.close()

    assert same(scenario)[1:5] == [
        "datagram_received b'0' ('127.0.0.1', PORT)",
        "a callback",
        "datagram_received b'1' ('127.0.0.1', PORT)",
        "a callback",
    ]


def test_the_order_among_several_sockets():
    """Each has several datagrams, and what one's protocol schedules runs before the next of any."""

    async def scenario(log):
        loop = asyncio.get_running_loop()
        other, _ = plain()
        endpoints = []
        for name in "abc":
            then = {"datagram_received": lambda self, name=name: loop.call_soon(log, "callback", name)}
            endpoints.append(await endpoint(log, then, local_addr=("127.0.0.1", 0)))
        for round in range(2):
            for number in range(30):
                for recorder in endpoints[: 1 + number % 3]:
                    own = recorder.transport.get_extra_info("sockname")
                    other.sendto(b"%d" % number, own)
            for recorder, count in zip(endpoints, (31 * round + 30, 21 * round + 20, 11 * round + 10)):
                await arrived(recorder, count)
            # Nothing is left of what was found out: one at a time again.
            for recorder in endpoints:
                before = recorder.got.qsize()
                other.sendto(b"one", recorder.transport.get_extra_info("sockname"))
                await arrived(recorder, before + 1)
        for recorder in endpoints:
            log(recorder.got.qsize())
        await ended(*endpoints)
        other.close()

    same(scenario)


@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_a_loop_that_is_stopped_in_the_midst_of_many_receives_no_more(after):
    class Stopping(asyncio.DatagramProtocol):
        count = 0

        def datagram_received(self, data, addr):
            self.count += 1
            if self.count in (after, 10):
                asyncio.get_running_loop().stop()

    def received(factory):
        with asyncio.Runner(loop_factory=factory) as runner, socket.socket(type=socket.SOCK_DGRAM) as other:
            loop = runner.get_loop()
            endpoint = loop.create_datagram_endpoint(Stopping, local_addr=("127.0.0.1", 0))
            transport, protocol = loop.run_until_complete(endpoint)
            for number in range(10):
                other.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            counts = []
            for _ in range(2):
                loop.run_forever()
                counts.append(protocol.count)
            transport.close()
            return counts

    assert received(rasyncio.new_event_loop) == received(asyncio.SelectorEventLoop) == [after, 10]


@pytest.mark.parametrize("call", ["pause_reading", "close", "abort"])
@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_no_datagram_after_a_call_in_the_midst_of_many(call, after):
    async def scenario(log):
        def then(self):
            if self.got.qsize() == after:
                getattr(self.transport, call)()

        other, _ = plain()
        recorder = await endpoint(log, {"datagram_received": then}, local_addr=("127.0.0.1", 0))
        for number in range(10):
            other.sendto(b"%d" % number, recorder.transport.get_extra_info("sockname"))
        await arrived(recorder, after)
        log(recorder.got.qsize())
        if call == "pause_reading":
            recorder.transport.resume_reading()
            await arrived(recorder, 10)
            log(recorder.got.qsize())
            recorder.transport.close()
        await recorder.lost
        other.close()

    same(scenario)


def test_pause_and_resume_reading():
    async def scenario(log):
        other, address = plain()
        recorder = await endpoint(log, local_addr=("127.0.0.1", 0))
        transport = recorder.transport
        own = transport.get_extra_info("sockname")
        transport.pause_reading()
        transport.pause_reading()
        log(transport.is_reading(), transport)
        other.sendto(b"kept", own)
        await settled()
        transport.resume_reading()
        transport.resume_reading()
        log(transport.is_reading(), transport)
        await settled()
        recorder.then["datagram_received"] = lambda self: self.transport.pause_reading()
        for data in (b"told", b"not told"):
            other.sendto(data, own)
        await settled()
        transport.close()
        transport.resume_reading()
        await recorder.lost
        log(transport.is_reading())
        other.close()

    same(scenario)


@pytest.mark.parametrize("call", ["close", "abort", "pause_reading"])
def test_what_is_called_in_connection_made(call):
    async def scenario(log):
        other, address = plain()
        then = {"connection_made": lambda self: getattr(self.transport, call)()}
        recorder = await endpoint(log, then, remote_addr=address)
        other.sendto(b"nobody reads this", recorder.transport.get_extra_info("sockname"))
        await settled()
        log(recorder.transport)
        await ended(recorder)
        other.close()

    same(scenario)


@pytest.mark.parametrize("call", ["close", "abort"])
def test_nothing_is_told_after_the_close(call):
    async def scenario(log):
        other, address = plain()
        then = {"datagram_received": lambda self: getattr(self.transport, call)()}
        recorder = await endpoint(log, then, local_addr=("127.0.0.1", 0))
        for data in (b"one", b"two"):
            other.sendto(data, recorder.transport.get_extra_info("sockname"))
        await settled()
        log(recorder.transport)
        other.close()

    same(scenario)


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


def fill(recorder, size=100):
    """Sends until something waits."""
    count = 0
    while not recorder.transport.get_write_buffer_size():
        recorder.transport.sendto(b"x" * size)
        count += 1
    return count


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


def test_contexts():
    variable = contextvars.ContextVar("variable", default="nothing")

    async def scenario(log):
        other, address = plain()
        variable.set("when it was made")
        seen = {
            name: lambda self, name=name: log(name, variable.get())
            for name in ("connection_made", "datagram_received", "connection_lost")
        }
        recorder = await endpoint(log, seen, local_addr=("127.0.0.1", 0))
        variable.set("later")
        other.sendto(b"x", recorder.transport.get_extra_info("sockname"))
        await settled()
        recorder.transport.pause_reading()
        recorder.transport.resume_reading()
        other.sendto(b"x", recorder.transport.get_extra_info("sockname"))
        await settled()
        await ended(recorder)
        other.close()

    same(scenario)


def test_another_protocol_takes_over():
    async def scenario(log):
        other, address = plain()
        recorder = await endpoint(log, local_addr=("127.0.0.1", 0))
        second = Recorder(lambda *what: log("second:", *what))
        second.transport = recorder.transport
        recorder.transport.set_protocol(second)
        log(recorder.transport.get_protocol() is second)
        other.sendto(b"x", recorder.transport.get_extra_info("sockname"))
        await settled()
        await ended(second)
        other.close()

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
