"""What the tests of datagram endpoints are made of."""

import asyncio
import re
import socket
import sys

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


def fill(recorder, size=100):
    """Sends until something waits."""
    count = 0
    while not recorder.transport.get_write_buffer_size():
        recorder.transport.sendto(b"x" * size)
        count += 1
    return count
