"""Descriptors run out, at every point of what needs them: an error, nothing left open, and all well afterwards."""

import asyncio
import contextlib
import gc
import os
import resource
import socket
import sys
import tempfile
import warnings
from unittest import mock

from _faults import Driven, Recorder, pair, say, settled


def count():
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def only(number):
    """So many descriptors are to be had."""
    gc.collect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))
    held = [os.open("/dev/null", os.O_RDONLY)]
    while held[-1] < used:
        held.append(os.open("/dev/null", os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[-1] + 1 + number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held:
            os.close(each)


def case_making_a_loop():
    asyncio.new_event_loop().close()
    gc.collect()
    before = count()
    failed = []
    warnings.simplefilter("ignore")
    # Loops that are half made complain of that when they go.
    with mock.patch.object(sys, "unraisablehook", lambda _: None):
        for number in range(8):
            with only(number):
                try:
                    asyncio.new_event_loop().close()
                except OSError as error:
                    failed.append(error.errno)
        gc.collect()
    # How many a loop needs is its own affair.
    say(failed[0], set(failed), len(failed) < 8, count() - before)


async def failing(call, most=2):
    """Calls it with ever more descriptors to be had until it answers."""
    before = count()
    for number in range(most + 1):
        with only(number):
            try:
                answer = await call()
            except OSError as error:
                say(number, type(error).__name__, error.errno)
            else:
                say(number, "well")
                return answer
        await settled()
        gc.collect()
        say(count() - before)
    return None


async def case_connecting():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        transport, _ = await failing(lambda: loop.create_connection(asyncio.Protocol, *address))
        transport.abort()
        await settled()
        reader, writer = await failing(lambda: asyncio.open_connection(*address))
        writer.transport.abort()
        await settled()


async def case_connecting_to_a_unix_socket():
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen()
        transport, _ = await failing(lambda: loop.create_unix_connection(asyncio.Protocol, f"{folder}/socket"))
        transport.abort()
        await settled()


async def case_making_a_server():
    loop = asyncio.get_running_loop()
    server = await failing(lambda: loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    server.close()
    await settled()


async def case_making_a_unix_server():
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        server = await failing(lambda: loop.create_unix_server(asyncio.Protocol, f"{folder}/socket"))
        server.close()
        await settled()


async def case_making_an_endpoint_of_datagrams():
    loop = asyncio.get_running_loop()
    transport, _ = await failing(
        lambda: loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
    )
    transport.close()
    await settled()


async def case_accepting_by_sock_accept():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()) as peer:
            await settled()
            sock, _ = await failing(lambda: loop.sock_accept(listener))
            peer.send(b"hello")
            say(await loop.sock_recv(sock, 10))
            sock.close()


async def case_an_open_connection_needs_none():
    near, far = pair()
    recorder = Recorder(say)
    loop = asyncio.get_running_loop()
    with only(0):
        await loop.create_connection(lambda: recorder, sock=near)
        far.send(b"hello")
        await settled()
        recorder.transport.write(b"x" * 300_000)
        got = 0
        while got < 300_000:
            await settled()
            try:
                got += len(far.recv(1 << 20))
            except BlockingIOError:
                pass
        recorder.transport.pause_reading()
        recorder.transport.resume_reading()
        await asyncio.to_thread(int)
        recorder.transport.close()
        await recorder.lost
    far.close()


def case_a_loop_that_is_closed_while_there_are_none():
    before = count()
    driven = Driven(asyncio.new_event_loop())
    near, far = pair()
    driven.run(asyncio.open_connection(sock=near))
    warnings.simplefilter("ignore")
    with only(0):
        driven.loop.close()
    del near
    gc.collect()
    far.close()
    say(count() - before)
