"""Every keyword that the version has, of servers and of what connects to them, as in stock asyncio."""

import asyncio
import os
import pathlib
import socket
import tempfile

from _servers import Serving, attempt, option
from _sockets import Recorder, same, settled, turns


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
