"""`create_connection` to addresses that are numbers, and `create_unix_connection`: native where nothing is
in the way, and the same as the standard library's."""

import asyncio
import os
import re
import socket
import tempfile

import pytest
from _sockets import Recorder, run, turns

import rasyncio


def same(scenario):
    """Runs it both ways, with ports and folders taken out of the logs."""

    async def named(log):
        def logged(*what):
            text = re.sub(r"/tmp/\w+", "FOLDER", " ".join(map(shown, what)))
            text = re.sub(r"fd=\d+", "fd=N", text)
            log(re.sub(r"\b\d{4,5}\b", "PORT", text))

        await scenario(logged)

    ours = run(named, rasyncio.new_event_loop)
    assert ours == run(named, asyncio.SelectorEventLoop)
    return ours


def shown(value):
    return f"{type(value).__name__} {value}" if isinstance(value, BaseException) else str(value)


async def listening(host="127.0.0.1", **keywords):
    """A server of nothing, and its address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, 0, **keywords)
    return server, server.sockets[0].getsockname()


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def recorder(log):
    return lambda: Recorder(log)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_a_connection_is_and_knows(host):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, address = await listening(host)
        port = address[1]
        for made in (
            loop.create_connection(recorder(log), host, port),
            loop.create_connection(recorder(log), host=host, port=port),
            loop.create_connection(protocol_factory=recorder(log), port=port, host=host),
        ):
            transport, protocol = await made
            log(transport, type(protocol).__name__, protocol.transport is transport)
            sock = transport.get_extra_info("socket")
            log(sock.family, sock.type, sock.proto, sock.gettimeout(), os.get_inheritable(sock.fileno()))
            log(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            log(transport.get_extra_info("peername") == address)
            log(transport.get_extra_info("sockname"))
            transport.close()
            await protocol.lost
        server.close()

    same(scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0:0::1"])
def test_a_port_that_nobody_has(host):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, address = await listening(host)
        server.close()
        await turns()
        before = open_descriptors()
        try:
            await loop.create_connection(recorder(log), host, address[1])
        except OSError as error:
            log(error, error.errno, error.__context__, error.__cause__)
        log(open_descriptors() == before)

    assert any("Connect call failed" in line for line in same(scenario))


def test_addresses_and_arguments_that_are_refused():
    class Text(str):
        pass

    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, (host, port) = await listening()
        for given in (
            (),
            (recorder(log),),
            (recorder(log), host),
            (recorder(log), host, None),
            (recorder(log), None, None),
            (recorder(log), host, str(port)),
            (recorder(log), host, 65536),
            (recorder(log), host, -1),
            (recorder(log), Text(host), port),
            (recorder(log), host.encode(), port),
            (recorder(log), "localhost", port),
            (recorder(log), "255.255.255.255", port),
            (recorder(log), host, port, "too much"),
            (None, host, port),
        ):
            try:
                transport, _ = await loop.create_connection(*given)
            except (OSError, OverflowError, TypeError, ValueError) as error:
                log(len(given), error)
            else:
                log("connected", transport)
                transport.abort()
                await turns()
        for keywords in ({"nonsense": 1}, {"host": host, "port": port, "protocol_factory": int}):
            try:
                await loop.create_connection(recorder(log), **keywords)
            except TypeError as error:
                log(error)
        server.close()

    same(scenario)


def test_a_factory_that_raises():
    async def scenario(log):
        def fails():
            raise ValueError("expected")

        loop = asyncio.get_running_loop()
        server, address = await listening()
        try:
            await loop.create_connection(fails, *address)
        except ValueError as error:
            log(error)
        server.close()

    same(scenario)


def test_connection_made_that_raises_and_one_that_closes():
    async def scenario(log):
        def fails(self):
            raise ValueError("expected")

        loop = asyncio.get_running_loop()
        server, address = await listening()
        for then in (fails, lambda self: self.transport.abort()):
            transport, protocol = await loop.create_connection(
                lambda: Recorder(log, connection_made=then), *address
            )
            log(transport)
            transport.abort()
            await protocol.lost
        server.close()

    same(scenario)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_cancelled(after):
    async def main():
        loop = asyncio.get_running_loop()
        server, address = await listening()
        before = open_descriptors()
        connecting = loop.create_task(loop.create_connection(asyncio.Protocol, *address))
        await turns(after)
        connecting.cancel()
        try:
            transport, _ = await connecting
        except asyncio.CancelledError:
            pass
        else:
            transport.abort()
        # Until the server has dropped its end, too.
        for _ in range(1000):
            if open_descriptors() == before:
                break
            await asyncio.sleep(0.001)
        assert open_descriptors() == before
        server.close()

    rasyncio.run(main())


def test_cancelled_while_the_line_is_full():
    async def main():
        loop = asyncio.get_running_loop()
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        before = open_descriptors()
        connecting = loop.create_task(loop.create_connection(asyncio.Protocol, *full.getsockname()))
        await turns()
        assert not connecting.done() and open_descriptors() == before + 1
        connecting.cancel()
        await asyncio.wait([connecting])
        assert connecting.cancelled() and open_descriptors() == before
        for sock in (full, *fillers):
            sock.close()

    rasyncio.run(main())


def test_the_order_of_events():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, address = await listening()
        going = loop.create_task(loop.create_connection(recorder(log), *address))
        going.add_done_callback(lambda task: log("the task is done"))
        transport, protocol = await going
        transport.close()
        loop.call_soon(log, "a callback after the close")
        await protocol.lost
        server.close()

    same(scenario)


def test_unix_connections():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            path = f"{folder}/server"
            server = await loop.create_unix_server(asyncio.Protocol, path)
            for made in (
                loop.create_unix_connection(recorder(log), path),
                loop.create_unix_connection(recorder(log), path=path),
                loop.create_unix_connection(recorder(log), os.fsencode(path)),
            ):
                transport, protocol = await made
                log(transport, repr(transport.get_extra_info("peername")))
                transport.close()
                await protocol.lost
            server.close()
            await turns()
            for given in (path, f"{folder}/absent", "x" * 200, "", "\0no such name", None, 5):
                try:
                    await loop.create_unix_connection(recorder(log), given)
                except (OSError, TypeError, ValueError) as error:
                    log(error)

    same(scenario)


@pytest.mark.parametrize(
    "name", ["_ensure_resolved", "_connect_sock", "sock_connect", "_make_socket_transport"]
)
@pytest.mark.parametrize("where", ["class", "loop"])
def test_what_is_overridden_is_called(name, where):
    called = []
    loop_class = type(rasyncio.new_event_loop())

    def overriding(self, *args, **kwargs):
        called.append(name)
        return getattr(loop_class, name)(self, *args, **kwargs)

    class Loop(loop_class):
        pass

    if where == "class":
        setattr(Loop, name, overriding)

    async def main():
        loop = asyncio.get_running_loop()
        if where == "loop":
            setattr(loop, name, overriding.__get__(loop))
        server, address = await listening()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        assert called
        transport.abort()
        server.close()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_another_class_of_sockets_is_used(monkeypatch):
    class Own(socket.socket):
        pass

    async def main():
        loop = asyncio.get_running_loop()
        server, address = await listening()
        monkeypatch.setattr(socket, "socket", Own)
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        assert type(transport._sock) is Own
        transport.abort()
        server.close()
        await turns()

    rasyncio.run(main())


def test_debug_mode_is_the_standard_librarys():
    async def main():
        loop = asyncio.get_running_loop()
        server, address = await listening()
        for debug in (False, True):
            loop.set_debug(debug)
            made = loop.create_connection(asyncio.Protocol, *address)
            assert asyncio.iscoroutine(made)
            assert made.cr_code.co_filename.startswith("<") == (not debug)
            transport, _ = await made
            transport.abort()
        assert asyncio.iscoroutinefunction(loop.create_connection)
        server.close()

    rasyncio.run(main())


def test_thousands_of_connections_leave_no_descriptor():
    async def main():
        loop = asyncio.get_running_loop()
        server, address = await listening()
        before = open_descriptors()
        for number in range(1000):
            transport, _ = await loop.create_connection(asyncio.Protocol, *address)
            if number % 2:
                transport.close()
            else:
                transport.abort()
            await asyncio.sleep(0)
        for _ in range(1000):
            if open_descriptors() == before:
                break
            await asyncio.sleep(0.001)
        assert open_descriptors() == before
        server.close()

    rasyncio.run(main())
