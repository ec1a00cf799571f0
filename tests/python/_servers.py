"""What the tests of servers are made of."""

import asyncio
import socket

from _sockets import Recorder, settled

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
