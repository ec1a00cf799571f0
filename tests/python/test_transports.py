"""Transports of sockets: what the protocol is told, and when, whatever the peer and the program do."""

import asyncio
import contextvars
import socket
from unittest.mock import Mock

import pytest
from _sockets import Buffered, Recorder, connected, same, settled, turns

import rasyncio


BOTH = pytest.mark.parametrize("protocol", [Recorder, Buffered])


@BOTH
def test_data_eof_and_close(protocol):
    async def scenario(log):
        recorder, peer = await connected(log, protocol)
        peer.send(b"hello")
        await settled()
        recorder.transport.write(b"answer")
        log(peer.recv(100))
        peer.close()
        await recorder.lost
        log(recorder.transport, bytes(recorder.received))

    assert "connection_lost None" in same(scenario)


def test_calls_after_the_end():
    async def scenario(log):
        recorder, peer = await connected(log)
        transport = recorder.transport
        transport.close()
        transport.close()
        log(transport, transport.is_closing(), transport.is_reading())
        await recorder.lost
        for _ in range(7):
            transport.write(b"x")
        transport.pause_reading()
        transport.resume_reading()
        transport.abort()
        transport.close()
        log(transport, transport.get_extra_info("nothing", "default"))
        log(type(transport.get_extra_info("socket")).__name__)
        peer.close()

    same(scenario)


@pytest.mark.parametrize("keep_open", [True, False])
@BOTH
def test_half_close_by_the_peer(protocol, keep_open):
    async def scenario(log):
        recorder, peer = await connected(log, protocol, eof_received=lambda self: keep_open)
        peer.send(b"last words")
        peer.shutdown(socket.SHUT_WR)
        await settled()
        log(recorder.transport.is_closing(), recorder.transport)
        recorder.transport.write(b"still here")
        await settled()
        log(peer.recv(100))
        recorder.transport.close()
        await recorder.lost
        peer.close()

    same(scenario)


def test_half_close_by_us():
    async def scenario(log):
        recorder, peer = await connected(log)
        transport = recorder.transport
        log(transport.can_write_eof())
        transport.write(b"x" * 1_000_000)
        transport.write_eof()
        transport.write_eof()
        for method, data in ((transport.write, b"x"), (transport.writelines, [b"x"])):
            try:
                method(data)
            except RuntimeError as error:
                log(type(error))
        got = 0
        while True:
            await asyncio.sleep(0)
            try:
                data = peer.recv(1_000_000)
            except BlockingIOError:
                continue
            got += len(data)
            if not data:
                break
        log(got)
        peer.send(b"still here")
        await settled()
        peer.close()
        await recorder.lost

    same(scenario)


def test_close_sends_what_is_queued():
    async def scenario(log):
        recorder, peer = await connected(log)
        recorder.transport.write(b"x" * 1_000_000)
        recorder.transport.close()
        peer.send(b"nobody reads this")
        got = 0
        while not recorder.lost.done() or got < 1_000_000:
            await asyncio.sleep(0)
            try:
                got += len(peer.recv(1_000_000))
            except BlockingIOError:
                pass
        log(got)
        peer.close()

    same(scenario)


def test_abort_drops_what_is_queued():
    async def scenario(log):
        recorder, peer = await connected(log)
        recorder.transport.write(b"x" * 1_000_000)
        log(recorder.transport.get_write_buffer_size() > 0)
        recorder.transport.abort()
        log(recorder.transport.get_write_buffer_size())
        await recorder.lost
        peer.close()

    same(scenario)


def test_water_marks():
    async def scenario(log):
        recorder, peer = await connected(log)
        transport = recorder.transport
        log(transport.get_write_buffer_limits())
        for marks in ({"high": 10}, {"low": 10}, {}, {"high": 0}, {"high": 5, "low": 6}, {"low": -1}):
            try:
                transport.set_write_buffer_limits(**marks)
            except ValueError as error:
                log(error)
            log(transport.get_write_buffer_limits())
        transport.set_write_buffer_limits(high=10**9)
        transport.write(b"x" * 1_000_000)
        transport.set_write_buffer_limits(high=0)
        while "resume_writing" not in log:
            await asyncio.sleep(0)
            try:
                peer.recv(1_000_000)
            except BlockingIOError:
                pass
        transport.close()
        peer.close()
        await recorder.lost

    same(scenario)


@pytest.mark.parametrize("data", ["text", 5, None, [1], memoryview(b"abcdef")[::2]], ids=repr)
def test_writing_what_is_no_bytes(data):
    async def scenario(log):
        recorder, peer = await connected(log)
        try:
            recorder.transport.write(data)
        except TypeError as error:
            log(error)
        await settled()
        log(recorder.lost)
        recorder.transport.abort()
        await turns()
        peer.close()

    same(scenario)


