"""Servers and their connections, from the start to the close, as in stock asyncio."""

import asyncio
import gc
import os
import socket
import warnings
import weakref

import pytest
from _servers import HAS_CLOSE_CLIENTS, KEEP_ALIVE, Serving, attempt, option
from _sockets import run, same, turns

import rasyncio


def test_what_a_connection_knows_of_itself():
    async def scenario(log):
        serving = await Serving(log).start(**KEEP_ALIVE)
        peer, recorder = await serving.connect()
        transport = recorder.transport
        log(sorted(transport._extra))
        log(transport.get_extra_info("peername") == peer.getsockname())
        log(transport.get_extra_info("sockname") == peer.getpeername())
        sock = transport.get_extra_info("socket")
        log(sock.gettimeout(), int(sock.family), int(sock.type), sock.proto)
        log(bool(option(sock, "SO_KEEPALIVE")))
        log(option(sock, "TCP_NODELAY", socket.IPPROTO_TCP), os.get_inheritable(sock.fileno()))
        peer.close()
        await recorder.lost
        serving.server.close()

    same(scenario)


def test_start_serving_twice_and_closing_twice():
    async def scenario(log):
        serving = await Serving(log).start(start_serving=False)
        server = serving.server
        log(server.is_serving(), len(server.sockets))
        await server.start_serving()
        await server.start_serving()
        peer, recorder = await serving.connect()
        log(server.is_serving(), server.get_loop() is asyncio.get_running_loop())
        server.close()
        server.close()
        log(server.is_serving(), server.sockets)
        log("the connection goes on:", not recorder.transport.is_closing())
        peer.close()
        await recorder.lost
        await server.wait_closed()
        await attempt(log, "serve_forever", server.serve_forever())

    same(scenario)


def test_serve_forever():
    async def scenario(log):
        serving = await Serving(log).start(start_serving=False)
        forever = asyncio.ensure_future(serving.server.serve_forever())
        await turns()
        log(serving.server.is_serving())
        try:
            await serving.server.serve_forever()
        except RuntimeError as error:
            log(str(error).startswith("server <Server sockets="))
        forever.cancel()
        await asyncio.wait([forever])
        log(forever.cancelled(), serving.server.is_serving())

    same(scenario)


@pytest.mark.skipif(not HAS_CLOSE_CLIENTS, reason="came with 3.13")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_the_clients_of_a_server_are_closed(method):
    async def scenario(log):
        serving = await Serving(log).start()
        one, first = await serving.connect()
        two, second = await serving.connect()
        # More than the socket takes, so that closing and aborting differ.
        first.transport.write(bytes(20_000_000))
        log("queued:", first.transport.get_write_buffer_size() > 0)
        serving.server.close()
        getattr(serving.server, method)()
        log(first.transport.is_closing(), second.transport.is_closing())
        await second.lost
        log("lost at once:", first.lost.done())
        got = 0
        while True:
            try:
                data = one.recv(1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            except ConnectionResetError:
                break
            if not data:
                break
            got += len(data)
        log("all came:", got == 20_000_000)
        await first.lost
        await serving.server.wait_closed()
        one.close()
        two.close()

    same(scenario)


@pytest.mark.skipif(not HAS_CLOSE_CLIENTS, reason="waits as told since 3.12.1")
def test_wait_closed_waits_for_the_connections():
    async def scenario(log):
        serving = await Serving(log).start()
        peer, recorder = await serving.connect()
        waiting = asyncio.ensure_future(serving.server.wait_closed())
        await turns()
        log("open:", waiting.done())
        serving.server.close()
        await turns()
        log("closed:", waiting.done())
        peer.close()
        await recorder.lost
        await turns()
        log("connections gone:", waiting.done())

    log = same(scenario)
    assert log[-1] == "connections gone: True"


def test_debug_mode_in_the_middle():
    async def scenario(log):
        serving = await Serving(log).start()
        for debug in (True, False):
            asyncio.get_running_loop().set_debug(debug)
            peer, recorder = await serving.connect()
            peer.close()
            await recorder.lost
        serving.server.close()

    same(scenario)


def test_a_server_that_nobody_closes_goes_with_its_loop():
    class Factory:
        def __call__(self):
            return asyncio.Protocol()

    factory = Factory()
    gone = weakref.ref(factory)
    loop = rasyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0))
    factory = None
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop = server = None
        gc.collect()
    assert gone() is None


def test_a_loop_that_is_forgotten_while_it_serves():
    class Factory:
        def __call__(self):
            return asyncio.Protocol()

    factory = Factory()
    gone = weakref.ref(factory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop = rasyncio.new_event_loop()
        loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0))
        loop = factory = None
        gc.collect()
    assert gone() is None


def test_transports_of_a_server_are_native():
    async def scenario(log):
        serving = await Serving(log).start()
        peer, recorder = await serving.connect()
        log(isinstance(recorder.transport, rasyncio._rasyncio.SocketTransport))
        peer.close()
        await recorder.lost
        serving.server.close()

    assert "True" in run(scenario, rasyncio.new_event_loop)
