"""Servers and what connects to them: every keyword that the version has, as in stock asyncio."""

import asyncio
import contextvars
import errno
import gc
import os
import pathlib
import socket
import tempfile
import threading
import warnings
import weakref
from asyncio import constants

import pytest
from _sockets import Recorder, no_descriptors, run, same, settled, turns

import rasyncio

HAS_CLOSE_CLIENTS = hasattr(asyncio.Server, "close_clients")

KNOWS_KEEP_ALIVE = "keep_alive" in asyncio.BaseEventLoop.create_server.__kwdefaults__
KEEP_ALIVE = {"keep_alive": True} if KNOWS_KEEP_ALIVE else {}


def fails(*_):
    raise ValueError("expected")


async def attempt(log, what, awaitable):
    """Logs what became of it; the answer, or None."""
    try:
        answer = await awaitable
    except Exception as error:
        log(what, error)
    else:
        log(what, type(answer).__name__)
        return answer


def option(sock, name, level=socket.SOL_SOCKET):
    return sock.getsockopt(level, getattr(socket, name))


class Serving:
    """A server of recorders on a free port of the loopback, and those recorders."""

    def __init__(self, log, **then):
        self.log = log
        self.then = then
        self.recorders = []

    def _made(self):
        self.recorders.append(Recorder(self.log, **self.then))
        return self.recorders[-1]

    async def start(self, **keywords):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self._made, "127.0.0.1", 0, **keywords)
        self.address = self.server.sockets[0].getsockname()
        return self

    async def connect(self):
        """A socket that does not block, connected, and the recorder of its other end."""
        before = len(self.recorders)
        peer = socket.create_connection(self.address)
        peer.setblocking(False)
        while len(self.recorders) == before:
            await asyncio.sleep(0.001)
        await settled()
        return peer, self.recorders[-1]


def test_keywords_of_create_server():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        given = [
            {"backlog": 1},
            {"family": socket.AF_INET, "flags": socket.AI_PASSIVE},
            {"family": socket.AF_INET6},
            {"reuse_address": False},
            {"reuse_port": True},
            {"keep_alive": True},
            {"keep_alive": False},
            {"start_serving": False},
            {"ssl": True},
            {"ssl": False},
            {"ssl_handshake_timeout": 1},
            {"ssl_shutdown_timeout": 1},
            {"cleanup_socket": True},
            {"sock": "given, with an address"},
            {"host": ["127.0.0.1", "127.0.0.1"]},
            {"host": []},
            {"host": "192.0.2.1"},
            {"host": ""},
            {"port": "no such port"},
        ]
        for keywords in given:
            arguments = {"host": "127.0.0.1", "port": 0, **keywords}
            made = loop.create_server(asyncio.Protocol, **arguments)
            server = await attempt(log, keywords, made)
            if server is None:
                continue
            log(server.is_serving(), sorted(int(sock.family) for sock in server.sockets))
            for sock in server.sockets:
                names = ("SO_REUSEADDR", "SO_REUSEPORT", "SO_KEEPALIVE", "SO_ACCEPTCONN")
                log([bool(option(sock, name)) for name in names])
            server.close()

    log = "\n".join(same(scenario))
    assert "{'backlog': 1} Server" in log


def test_a_server_of_a_given_socket():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        stream = socket.socket()
        stream.bind(("127.0.0.1", 0))
        serving = await loop.create_server(asyncio.Protocol, sock=stream)
        log(serving.sockets[0].getsockname() == stream.getsockname(), stream.gettimeout())
        serving.close()
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                await loop.create_server(asyncio.Protocol, sock=datagrams)
            except ValueError as error:
                log(str(error).split("got")[0])
        await attempt(log, "neither", loop.create_server(asyncio.Protocol))

    same(scenario)


