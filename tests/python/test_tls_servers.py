"""Servers with TLS: accepting is native, and what may be seen of it is as in asyncio."""

import asyncio
import gc
import socket
import ssl
import weakref
from asyncio import constants

import pytest
from _sockets import Recorder, no_descriptors, run, same, settled
from _tls import CERTIFICATE, client_context, server_context

import rasyncio


class Quiet(Recorder):
    """What is told of a transport is its class: its address is another one in each run."""

    def _told(self, name, *what):
        if name == "connection_made":
            what = (type(what[0]).__name__,)
        return super()._told(name, *what)


class Serving:
    """A server, and the protocols of its connections."""

    def __init__(self, log, **options):
        self.log = log
        self.options = {"ssl": server_context(), **options}
        self.recorders = []

    def factory(self):
        self.recorders.append(Quiet(self.log))
        return self.recorders[-1]

    async def start(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self.factory, "127.0.0.1", 0, **self.options)
        self.address = self.server.sockets[0].getsockname()
        return self

    async def connect(self):
        return await asyncio.open_connection(
            *self.address, ssl=client_context(), server_hostname="localhost"
        )

    async def exchange(self):
        """One connection that says something and goes."""
        reader, writer = await self.connect()
        writer.write(b"hello")
        await settled()
        writer.close()
        await writer.wait_closed()
        await self.recorders[-1].lost


def test_connections_are_accepted():
    async def scenario(log):
        serving = await Serving(log).start()
        for _ in range(3):
            await serving.exchange()
        serving.server.close()
        await serving.server.wait_closed()

    assert same(scenario).count("connection_lost None") == 3


def test_the_server_counts_its_connections():
    async def scenario(log):
        serving = await Serving(log).start()
        reader, writer = await serving.connect()
        await settled()
        serving.server.close()
        closed = asyncio.ensure_future(serving.server.wait_closed())
        await settled()
        log(closed.done())
        writer.close()
        await writer.wait_closed()
        await closed

    same(scenario)


def test_in_debug_mode():
    async def scenario(log):
        asyncio.get_running_loop().set_debug(True)
        serving = await Serving(log, ssl_handshake_timeout=0.1).start()
        await serving.exchange()
        silent = socket.create_connection(serving.address)
        await asyncio.sleep(0.3)
        silent.close()
        asyncio.get_running_loop().set_debug(False)
        await serving.exchange()
        asyncio.get_running_loop().set_debug(True)
        await serving.exchange()
        serving.server.close()

    log = same(scenario)
    assert any("Error on transport creation" in line for line in log)


@pytest.mark.parametrize("what", ["factory", "context", "limit"])
def test_what_fails_ends_that_connection_only(what):
    async def scenario(log):
        serving = Serving(log)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        failing = True

        class Choosy(ssl.SSLObject):
            def __new__(cls):
                if failing and what == "context":
                    raise ValueError("expected")
                return super().__new__(cls)

        context.sslobject_class = Choosy
        factory = serving.factory

        def chosen():
            if failing and what == "factory":
                raise ValueError("expected")
            return factory()

        serving.factory = chosen
        serving.options["ssl"] = context
        if what == "limit":
            # It is looked at when there is a connection.
            serving.options["ssl_handshake_timeout"] = -1
        await serving.start()
        try:
            await serving.connect()
        except OSError as error:
            log(type(error).__name__)
        failing = False
        if what != "limit":
            await serving.exchange()
        serving.server.close()
        gc.collect()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)
        same(scenario)


@pytest.mark.parametrize(
    "name", ["_make_ssl_transport", "_accept_connection", "_accept_connection2"]
)
def test_an_overridden_method_is_called(name):
    async def main():
        loop = asyncio.get_running_loop()
        method = getattr(loop, name)
        seen = []

        def counted(*args, **kwargs):
            seen.append(name)
            return method(*args, **kwargs)

        setattr(loop, name, counted)
        serving = await Serving(lambda *what: None).start()
        await serving.exchange()
        serving.server.close()
        assert seen

    with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
        runner.run(main())


def test_running_out_of_descriptors(monkeypatch):
    """What connects meanwhile is served when there are descriptors again."""
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.05)

    async def scenario(log):
        serving = await Serving(log).start()
        waiting = socket.create_connection(serving.address)
        with no_descriptors():
            await asyncio.sleep(0.02)
            log(len(serving.recorders))

        def speak():
            with client_context().wrap_socket(waiting, server_hostname="localhost") as secure:
                secure.sendall(b"patient")
                secure.unwrap().close()

        await asyncio.get_running_loop().run_in_executor(None, speak)
        await serving.recorders[0].lost
        serving.server.close()

    ours = run(scenario, rasyncio.new_event_loop)
    # Stock asyncio says it a hundred times, and tries again as often: on a busy machine even after the close.
    stock = [line for line in run(scenario, asyncio.SelectorEventLoop) if "_start_serving(" not in line]
    assert ours == list(dict.fromkeys(stock))
    assert "socket.accept() out of system resource" in ours[0]


def test_a_failed_handshake_leaves_no_cycle():
    async def main():
        serving = await Serving(lambda *what: None).start()
        sock = socket.create_connection(serving.address)
        sock.send(b"this is not TLS at all\r\n")
        await settled()
        # No connection was ever made.
        (recorder,) = serving.recorders
        kept = weakref.ref(recorder)
        serving.recorders.clear()
        del recorder
        await settled()
        assert kept() is None
        assert not asyncio.get_running_loop()._transports
        sock.close()
        serving.server.close()

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=rasyncio.new_event_loop) as runner:
            runner.run(main())
    finally:
        gc.enable()


def test_streams_know_their_context():
    async def scenario(log):
        async def serve(reader, writer):
            log(writer.get_extra_info("sslcontext") is server_context())
            log(writer.get_extra_info("cipher")[1], writer.get_extra_info("peercert"))
            log(await reader.read())
            writer.close()
            await writer.wait_closed()
            done.set()

        done = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context())
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context(), server_hostname="localhost"
        )
        writer.write(b"hello")
        writer.close()
        await writer.wait_closed()
        await done.wait()
        server.close()
        await server.wait_closed()

    same(scenario)
