"""What the cases about failing networks (`cases/faults_*.py`) are made of. All print; none knows whose loop it is."""

import asyncio
import os
import socket
import struct
import weakref

from _sockets import Recorder, told


def say(*what):
    print(*map(told, what))


def report(loop, context):
    keys = sorted(context.keys() - {"source_traceback"})
    print("handler:", keys, context["message"].partition("(")[0], repr(context.get("exception")))


class Driven:
    """A loop that is driven in pieces, so that what escapes from one of them ends nothing."""

    def __init__(self, loop):
        self.loop = loop
        loop.set_exception_handler(report)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.close()

    def run(self, awaitable):
        """Runs the loop until it is done, or until something escapes, which is printed."""
        try:
            return self.loop.run_until_complete(awaitable)
        except BaseException as error:
            say("escaped:", repr(error))

    def settle(self):
        self.run(settled())


#: A descriptor that is always readable.
_READY = os.eventfd(1)


async def settled():
    """Long enough for whatever is ready to be read, written, and told."""
    await _polls(3)
    # The kernel may take its time to hand on what goes through TCP.
    await asyncio.sleep(0.001)
    await _polls(3)


#: By loop, who waits for the next poll.
_waiting = weakref.WeakKeyDictionary()


async def _polls(count):
    """The loop asks the kernel so many times what is ready."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        if loop not in _waiting:
            _waiting[loop] = []
            loop.add_reader(_READY, _polled, loop)
        _waiting[loop].append(loop.create_future())
        await _waiting[loop][-1]


def _polled(loop):
    loop.remove_reader(_READY)
    for future in _waiting.pop(loop):
        if not future.done():
            future.set_result(None)


def pair(kind="unix"):
    """Two ends of a connection; neither blocks, and not much fits in between."""
    if kind == "unix":
        ends = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            # Before it connects, for it decides what is offered to the other end.
            far = socket.socket()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            far.connect(listener.getsockname())
            ends = listener.accept()[0], far
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        end.setblocking(False)
    return ends


def reset(sock):
    """Closes it so that the other end gets a reset: at once, or, of a Unix socket, when it left data unread."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def received(sock):
    """What there is to be read, as text that does not depend on how much came at once."""
    got = bytearray()
    try:
        while data := sock.recv(1 << 20):
            got += data
    except BlockingIOError:
        return told(got)
    except OSError as error:
        return f"{told(got)}, then {error!r}"
    return f"{told(got)}, then the end"


async def connect(factory, sock):
    """A transport of a connected socket, whatever its `connection_made` does."""
    transport, protocol = await asyncio.get_running_loop().create_connection(factory, sock=sock)
    return protocol


__all__ = ["Driven", "Recorder", "connect", "pair", "received", "report", "reset", "say", "settled"]