def test_keywords_of_create_connection():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        serving = await Serving(log).start()
        host, port = serving.address
        with socket.create_server(("127.0.0.1", 0)) as unused:
            refusing = unused.getsockname()[1]
        given = [
            {"family": socket.AF_INET, "proto": socket.IPPROTO_TCP, "flags": 0},
            {"family": socket.AF_INET6},
            {"local_addr": ("127.0.0.1", 0)},
            {"local_addr": ("192.0.2.1", 0)},
            {"happy_eyeballs_delay": 0.25},
            {"interleave": 1},
            {"all_errors": False},
            {"all_errors": True},
            {"ssl": None, "server_hostname": "name"},
            {"ssl_handshake_timeout": 1},
            {"ssl_shutdown_timeout": 1},
            {"sock": "given, with an address"},
            {"host": None},
            {"context": None},
        ]
        for keywords in given:
            for to in (port, refusing):
                arguments = {"host": host, "port": to, **keywords}
                made = loop.create_connection(asyncio.Protocol, **arguments)
                try:
                    transport, _ = await made
                except BaseExceptionGroup as group:
                    log(keywords, "group", [type(error).__name__ for error in group.exceptions])
                except Exception as error:
                    # The port is another one each time.
                    log(keywords, type(error).__name__, str(error).replace(str(to), "PORT"))
                else:
                    log(keywords, "connected", transport.get_extra_info("peername") == (host, to))
                    transport.abort()
                    await turns()
        await settled()
        serving.server.close()

    same(scenario)


def test_keywords_of_the_unix_ones():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory() as folder:
            for number, convert in enumerate([str, os.fsencode, pathlib.Path]):
                path = convert(f"{folder}/{number}")
                server = await loop.create_unix_server(asyncio.Protocol, path)
                transport, _ = await loop.create_unix_connection(asyncio.Protocol, path)
                log(number, transport.get_extra_info("peername") == os.fsdecode(path))
                taken = loop.create_unix_server(asyncio.Protocol, folder)
                try:
                    await taken
                except OSError as error:
                    log(error.errno, str(error).replace(folder, "FOLDER"))
                transport.abort()
                server.close()
                await turns()
                log("left behind:", os.path.exists(path))
            for keywords in (
                {"cleanup_socket": False},
                {"cleanup_socket": True},
                {"start_serving": False},
                {"backlog": 5},
                {"ssl": True},
                {"ssl_handshake_timeout": 1},
                {"ssl_shutdown_timeout": 1},
                {"sock": socket.socket()},
                {"keep_alive": True},
            ):
                path = f"{folder}/{'-'.join(keywords)}"
                made = loop.create_unix_server(asyncio.Protocol, path, **keywords)
                server = await attempt(log, list(keywords), made)
                if server is not None:
                    log(server.is_serving())
                    server.close()
                    log("left behind:", os.path.exists(path))
            await attempt(log, "no path", loop.create_unix_server(asyncio.Protocol))
            await attempt(log, "no path", loop.create_unix_connection(asyncio.Protocol))
            absent = loop.create_unix_connection(asyncio.Protocol, f"{folder}/absent")
            await attempt(log, "absent", absent)

    same(scenario)


def test_an_abstract_name_and_a_file_that_is_another_by_now():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        name = f"\0rasyncio-{os.getpid()}"
        server = await loop.create_unix_server(asyncio.Protocol, name)
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, name)
        log(transport.get_extra_info("peername") == name.encode())
        transport.abort()
        await settled()
        server.close()
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/socket"
            server = await loop.create_unix_server(asyncio.Protocol, path)
            os.unlink(path)
            pathlib.Path(path).write_text("another's")
            server.close()
            log(os.path.exists(path))

    same(scenario)


def test_connect_accepted_socket():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        made = loop.connect_accepted_socket(lambda: Recorder(log), ours)
        transport, recorder = await made
        theirs.send(b"hello")
        await settled()
        transport.write(b"answer")
        log(theirs.recv(100), ours.gettimeout())
        transport.close()
        await recorder.lost
        for keywords in ({"ssl_handshake_timeout": 1}, {"ssl_shutdown_timeout": 1}, {"ssl": "x"}):
            made = loop.connect_accepted_socket(asyncio.Protocol, theirs, **keywords)
            await attempt(log, list(keywords), made)
        theirs.close()

    same(scenario)


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


def test_addresses_of_every_family():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory() as folder:
            for family, address in (
                (socket.AF_INET, ("127.0.0.1", 0)),
                (socket.AF_INET6, ("::1", 0)),
                (socket.AF_UNIX, f"{folder}/socket"),
                (socket.AF_UNIX, f"\0rasyncio-{os.getpid()}-é"),
            ):
                listener = socket.socket(family)
                listener.bind(address)
                recorder = loop.create_future()

                def made(recorder=recorder):
                    recorder.set_result(Recorder(log))
                    return recorder.result()

                if family == socket.AF_UNIX:
                    server = await loop.create_unix_server(made, sock=listener)
                else:
                    server = await loop.create_server(made, sock=listener)
                with socket.socket(family) as peer:
                    if address[:1] == "\0":
                        peer.bind(f"{address}-peer")
                    peer.connect(listener.getsockname())
                    transport = (await recorder, await settled())[0].transport
                    log(transport.get_extra_info("peername") == peer.getsockname())
                    log(transport.get_extra_info("sockname") == peer.getpeername())
                    log(type(transport.get_extra_info("peername")))
                await recorder.result().lost
                server.close()

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