def test_every_kind_of_bytes_is_written():
    async def scenario(log):
        recorder, peer = await connected(log)
        transport = recorder.transport
        transport.write(b"bytes ")
        transport.write(bytearray(b"bytearray "))
        transport.write(memoryview(b"memoryview "))
        transport.write(b"")
        transport.writelines([b"lines ", bytearray(b"and "), memoryview(b"views")])
        transport.writelines([])
        transport.writelines(iter([b" end"]))
        log(peer.recv(1000))
        try:
            transport.writelines([b"a", "text"])
        except TypeError as error:
            log("TypeError")
        transport.abort()
        await turns()
        peer.close()

    same(scenario)


def test_a_buffer_may_be_used_again_after_write():
    async def main():
        recorder, peer = await connected(print)
        buffer = bytearray(b"a" * 1_000_000)
        recorder.transport.write(buffer)
        buffer[:] = b"b" * 1_000_000
        buffer.clear()
        got = b""
        while len(got) < 1_000_000:
            await asyncio.sleep(0)
            try:
                got += peer.recv(1_000_000)
            except BlockingIOError:
                pass
        assert got == b"a" * 1_000_000
        recorder.transport.abort()
        peer.close()

    rasyncio.run(main())


def test_pause_and_resume_reading():
    async def scenario(log):
        recorder, peer = await connected(log)
        transport = recorder.transport
        transport.pause_reading()
        transport.pause_reading()
        peer.send(b"data")
        await settled()
        log(transport.is_reading(), transport)
        transport.resume_reading()
        transport.resume_reading()
        await settled()
        recorder.then["data_received"] = lambda self: self.transport.pause_reading()
        peer.send(b"more")
        await settled()
        peer.send(b"and more")
        await settled()
        transport.close()
        await recorder.lost
        peer.close()

    same(scenario)


def test_paused_before_reading_has_started():
    async def scenario(log):
        recorder, peer = await connected(
            log, connection_made=lambda self: self.transport.pause_reading()
        )
        peer.send(b"data")
        await settled()
        recorder.transport.resume_reading()
        await settled()
        recorder.transport.close()
        await recorder.lost
        peer.close()

    same(scenario)


def test_closed_in_connection_made():
    async def scenario(log):
        recorder, peer = await connected(log, connection_made=lambda self: self.transport.close())
        peer.send(b"data")
        await recorder.lost
        await settled()
        peer.close()

    same(scenario)


@BOTH
def test_a_protocol_takes_over(protocol):
    async def scenario(log):
        recorder, peer = await connected(log)
        other = protocol(log)
        recorder.transport.set_protocol(other)
        log(recorder.transport.get_protocol() is other)
        peer.send(b"to the other one")
        await settled()
        log(bytes(other.received))
        peer.close()
        await other.lost

    same(scenario)


def test_contexts():
    variable = contextvars.ContextVar("variable", default="unset")

    async def scenario(log):
        def look(name):
            def looks(self):
                log(name, "sees", variable.get())
                variable.set(name)

            return looks

        names = ["connection_made", "data_received", "eof_received", "connection_lost"]
        variable.set("outside")
        recorder, peer = await connected(log, **{name: look(name) for name in names})
        variable.set("later")
        for _ in range(2):
            peer.send(b"data")
            await settled()
        peer.close()
        await recorder.lost
        log(variable.get())

    same(scenario)


def test_transports_are_native():
    async def main():
        recorder, peer = await connected(lambda *what: None)
        assert type(recorder.transport) is rasyncio.selector_events._SelectorSocketTransport
        recorder.transport.abort()
        peer.close()

    rasyncio.run(main())


def test_a_socket_with_methods_of_its_own_keeps_them():
    class Counting(socket.socket):
        calls = 0

        def recv(self, *args):
            Counting.calls += 1
            return super().recv(*args)

    async def main():
        ours, theirs = socket.socketpair()
        sock = Counting(fileno=ours.detach())
        loop = asyncio.get_running_loop()
        log = []
        _, recorder = await loop.create_connection(lambda: Recorder(lambda *a: log.append(a)), sock=sock)
        theirs.send(b"data")
        await settled()
        assert bytes(recorder.received) == b"data"
        assert Counting.calls
        theirs.close()
        await recorder.lost

    rasyncio.run(main())


@pytest.mark.parametrize("cls", [asyncio.Transport, asyncio.BaseTransport])
@pytest.mark.parametrize("kind", ["mock", "function"])
def test_a_get_extra_info_put_into_asyncios_class_answers(cls, kind, monkeypatch):
    def function(self, name, default=None):
        return (isinstance(self, asyncio.Transport), name, default)

    async def scenario(log):
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        before = writer.get_extra_info("peername")
        mock = Mock(return_value=("host", 1))
        with monkeypatch.context() as patched:
            patched.setattr(cls, "get_extra_info", mock if kind == "mock" else function)
            log(writer.get_extra_info("peername"), writer.get_extra_info("other", 5))
            log(writer.transport.get_extra_info("sockname"), mock.call_args)
        assert writer.get_extra_info("peername") == before
        writer.close()
        server.close()

    same(scenario)
