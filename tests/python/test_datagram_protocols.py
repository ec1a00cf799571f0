"""What the protocol of a datagram endpoint is told, in which order, and what it may do then."""

import asyncio
import contextvars
import socket

import pytest
from _datagrams import Recorder, arrived, ended, endpoint, fails, plain, same
from _sockets import settled, turns

import rasyncio


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