# Stock asyncio does not foresee that a transport dies when its server is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_factory_that_raises_and_one_that_answers_nonsense():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        for debug in (False, True):
            loop.set_debug(debug)
            for factory in (fails, lambda: None):
                server = await loop.create_server(factory, "127.0.0.1", 0)
                with socket.create_connection(server.sockets[0].getsockname()) as peer:
                    peer.settimeout(2)
                    await settled()
                server.close()
                await turns()
        loop.set_debug(False)

    same(scenario)
    gc.collect()


def test_connection_made_that_raises():
    async def scenario(log):
        serving = await Serving(log, connection_made=fails).start()
        peer, recorder = await serving.connect()
        log(recorder.transport)
        recorder.transport.abort()
        await recorder.lost
        peer.close()
        serving.server.close()

    same(scenario)


def test_order_of_events_in_a_new_connection():
    """A turn after the accept a task asks the factory; a turn later the protocol is told."""

    async def scenario(log):
        loop = asyncio.get_running_loop()
        count = 0

        def tick():
            nonlocal count
            count += 1
            loop.call_soon(tick)

        def made():
            log("factory", count, type(asyncio.current_task()).__name__, len(asyncio.all_tasks()))
            return Recorder(log, connection_made=lambda _: log("made", count))

        server = await loop.create_server(made, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            loop._accept_connection(made, server_socket(server), None, server)
            tick()
            await turns(10)
        await settled()
        server.close()

    assert "made 2" in same(scenario)


def server_socket(server):
    return server.sockets[0]._sock


def test_a_task_factory_sees_the_tasks_that_accept():
    async def scenario(log):
        loop = asyncio.get_running_loop()

        def factory(loop, coroutine, **keywords):
            log("task", coroutine.__qualname__.rpartition(".")[2], sorted(keywords))
            return asyncio.Task(coroutine, loop=loop, **keywords)

        serving = await Serving(log).start()
        loop.set_task_factory(factory)
        peer, recorder = await serving.connect()
        loop.set_task_factory(None)
        peer.close()
        await recorder.lost
        serving.server.close()

    same(scenario)


def test_running_out_of_descriptors(monkeypatch):
    """What connects meanwhile is served when there are descriptors again."""
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.05)

    async def scenario(log):
        serving = await Serving(log).start()
        waiting = socket.create_connection(serving.address)
        waiting.setblocking(False)
        with no_descriptors():
            await asyncio.sleep(0.02)
            log(len(serving.recorders))
        waiting.send(b"patient")
        while not serving.recorders or not serving.recorders[0].received:
            await asyncio.sleep(0.005)
        waiting.close()
        await serving.recorders[0].lost
        serving.server.close()

    ours = run(scenario, rasyncio.new_event_loop)
    # Stock asyncio says it a hundred times.
    assert ours == list(dict.fromkeys(run(scenario, asyncio.SelectorEventLoop)))
    assert "socket.accept() out of system resource" in ours[0]


def test_closed_while_it_is_out_of_descriptors(monkeypatch):
    """It does not listen again, which in stock asyncio is an error."""
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.01)

    async def scenario(log):
        serving = await Serving(log).start()
        with socket.create_connection(serving.address), no_descriptors():
            await asyncio.sleep(0.005)
        serving.server.close()
        await asyncio.sleep(0.05)
        log(len(serving.recorders))

    log = run(scenario, rasyncio.new_event_loop)
    assert len(log) == 2 and log[1] == "0"


class Failing:
    """A listening socket whose `accept` fails as told."""

    def __init__(self, sock, number=errno.EMFILE):
        self.sock = sock
        self.number = number
        self.asked = 0

    def accept(self):
        self.asked += 1
        raise OSError(self.number, os.strerror(self.number))

    def fileno(self):
        return self.sock.fileno()

    def __getattr__(self, name):
        return getattr(self.sock, name)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EINTR, errno.ECONNABORTED, errno.EBADF])
