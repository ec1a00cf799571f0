"""A connection that was accepted: nothing is made before it is asked for, and nobody can tell."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import warnings

import pytest
from _sockets import Recorder, run, same, settled, turns

import rasyncio

HAS_CLIENTS = hasattr(asyncio.Server, "close_clients")


async def accepted(log, **then):
    """A server, one end of a connection to it, and the recorder that the server has for the other."""
    recorders = []

    def made():
        recorders.append(Recorder(log, **then))
        return recorders[-1]

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    peer = socket.create_connection(server.sockets[0].getsockname())
    peer.setblocking(False)
    while not recorders:
        await asyncio.sleep(0)
    await turns()
    return server, peer, recorders[0]


def known(log, transport, peer_name, own_name):
    log(transport.get_extra_info("peername") == peer_name)
    log(transport.get_extra_info("sockname") == own_name)
    log(transport.get_extra_info("socket"))
    log(transport.get_extra_info("something", "else"), sorted(transport._extra))


@pytest.mark.parametrize("way", ["close", "abort"])
def test_asked_when_all_is_over(way):
    async def scenario(log):
        server, peer, recorder = await accepted(log)
        names = peer.getsockname(), peer.getpeername()
        getattr(recorder.transport, way)()
        await recorder.lost
        await turns()
        known(log, recorder.transport, *names)
        log(recorder.transport._sock)
        peer.close()
        server.close()

    same(scenario)


def test_asked_when_the_peer_has_reset_it():
    async def scenario(log):
        server, peer, recorder = await accepted(log)
        names = peer.getsockname(), peer.getpeername()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        await recorder.lost
        await turns()
        known(log, recorder.transport, *names)
        server.close()

    same(scenario)


def test_asked_in_connection_lost():
    async def scenario(log):
        def ask(recorder):
            known(log, recorder.transport, *names)

        server, peer, recorder = await accepted(log, connection_lost=ask)
        names = peer.getsockname(), peer.getpeername()
        peer.close()
        await recorder.lost
        server.close()

    # The socket's number is still there, and its peer is gone.
    for log in (run(scenario, rasyncio.new_event_loop), run(scenario, asyncio.SelectorEventLoop)):
        assert log.count("True") == 2


def test_asked_when_the_program_has_closed_the_socket():
    async def scenario(log):
        server, peer, recorder = await accepted(log)
        names = peer.getsockname(), peer.getpeername()
        recorder.transport._sock.close()
        known(log, recorder.transport, *names)
        recorder.transport.abort()
        await recorder.lost
        peer.close()
        server.close()

    same(scenario)


def test_a_long_name_of_a_unix_socket():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        recorders = []
        with tempfile.TemporaryDirectory() as folder:

            def made():
                recorders.append(Recorder(log))
                return recorders[-1]

            long = f"{folder}/{'x' * 40}"
            server = await loop.create_unix_server(made, long)
            peer = socket.socket(socket.AF_UNIX)
            peer.bind(f"{folder}/{'y' * 40}")
            peer.connect(long)
            await settled()
            names = peer.getsockname(), long
            peer.close()
            await recorders[0].lost
            await turns()
            transport = recorders[0].transport
            log(transport.get_extra_info("peername") == names[0])
            log(transport.get_extra_info("sockname") == names[1])
            server.close()

    same(scenario)


def test_one_socket_for_all_who_ask():
    async def scenario(log):
        server, peer, recorder = await accepted(log)
        transport = recorder.transport
        sock = transport._sock
        log(type(sock) is socket.socket, sock is transport._sock, sock.gettimeout())
        log(transport.get_extra_info("socket")._sock is sock)
        peer.send(b"something")
        await settled()
        transport.close()
        await recorder.lost
        await turns()
        log(sock.fileno(), peer.recv(1))
        peer.close()
        server.close()

    same(scenario)


def test_a_duplicate_outlives_the_transport():
    async def scenario(log):
        server, peer, recorder = await accepted(log)
        kept = recorder.transport.get_extra_info("socket").dup()
        recorder.transport.close()
        await recorder.lost
        peer.send(b"still here")
        await settled()
        log(kept.recv(100))
        kept.close()
        peer.close()
        server.close()

    same(scenario)


def test_a_transport_that_nobody_keeps():
    async def scenario(log):
        server, peer, recorder = await accepted(log)
        recorder.transport.pause_reading()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            recorder.transport = None
            recorder = None
            gc.collect()
            gc.collect()
        log(any("unclosed transport" in str(it.message) for it in caught))
        log(peer.recv(1))
        server.close()
        if HAS_CLIENTS:
            await server.wait_closed()
        peer.close()

    same(scenario)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_ends_before_the_connection_begins():
    peers = []

    async def scenario(log):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Recorder(log), "127.0.0.1", 0)
        peers.append(socket.create_connection(server.sockets[0].getsockname()))
        # The connection's task is made in the last turn.
        loop.call_soon(loop.stop)

    run(scenario, rasyncio.new_event_loop)
    gc.collect()
    peers[0].settimeout(5)
    assert peers[0].recv(1) in (b"",)
    peers[0].close()


def test_number_of_a_transport():
    async def scenario(log):
        loop = asyncio.get_running_loop()
        server, peer, recorder = await accepted(log)
        transport = recorder.transport
        number = transport.get_extra_info("socket").fileno()
        log(loop._transports[number] is transport, number in loop._transports)
        log(len(loop._transports), list(loop._transports) == [number])
        try:
            loop.add_reader(number, print)
        except RuntimeError as error:
            log(type(error).__name__)
        # As sendfile does.
        del loop._transports[number]
        log(loop._transports.get(number))
        loop._transports[number] = transport
        log(loop._transports.get(number) is transport)
        transport.close()
        await recorder.lost
        log(loop.remove_reader(number))
        peer.close()
        server.close()

    same(scenario)


@pytest.mark.skipif(not HAS_CLIENTS, reason="came with 3.13")
def test_the_set_of_clients():
    async def scenario(log):
        server, peer, recorder = await accepted(log)
        clients = server._clients
        transport = recorder.transport
        log(len(clients), transport in clients, list(clients) == [transport])
        log(set(clients.copy()) == {transport})
        clients.discard(transport)
        clients.discard(transport)
        log(len(clients), transport in clients)
        clients.add(transport)
        clients.add(transport)
        log(len(clients))
        transport.close()
        await recorder.lost
        await turns()
        log(len(clients), list(clients))
        peer.close()
        server.close()
        await server.wait_closed()

    same(scenario)


def test_an_audit_hook_hears_of_the_socket():
    program = """
        import asyncio, socket, sys, {module}

        async def main():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            heard = []
            on = True

            def hook(event, args):
                if on and event == "socket.__new__":
                    heard.append((type(args[0]).__name__, args[1], args[2] & ~socket.SOCK_NONBLOCK))

            peer = socket.create_connection(server.sockets[0].getsockname())
            sys.addaudithook(hook)
            await asyncio.sleep(0.05)
            on = False
            print(heard)
            peer.close()
            server.close()
            await asyncio.sleep(0.05)

        with asyncio.Runner(loop_factory={module}.{loop}) as runner:
            runner.run(main())
    """
    heard = []
    for module, loop in (("rasyncio", "new_event_loop"), ("asyncio", "SelectorEventLoop")):
        text = textwrap.dedent(program).format(module=module, loop=loop)
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, env=os.environ
        )
        assert done.returncode == 0, done.stderr
        heard.append(done.stdout)
    assert heard[0] == heard[1]
    assert "socket" in heard[0]


def test_audit_hooks_hear_of_the_same_sockets():
    program = (
        "import asyncio, socket, sys\n"
        "heard = []\n"
        "sys.addaudithook(lambda event, arguments: heard.append(arguments[1:])\n"
        "    if event == 'socket.__new__' else None)\n"
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    made = loop.create_future()\n"
        "    def connected(reader, writer):\n"
        "        made.set_result(writer.get_extra_info('socket').gettimeout())\n"
        "        writer.close()\n"
        "    server = await asyncio.start_server(connected, '127.0.0.1', 0)\n"
        "    heard.clear()\n"
        "    address = server.sockets[0].getsockname()\n"
        "    reader, writer = await asyncio.open_connection(*address)\n"
        "    print(await made, writer.get_extra_info('socket').gettimeout())\n"
        "    await reader.read()\n"
        "    writer.close()\n"
        "    server.close()\n"
        "    with socket.create_server(('127.0.0.1', 0)) as listening:\n"
        "        listening.setblocking(False)\n"
        "        with socket.create_connection(listening.getsockname()):\n"
        "            accepted, _ = await loop.sock_accept(listening)\n"
        "            print(accepted.gettimeout(), accepted.type)\n"
        "            accepted.close()\n"
        "asyncio.run(main())\n"
        "print([tuple(map(int, arguments)) for arguments in heard])\n"
    )

    def told(prelude):
        command = [sys.executable, "-c", prelude + program]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert told("import rasyncio; rasyncio.install()\n") == told("")
