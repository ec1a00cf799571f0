"""Where datagrams go and where they come from: addresses that are taken, refused and told."""

import socket
import tempfile

from _datagrams import ended, endpoint, plain, same
from _sockets import settled


def test_addresses_that_are_refused():
    async def scenario(log):
        other, address = plain()
        connected = await endpoint(log, remote_addr=address)
        for wrong in (("127.0.0.1", 1), "nobody", (), 0):
            try:
                connected.transport.sendto(b"x", wrong)
            except ValueError as error:
                log(error)
        await ended(connected)
        for wrong in (
            None,
            5,
            (),
            ("127.0.0.1",),
            ("127.0.0.1", "1"),
            ("127.0.0.1", 65536),
            ("127.0.0.1", -1),
            ("127.0.0.1", 1.0),
            ("127.0.0.1", 1, 2),
            ("::1", 1),
            ("no such name.invalid", 1),
            ("127.0.0.1\0", 1),
            (b"127.0.0.1", address[1]),
            ("1" * 200, 1),
            "path",
        ):
            recorder = await endpoint(log, family=socket.AF_INET)
            log(wrong)
            try:
                recorder.transport.sendto(b"x", wrong)
            except Exception as error:
                log("raised", error)
            log(recorder.transport.is_closing())
            await ended(recorder)
        other.close()

    same(scenario)


def test_addresses_of_version_6_that_are_refused():
    async def scenario(log):
        for wrong in (
            ("::1",),
            ("::1", 1, 2**20),
            ("::1", 1, -1),
            ("::1", 1, 0, 2**32),
            ("::1", 1, 0, 0, 0),
            ("::1%lo", 1),
            ("127.0.0.1", 1),
        ):
            recorder = await endpoint(log, family=socket.AF_INET6)
            log(wrong)
            recorder.transport.sendto(b"x", wrong)
            log(recorder.transport.is_closing())
            await ended(recorder)

    same(scenario)


def test_every_spelling_of_an_address_arrives():
    class Text(str):
        pass

    class Number(int):
        pass

    async def scenario(log):
        other, (host, port) = plain()
        recorder = await endpoint(log, family=socket.AF_INET)
        for number, spelt in enumerate(
            [
                (host, port),
                ("localhost", port),
                ("", port),
                (Text(host), Number(port)),
                (bytearray(host, "ascii"), port),
                ("127.1", port),
                ("127.000.0.1", port),
            ]
        ):
            recorder.transport.sendto(b"%d" % number, spelt)
            await settled()
            try:
                log(other.recv(100))
            except BlockingIOError:
                log("nothing came", spelt)
        await ended(recorder)
        other.close()
        other, (host, port, flow, scope) = plain("::1")
        recorder = await endpoint(log, family=socket.AF_INET6)
        for spelt in ((host, port), (host, port, flow), ("0:0:0:0:0:0:0:1", port, flow, scope)):
            recorder.transport.sendto(b"6", spelt)
            await settled()
            log(other.recv(100))
        await ended(recorder)
        other.close()

    same(scenario)


def test_unix_senders_with_and_without_a_name():
    async def scenario(log):
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            path = f"{folder}/server"
            server = await endpoint(log, family=socket.AF_UNIX, local_addr=path)
            nobody = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            named = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            named.bind(f"{folder}/named")
            hidden = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            hidden.bind("\0hidden name")
            for sock in (nobody, named, hidden, named):
                sock.sendto(b"hello", path)
                _, sender = await server.got.get()
                if sender:
                    server.transport.sendto(b"answer", sender)
                    log(sock.recv(100))
            for sock in (nobody, named, hidden):
                sock.close()
            await ended(server)

    same(scenario)
