"""What a network does to a program in the long run: masses of connections, and descriptors that go under the
transport's feet. What stock asyncio does in each single case is in `cases/faults_*.py`."""

import asyncio
import gc
import importlib
import os
import socket
import warnings

import pytest
from _compare import MODULE
from _failures import FAILURES
from _faults import Recorder, connect, pair, received, settled
from _leaks import allocated, growth
from _soak import connections, descriptors

aio = importlib.import_module(MODULE)

TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


def measured():
    for _ in range(3):
        gc.collect()
    return descriptors(), len(gc.get_objects()), allocated()


def soak(count, tls):
    """Checksums are asserted by each connection; here, that nothing is left behind."""

    def play(count, seed):
        with aio.Runner(loop_factory=aio.new_event_loop) as runner:
            assert runner.run(connections(aio, count, tls, seed)) == count

    play(200, "to warm up")
    before = measured()
    play(count, "plain or TLS")
    open_now, objects, memory = (now - then for now, then in zip(measured(), before))
    assert open_now == 0
    assert objects < 50
    # What caches keep, and no more however many there were.
    assert memory < 500_000


@TLS
def test_connections_leave_nothing_behind(tls):
    soak(400, tls)


@pytest.mark.slow
@TLS
def test_ten_thousand_connections_leave_nothing_behind(tls):
    soak(10_000, tls)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAILURES)
def test_failures_leave_nothing_behind(name):
    async def repeat(count):
        for _ in range(count):
            await FAILURES[name](aio)

    def run(count):
        with aio.Runner(loop_factory=aio.new_event_loop) as runner:
            runner.run(repeat(count))

    before = descriptors()
    grown = growth(run, 30)
    assert descriptors() == before
    assert grown.objects < 20, grown
    assert grown.blocks < 60, grown
    assert grown.allocated < 20_000, grown


def quiet(*what):
    pass


def test_a_closed_number_under_data_that_waits():
    """Stock asyncio's transport raises from `abort()` then, and is never lost."""

    async def main():
        for act in ("abort", "close", "write", "write_eof"):
            asyncio.get_running_loop().set_exception_handler(quiet)
            near, far = pair()
            recorder = await connect(lambda: Recorder(quiet), near)
            recorder.transport.write(b"x" * 1_000_000)
            os.close(near.fileno())
            getattr(recorder.transport, act)(*[b"x"] * (act == "write"))
            await settled()
            if act != "abort":
                assert not recorder.lost.done()
                recorder.transport.abort()
                await settled()
            assert await recorder.lost is None
            assert received(far).endswith("then the end")
            far.close()

    aio.run(main())


def test_a_number_that_is_closed_and_used_again_while_data_waits():
    async def main():
        asyncio.get_running_loop().set_exception_handler(quiet)
        near, far = pair()
        recorder = await connect(lambda: Recorder(quiet), near)
        recorder.transport.write(b"x" * 1_000_000)
        number = near.fileno()
        os.close(number)
        other, other_far = pair()
        assert other.fileno() == number
        await settled()
        # Nothing of what waited goes to the other one.
        assert received(other_far) == "bytearray(b'')"
        second = await connect(lambda: Recorder(quiet), socket.socket(fileno=os.dup(number)))
        other_far.send(b"for the other one")
        await settled()
        assert bytes(second.received) == b"for the other one" and not recorder.received
        second.transport.abort()
        near.detach()
        recorder.transport.abort()
        await settled()
        assert recorder.lost.done()
        # It is the other one's, and still open.
        other_far.send(b"still there")
        assert other.recv(100) == b"still there"
        for sock in (far, other, other_far):
            sock.close()

    aio.run(main())


def test_a_closed_socket_that_was_waited_for_and_its_number():
    async def main():
        loop = asyncio.get_running_loop()
        near, far = pair()
        waiting = asyncio.ensure_future(loop.sock_recv(near, 10))
        await settled()
        number = near.fileno()
        near.close()
        other, other_far = pair()
        assert other.fileno() == number
        second = asyncio.ensure_future(loop.sock_recv(other, 10))
        await settled()
        other_far.send(b"for it")
        assert await asyncio.wait_for(second, 5) == b"for it"
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        for sock in (far, other, other_far):
            sock.close()

    aio.run(main())


def test_transports_of_dropped_loops_close_their_sockets():
    warnings.simplefilter("ignore", ResourceWarning)

    def leave():
        loop = aio.new_event_loop()
        near, far = pair()
        recorder = loop.run_until_complete(connect(lambda: make(loop), near))
        recorder.transport.write(b"x" * 1_000_000)
        loop.close()
        return far

    def make(loop):
        return Recorder(quiet)

    before = descriptors()
    far = leave()
    gc.collect()
    received(far)
    assert received(far).endswith("then the end")
    far.close()
    assert descriptors() == before