def test_accept_that_fails(number):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as sock:
            listener = Failing(sock, number)
            try:
                loop._accept_connection(asyncio.Protocol, listener, None, None, 7)
            except OSError as error:
                log(error)
            log(listener.asked)

    same(scenario)


def test_a_burst_of_connections_is_accepted():
    async def scenario(log):
        serving = await Serving(lambda *_: None).start(backlog=300)
        peers = [socket.create_connection(serving.address) for _ in range(200)]
        for number, peer in enumerate(peers):
            peer.send(str(number).encode())
        while sum(bool(recorder.received) for recorder in serving.recorders) < 200:
            await asyncio.sleep(0.005)
        log(sorted(int(recorder.received) for recorder in serving.recorders) == list(range(200)))
        for peer in peers:
            peer.close()
        for recorder in serving.recorders:
            await recorder.lost
        serving.server.close()
        await serving.server.wait_closed()

    assert same(scenario) == ["True"]


def test_the_context_of_a_connection():
    """Before 3.15 that in which the server listens; since then a copy of the server's for each."""
    variable = contextvars.ContextVar("variable", default="default")

    async def scenario(log):
        def told(recorder):
            log(variable.get())
            variable.set("changed by a protocol")

        names = ("connection_made", "data_received", "eof_received", "connection_lost")
        variable.set("when the server was made")
        serving = await Serving(log, **dict.fromkeys(names, told)).start()
        variable.set("later")
        for _ in range(2):
            peer, recorder = await serving.connect()
            peer.send(b"hello")
            await settled()
            peer.close()
            await recorder.lost
        log(variable.get())
        serving.server.close()

    same(scenario)


def test_streams_and_their_keywords():
    async def scenario(log):
        async def serve(reader, writer):
            try:
                log(await reader.readuntil(b"."))
            except asyncio.LimitOverrunError as error:
                log(error)
            writer.write(b"answer")
            writer.close()
            await writer.wait_closed()

        for keywords in ({}, {"limit": 4}, {"backlog": 2}, {"reuse_port": True}, {"ssl": True}):
            server = await attempt(
                log, keywords, asyncio.start_server(serve, "127.0.0.1", 0, **keywords)
            )
            if server is None:
                continue
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port, limit=100)
            writer.write(b"a question.")
            try:
                log(await reader.read())
            except ConnectionResetError:
                log("reset, for not all was read")
            writer.close()
            server.close()
            await turns()

    same(scenario)


def test_a_thread_that_connects_and_goes_again_at_once():
    """Whoever has gone before it was accepted is accepted, and lost."""

    async def scenario(log):
        serving = await Serving(lambda *_: None).start()

        def client():
            for _ in range(50):
                socket.create_connection(serving.address).close()

        thread = threading.Thread(target=client)
        thread.start()
        while len(serving.recorders) < 50:
            await asyncio.sleep(0.001)
        thread.join()
        for recorder in serving.recorders:
            await recorder.lost
        log(len(serving.recorders))
        serving.server.close()
        await serving.server.wait_closed()

    assert same(scenario) == ["50"]


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


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_factory_that_ends_the_program(error):
    for make in (rasyncio.new_event_loop, asyncio.SelectorEventLoop):
        loop = make()

        def factory():
            raise error

        server = loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0))
        with socket.create_connection(server.sockets[0].getsockname()), pytest.raises(error):
            loop.run_forever()
        # The task that has raised it is nobody's.
        loop.set_exception_handler(lambda *_: None)
        server.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        del server
        gc.collect()


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


@pytest.mark.parametrize("name", ["_accept_connection", "_make_socket_transport"])
def test_a_loop_that_overrides_how_connections_are_made(name):
    called = []

    class Loop(rasyncio.EventLoop):
        pass

    def method(self, *args, **keywords):
        called.append(name)
        return getattr(super(Loop, self), name)(*args, **keywords)

    setattr(Loop, name, method)

    async def scenario(log):
        serving = await Serving(log).start()
        peer, recorder = await serving.connect()
        peer.close()
        await recorder.lost
        serving.server.close()

    run(scenario, Loop)
    assert called == [name]


def test_transports_of_a_server_are_native():
    async def scenario(log):
        serving = await Serving(log).start()
        peer, recorder = await serving.connect()
        log(isinstance(recorder.transport, rasyncio._rasyncio.SocketTransport))
        peer.close()
        await recorder.lost
        serving.server.close()

    assert "True" in run(scenario, rasyncio.new_event_loop)
