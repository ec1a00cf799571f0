"""How a server accepts: in which order, with which context, and what goes wrong then."""

import asyncio
import contextvars
import errno
import gc
import os
import socket
import threading
from asyncio import constants

import pytest
from _servers import Serving, fails
from _sockets import Recorder, no_descriptors, run, same, settled, turns

import rasyncio


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
