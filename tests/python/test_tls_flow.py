"""Flow control over TLS: who pauses whom, and how much is held meanwhile."""

import asyncio
import os

from _sockets import same, settled
from _tls import secured
from _tls_recorders import Quiet, ours, silent


def test_writing_pauses_and_resumes():
    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log))
        transport = recorder.transport
        log(transport.get_write_buffer_limits(), transport.get_read_buffer_limits())
        transport.set_write_buffer_limits(high=100_000)
        log(transport.get_write_buffer_limits(), transport.get_write_buffer_size())
        count = 0
        while "pause_writing" not in log:
            transport.write(b"x" * 50_000)
            count += 50_000
        log(transport._protocol_paused)
        while count:
            count -= len(await peer.read())
        await settled()
        log(transport._protocol_paused, transport.get_write_buffer_size())
        for given in ({"high": 1, "low": 2}, {"high": -1}, {"high": 0}, {}):
            try:
                transport.set_write_buffer_limits(**given)
                log(transport.get_write_buffer_limits())
                transport.set_read_buffer_limits(**given)
                log(transport.get_read_buffer_limits())
            except ValueError as error:
                log(error)
        transport.abort()
        await recorder.lost
        peer.close()

    log = same(scenario)
    assert "pause_writing" in log and "resume_writing" in log


def test_reading_pauses_and_resumes():
    async def scenario(log):
        recorder, peer = await secured(lambda: Quiet(log))
        transport = recorder.transport
        transport.pause_reading()
        log(transport.is_reading())
        await peer.write(b"kept")
        await settled()
        log(bytes(recorder.received), transport.get_read_buffer_size() > 0)
        transport.resume_reading()
        log(transport.is_reading(), bytes(recorder.received))
        await settled()
        # What came before the end is passed on before it.
        transport.pause_reading()
        await peer.write(b"also")
        peer.close()
        await settled()
        transport.resume_reading()
        log(await recorder.lost, bytes(recorder.received))

    same(scenario)


def test_a_paused_connection_holds_little():
    async def main():
        recorder, peer = await secured(lambda: Quiet(silent))
        recorder.transport.pause_reading()
        sent = 0
        data = os.urandom(1 << 16)
        for _ in range(200):
            try:
                async with asyncio.timeout(0.2):
                    await peer.write(data)
            except TimeoutError:
                break
            sent += len(data)
        assert sent < 4 << 20
        assert recorder.transport.get_read_buffer_size() < 1 << 20
        recorder.transport.abort()
        await recorder.lost
        peer.close()

    ours(main)


def test_a_peer_that_reads_nothing_holds_little_and_is_left():
    async def main():
        log = []
        recorder, peer = await secured(
            lambda: Quiet(lambda *what: log.append(what[0])), ssl_shutdown_timeout=0.1
        )
        written = 0
        while "pause_writing" not in log:
            recorder.transport.write(b"x" * 10_000)
            written += 10_000
        assert written < 4 << 20
        assert recorder.transport.get_write_buffer_size() < 1 << 20
        recorder.transport.close()
        async with asyncio.timeout(5):
            assert isinstance(await recorder.lost, TimeoutError)
        peer.close()

    ours(main)
