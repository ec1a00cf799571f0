"""`loop.sock_recvfrom`, `sock_recvfrom_into`, `sock_sendto`, `sock_accept` and `sock_connect`: the same as
the standard library's."""

import asyncio
import contextvars
import os
import re
import socket
import tempfile

import pytest
from _sockets import run, settled, turns

import rasyncio


def same(scenario):
    """Runs it both ways, with ports and folders taken out of the logs."""

    async def named(log):
        def logged(*what):
            text = re.sub(r"/tmp/\w+", "FOLDER", " ".join(map(shown, what)))
            log(re.sub(r"\b\d{4,5}\b", "PORT", text))

        await scenario(logged)

    ours = run(named, rasyncio.new_event_loop)
    assert ours == run(named, asyncio.SelectorEventLoop)
    return ours


def shown(value):
    return f"{type(value).__name__}({value})" if isinstance(value, Exception) else str(value)


def udp(host="127.0.0.1"):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock, sock.getsockname()


def listener(host="127.0.0.1"):
    sock = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setblocking(False)
    return sock, sock.getsockname()


def client(family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
    sock = socket.socket(family, kind, proto)
    sock.setblocking(False)
    return sock


async def told(log, call):
    try:
        log(await call())
    except Exception as error:
        log(error, type(error.__context__))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams(host):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, to_one = udp(host)
        other, to_other = udp(host)
        for number in range(3):
            log(await loop.sock_sendto(one, b"at once %d" % number, to_other))
            log(await loop.sock_recvfrom(other, 100))
            waiting = asyncio.ensure_future(loop.sock_recvfrom(one, 5))
            await turns()
            log(waiting.done())
            log(await loop.sock_sendto(other, bytearray(b"longer than that"), to_one))
            log(await waiting)
            buffer = bytearray(10)
            waiting = asyncio.ensure_future(loop.sock_recvfrom_into(one, buffer))
            await turns()
            await loop.sock_sendto(other, memoryview(b"filled"), to_one)
            log(await waiting, bytes(buffer))
            await loop.sock_sendto(other, b"", to_one)
            log(await loop.sock_recvfrom_into(one, buffer, 3))
        for sock in (one, other):
            sock.close()

    same(scenario)


def test_how_much_is_put_into_a_buffer():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, to_one = udp()
        for buffer, *nbytes in (
            (bytearray(10),),
            (bytearray(10), 0),
            (bytearray(10), 4),
            (bytearray(10), 10),
            (bytearray(10), 11),
            (bytearray(10), -1),
            (bytearray(10), "many"),
            (bytearray(10), None),
            (bytearray(),),
            (memoryview(bytearray(10))[2:5],),
            (memoryview(bytearray(16)).cast("i"),),
            (memoryview(bytearray(10))[::2],),
            (b"read-only",),
            (5,),
        ):
            one.sendto(b"0123456789ab", to_one)
            await told(log, lambda: loop.sock_recvfrom_into(one, buffer, *nbytes))
            log(bytes(buffer) if not isinstance(buffer, int) else buffer)
            while True:
                try:
                    one.recv(100)
                except BlockingIOError:
                    break
        one.close()

    same(scenario)


def test_a_buffer_that_shrinks_while_one_waits():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, to_one = udp()
        buffer = bytearray(10)
        waiting = asyncio.ensure_future(loop.sock_recvfrom_into(one, buffer))
        await turns()
        del buffer[5:]
        one.sendto(b"0123456789", to_one)
        await told(log, lambda: waiting)
        one.close()

    same(scenario)


def test_what_is_refused():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, to_one = udp()
        closed, _ = udp()
        closed.close()
        for call in (
            lambda: loop.sock_recvfrom(closed, 10),
            lambda: loop.sock_recvfrom(one, -1),
            lambda: loop.sock_recvfrom(one, "many"),
            lambda: loop.sock_recvfrom(one, 2**70),
            lambda: loop.sock_recvfrom_into(closed, bytearray(5)),
            lambda: loop.sock_sendto(closed, b"x", to_one),
            lambda: loop.sock_sendto(one, "text", to_one),
            lambda: loop.sock_sendto(one, b"x", None),
            lambda: loop.sock_sendto(one, b"x", ("127.0.0.1",)),
            lambda: loop.sock_sendto(one, b"x", ("127.0.0.1", 65536)),
            lambda: loop.sock_sendto(one, b"x", ("::1", 1)),
            lambda: loop.sock_sendto(one, b"x" * 70_000, to_one),
            lambda: loop.sock_accept(closed),
            lambda: loop.sock_accept(one),
            lambda: loop.sock_connect(closed, to_one),
            lambda: loop.sock_connect(one, "path"),
            lambda: loop.sock_connect(one, ("127.0.0.1", 65536)),
            lambda: loop.sock_connect(one, ()),
            lambda: loop.sock_connect(client(), ("255.255.255.255", 1)),
        ):
            await told(log, call)
        one.close()

    same(scenario)


def test_arguments_by_name_and_wrong_ones():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        one, to_one = udp()
        log(await loop.sock_sendto(sock=one, data=b"x", address=to_one))
        log(await loop.sock_recvfrom(sock=one, bufsize=10))
        log(await loop.sock_sendto(one, b"xyz", to_one))
        log(await loop.sock_recvfrom_into(sock=one, buf=bytearray(5), nbytes=2))
        one.close()

    same(scenario)


def test_a_port_that_nobody_has():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        other, address = udp()
        one, _ = udp()
        await loop.sock_connect(one, address)
        other.close()
        waiting = asyncio.ensure_future(loop.sock_recvfrom(one, 10))
        await turns()
        one.send(b"x")
        await told(log, lambda: waiting)
        one.send(b"x")
        await settled()
        await told(log, lambda: loop.sock_recvfrom_into(one, bytearray(10)))
        one.close()

    assert "ConnectionRefusedError" in same(scenario)[0]


def test_unix_datagrams_that_have_to_wait():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            server = client(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind(f"{folder}/server")
            nobody = client(socket.AF_UNIX, socket.SOCK_DGRAM)

            async def send():
                for number in range(100):
                    await loop.sock_sendto(nobody, b"%d" % number, f"{folder}/server")

            sending = asyncio.ensure_future(send())
            await turns()
            log(sending.done())
            for _ in range(100):
                log(await loop.sock_recvfrom(server, 100))
            await sending
            await told(log, lambda: loop.sock_sendto(nobody, b"x", f"{folder}/absent"))
            server.close()
            nobody.close()

    same(scenario)


@pytest.mark.parametrize("method", ["sock_recvfrom", "sock_recvfrom_into", "sock_accept"])
def test_cancelled(method):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        sock, address = listener() if method == "sock_accept" else udp()
        arguments = {"sock_recvfrom": [10], "sock_recvfrom_into": [bytearray(10)], "sock_accept": []}
        call = getattr(loop, method)
        waiting = asyncio.ensure_future(call(sock, *arguments[method]))
        await turns()
        waiting.cancel()
        await turns()
        log(waiting.cancelled())
        other = client(kind=sock.type)
        if method == "sock_accept":
            other.connect_ex(address)
        else:
            other.sendto(b"not lost", address)
        await settled()
        first, *rest = await call(sock, *arguments[method])
        log(first if isinstance(first, (bytes, int)) else "a connection")
        if method == "sock_accept":
            first.close()
        other.close()
        sock.close()

    same(scenario)


def test_debug_mode_wants_sockets_that_do_not_block():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        sock = socket.socket(type=socket.SOCK_DGRAM)
        for call in (
            lambda: loop.sock_recvfrom(sock, 10),
            lambda: loop.sock_recvfrom_into(sock, bytearray(10)),
            lambda: loop.sock_sendto(sock, b"x", ("127.0.0.1", 1)),
            lambda: loop.sock_accept(sock),
            lambda: loop.sock_connect(sock, ("127.0.0.1", 1)),
        ):
            await told(log, call)
        sock.close()

    same(scenario)


@pytest.mark.parametrize("method", ["sock_recvfrom", "sock_accept", "sock_connect"])
def test_a_descriptor_of_a_transport(method):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        sock, _ = udp()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        if method == "sock_connect":
            call = lambda: loop.sock_connect(sock, ("127.0.0.1", 1))
        elif method == "sock_accept":
            call = lambda: loop.sock_accept(sock)
        else:
            call = lambda: loop.sock_recvfrom(sock, 10)
        try:
            log(await call())
        except (OSError, RuntimeError) as error:
            log(re.sub(r"descriptor \d+|<.*>|fd=\d+", "…", str(error)))
        transport.abort()
        await turns()

    same(scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connecting_and_accepting(host):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, address = listener(host)
        for first in ("accept", "connect"):
            ours = client(server.family)
            if first == "accept":
                accepting = asyncio.ensure_future(loop.sock_accept(server))
                await turns()
                log(await loop.sock_connect(ours, address))
            else:
                log(await loop.sock_connect(ours, address[:2]))
                accepting = asyncio.ensure_future(loop.sock_accept(server))
            theirs, peer = await accepting
            log(peer, peer == ours.getsockname(), type(theirs), theirs.gettimeout())
            log(theirs.family, theirs.type, theirs.proto, os.get_inheritable(theirs.fileno()))
            await loop.sock_sendall(ours, b"hello")
            log(await loop.sock_recv(theirs, 100))
            ours.close()
            theirs.close()
        server.close()

    same(scenario)


def test_unix_connecting_and_accepting():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            server = client(socket.AF_UNIX)
            server.bind(f"{folder}/server")
            server.listen()
            ours = client(socket.AF_UNIX)
            log(await loop.sock_connect(ours, f"{folder}/server"))
            theirs, peer = await loop.sock_accept(server)
            log(repr(peer), theirs.family, theirs.type)
            for sock in (ours, theirs, server):
                sock.close()
            await told(log, lambda: loop.sock_connect(client(socket.AF_UNIX), f"{folder}/absent"))
            await told(log, lambda: loop.sock_connect(client(socket.AF_UNIX), f"{folder}/server"))

    same(scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connecting_to_a_port_that_nobody_has(host):
    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, address = listener(host)
        server.close()
        for given in (address, address[:2]):
            sock = client(socket.AF_INET6 if ":" in host else socket.AF_INET)
            await told(log, lambda: loop.sock_connect(sock, given))
            log(loop.remove_writer(sock))
            sock.close()

    assert all("Connect call failed" in line for line in same(scenario)[::2])


def test_connecting_by_a_name_and_datagram_sockets():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, (_, port) = listener()
        for spelt in (("localhost", port), ("127.0.0.1", str(port)), (b"127.0.0.1", port), ("", port)):
            sock = client()
            await told(log, lambda: loop.sock_connect(sock, spelt))
            sock.close()
        other, address = udp()
        sock = client(kind=socket.SOCK_DGRAM)
        log(await loop.sock_connect(sock, address))
        log(sock.getpeername() == address)
        for it in (sock, other, server):
            it.close()

    same(scenario)


def test_connecting_that_is_cancelled():
    async def main():
        loop = asyncio.get_running_loop()
        # A line that is full: who comes next has to wait.
        server = socket.create_server(("127.0.0.1", 0), backlog=0)
        fillers = []
        for _ in range(4):
            sock = client()
            sock.connect_ex(server.getsockname())
            fillers.append(sock)
        sock = client()
        waiting = asyncio.ensure_future(loop.sock_connect(sock, server.getsockname()))
        await turns()
        assert not waiting.done()
        assert loop._interest(sock.fileno())
        waiting.cancel()
        await turns()
        assert waiting.cancelled()
        assert not loop._interest(sock.fileno())
        for it in (sock, server, *fillers):
            it.close()

    rasyncio.run(main())


def test_the_current_context_is_kept():
    variable = contextvars.ContextVar("variable", default="nothing")

    async def scenario(log):
        loop = asyncio.get_running_loop()
        variable.set("mine")
        one, to_one = udp()
        waiting = asyncio.ensure_future(loop.sock_recvfrom(one, 10))
        await turns()
        one.sendto(b"x", to_one)
        log(await waiting, variable.get())
        one.close()

    same(scenario)


def test_a_socket_with_methods_of_its_own_keeps_them():
    async def scenario(log):
        class Own(socket.socket):
            def recvfrom(self, *arguments):
                log("recvfrom")
                return super().recvfrom(*arguments)

        loop = asyncio.get_running_loop()
        sock = Own(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"x", sock.getsockname())
        log(await loop.sock_recvfrom(sock, 10))
        sock.close()

    same(scenario)


def test_many_clients_connect_and_are_answered():
    async def main():
        loop = asyncio.get_running_loop()
        server, address = listener()
        before = len(os.listdir("/proc/self/fd"))

        async def serve():
            for _ in range(200):
                connection, _ = await loop.sock_accept(server)
                await loop.sock_sendall(connection, await loop.sock_recv(connection, 100))
                connection.close()

        async def ask(number):
            with client() as sock:
                await loop.sock_connect(sock, address)
                await loop.sock_sendall(sock, b"%d" % number)
                assert await loop.sock_recv(sock, 100) == b"%d" % number

        serving = loop.create_task(serve())
        for start in range(0, 200, 20):
            await asyncio.gather(*map(ask, range(start, start + 20)))
        await serving
        assert len(os.listdir("/proc/self/fd")) == before
        server.close()

    rasyncio.run(main())
