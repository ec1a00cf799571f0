"""TLS connections for tests: contexts, and a peer that does as it is told."""

import asyncio
import contextlib
import functools
import socket
import ssl
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("localhost.pem")
#: Of `stranger.test`, whom nobody trusts.
STRANGER = Path(__file__).with_name("stranger.pem")


@functools.cache
def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@functools.cache
def client_context():
    return ssl.create_default_context(cafile=CERTIFICATE)


class Peer:
    """The other end of a connection: a session over a socket, which does nothing by itself."""

    def __init__(self, sock, server_side=True, context=None, hostname="localhost", session=None):
        sock.setblocking(False)
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if context is None:
            context = server_context() if server_side else client_context()
        self.session = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=server_side,
            server_hostname=None if server_side else hostname,
            session=session,
        )

    def take(self):
        """What the session has to say, which has not been sent."""
        return self.outgoing.read()

    async def send(self, piece=1 << 20):
        """Sends that, so many bytes at a time."""
        loop = asyncio.get_running_loop()
        data = self.take()
        for start in range(0, len(data), piece):
            await loop.sock_sendall(self.sock, data[start : start + piece])
            if piece < len(data):
                await asyncio.sleep(0)

    async def until(self, step, piece=1 << 20):
        """Calls a method of the session until it is done with it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self.send(piece)
                data = await loop.sock_recv(self.sock, 65536)
                if not data:
                    raise EOFError from None
                self.incoming.write(data)
            except ssl.SSLError:
                # The other end is told what is wrong, if it is there.
                with contextlib.suppress(OSError):
                    await self.send(piece)
                raise
            else:
                await self.send(piece)
                return result

    async def handshake(self, piece=1 << 20):
        await self.until(self.session.do_handshake, piece)

    async def write(self, data, piece=1 << 20):
        data = memoryview(data)
        while data:
            data = data[self.session.write(data) :]
        await self.send(piece)

    async def read(self):
        """Data, and b"" at the end of it."""
        return await self.until(lambda: self.session.read(65536))

    async def unwrap(self):
        await self.until(self.session.unwrap)

    def close(self):
        self.sock.close()


async def connecting(factory, server_side=False, context=None, peer=None, **options):
    """A connection of the loop's that is being made, as a task, and its other end.

    `context` is the connection's own, and `peer` has the arguments of its `Peer`.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    if server_side:
        context = context or server_context()
        made = loop.connect_accepted_socket(factory, ours, ssl=context, **options)
    else:
        options.setdefault("server_hostname", "localhost")
        context = context or client_context()
        made = loop.create_connection(factory, sock=ours, ssl=context, **options)
    return asyncio.ensure_future(made), Peer(theirs, not server_side, **peer or {})


async def secured(factory, server_side=False, **options):
    """One whose handshake is done: the protocol, and the other end."""
    task, peer = await connecting(factory, server_side, **options)
    await peer.handshake()
    _, protocol = await task
    return protocol, peer
