"""One end of a connection through a bad network: `python _netns_peer.py MODULE ROLE ADDRESS TLS TASK`.

ROLE is "serve", which says when it listens and serves one client, or "connect". TASK is "talk": streams with
checksums both ways; or "wait": the link is cut in the middle, and what comes of it is printed.
"""

import asyncio
import importlib
import random
import socket
import sys

from _soak import receive, send_all
from _tls import client_context, server_context

PORT = 7777
TOTAL = 400_000


async def talk(reader, writer, seed):
    sending = asyncio.ensure_future(send_all(writer, seed, TOTAL))
    got = await receive(reader, random.Random(seed), TOTAL)
    writer.write(await sending)
    assert await reader.readexactly(32) == got, "what came is not what was sent"


async def wait(reader, writer, seed):
    """Sends until the network is gone, and then waits for the kernel to give up."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    writer.write(b"x" * 1_000_000)
    for what, call in (("drain", writer.drain), ("read", lambda: reader.read(10))):
        try:
            print(what, await asyncio.wait_for(call(), 30))
        except TimeoutError as error:
            # The kernel's ETIMEDOUT is a TimeoutError, too.
            print(what, "errno", error.errno)
        except OSError as error:
            print(what, "errno", error.errno)
    writer.close()
    try:
        await writer.wait_closed()
    except OSError as error:
        print("closed", error.errno)


async def serve(aio, address, tls, task):
    done = asyncio.get_running_loop().create_future()

    async def client(reader, writer):
        try:
            await TASKS[task](reader, writer, 1)
            if task == "talk":
                await reader.read(1)
            writer.close()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    server = await aio.start_server(client, address, PORT, ssl=server_context() if tls else None)
    print("listening", flush=True)
    await done
    server.close()


async def connect(aio, address, tls, task):
    options = {"ssl": client_context(), "server_hostname": "localhost"} if tls else {}
    reader, writer = await aio.open_connection(address, PORT, **options)
    await TASKS[task](reader, writer, 2)
    if task == "talk":
        writer.close()
        await writer.wait_closed()
        print("done")


TASKS = {"talk": talk, "wait": wait}


def main(module, role, address, tls, task):
    aio = importlib.import_module(module)
    with aio.Runner(loop_factory=aio.new_event_loop) as runner:
        runner.run({"serve": serve, "connect": connect}[role](aio, address, tls == "tls", task))


if __name__ == "__main__":
    main(*sys.argv[1:])
