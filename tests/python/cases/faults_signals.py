"""SIGINT while the loop reads, writes, accepts, connects or shakes hands: who is told, and that nothing is lost."""

import asyncio
import hashlib
import random
import signal
import socket
import threading

from _faults import Driven, Recorder, connect, pair, say, settled
from _tls import client_context, connecting, server_context


def interrupt(sig, frame):
    raise KeyboardInterrupt("expected")


def interrupted(driven, awaitable=None):
    """Runs it, and has the interpreter interrupted from outside while the loop sleeps. Answers its task."""
    old = signal.signal(signal.SIGINT, interrupt)
    main = threading.main_thread().ident
    timer = threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGINT))
    task = asyncio.ensure_future(awaitable or driven.loop.create_future(), loop=driven.loop)
    driven.loop.call_soon(timer.start)
    try:
        driven.run(task)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, old)
    return task


def case_reading_by_streams():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        reader, writer = driven.run(asyncio.open_connection(sock=near))
        task = interrupted(driven, reader.readexactly(10))
        say(task.done())
        far.send(b"0123456789")
        say(driven.run(task))
        writer.close()
        far.close()
        driven.settle()


def case_reading_by_socket_methods():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        task = interrupted(driven, driven.loop.sock_recv(near, 10))
        far.send(b"0123456789")
        say(driven.run(task))
        near.close()
        far.close()


def case_writing():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        recorder = driven.run(connect(lambda: Recorder(say), near))
        recorder.transport.write(b"x" * 500_000)
        interrupted(driven)
        got = 0
        while got < 500_000:
            try:
                got += len(far.recv(1 << 20))
            except BlockingIOError:
                driven.settle()
        say(got, recorder.lost)
        recorder.transport.close()
        driven.settle()
        far.close()


def case_writing_by_socket_methods():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        task = interrupted(driven, driven.loop.sock_sendall(near, b"x" * 500_000))
        got = 0
        while got < 500_000:
            try:
                got += len(far.recv(1 << 20))
            except BlockingIOError:
                driven.settle()
        say(driven.run(task), got)
        near.close()
        far.close()


def case_accepting():
    with Driven(asyncio.new_event_loop()) as driven:
        made = []

        def factory():
            made.append(Recorder(say))
            return made[-1]

        server = driven.run(driven.loop.create_server(factory, "127.0.0.1", 0))
        interrupted(driven)
        with socket.create_connection(server.sockets[0].getsockname()) as peer:
            peer.send(b"hello")
            driven.settle()
            driven.settle()
        driven.settle()
        say(len(made))
        server.close()
        driven.settle()


def case_serving_for_ever():
    with Driven(asyncio.new_event_loop()) as driven:
        server = driven.run(driven.loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
        task = interrupted(driven, server.serve_forever())
        say(server.is_serving(), task.done())
        task.cancel()
        driven.run(asyncio.wait([task]))
        say(server.is_serving(), task)


def case_connecting():
    """The backlog is full, so connecting takes for ever."""
    with socket.socket() as listener, Driven(asyncio.new_event_loop()) as driven:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            task = interrupted(driven, asyncio.open_connection(*listener.getsockname()))
            say(task.done())
            task.cancel()
            driven.run(asyncio.wait([task]))
            say(task.cancelled())


def case_shaking_hands():
    with Driven(asyncio.new_event_loop()) as driven:
        task, peer = driven.run(connecting(lambda: Recorder(quiet)))
        interrupted(driven)
        say(task.done())
        driven.run(peer.handshake())
        _, recorder = driven.run(task)
        driven.run(peer.write(b"after the handshake"))
        driven.settle()
        say(bytes(recorder.received))
        recorder.transport.abort()
        driven.settle()
        peer.close()


def quiet(*what):
    pass


def case_interrupted_from_a_callback():
    """In the middle of a turn: the callbacks that follow run when the loop runs again."""
    old = signal.signal(signal.SIGINT, interrupt)
    try:
        with Driven(asyncio.new_event_loop()) as driven:
            near, far = pair()
            recorder = driven.run(connect(lambda: Recorder(say), near))
            far.send(b"hello")
            driven.loop.call_soon(print, "before")
            driven.loop.call_soon(signal.raise_signal, signal.SIGINT)
            driven.loop.call_soon(print, "after")
            driven.run(asyncio.sleep(0.001))
            driven.settle()
            say(bytes(recorder.received))
            recorder.transport.abort()
            driven.settle()
            far.close()
    finally:
        signal.signal(signal.SIGINT, old)


def case_interrupted_in_each_method():
    """A protocol's method is where the interpreter notices: what it was told is not told again."""
    old = signal.signal(signal.SIGINT, interrupt)
    try:
        for method in ("connection_made", "data_received", "eof_received", "connection_lost"):
            print("---", method)
            left = [signal.SIGINT]

            def act(self, left=left):
                if left:
                    signal.raise_signal(left.pop())

            with Driven(asyncio.new_event_loop()) as driven:
                near, far = pair()
                made = []

                def factory(method=method, act=act, made=made):
                    made.append(Recorder(say, **{method: act}))
                    return made[0]

                driven.run(connect(factory, near))
                driven.settle()
                far.send(b"hello")
                driven.settle()
                far.shutdown(socket.SHUT_WR)
                driven.settle()
                recorder = made[0]
                say(bytes(recorder.received), recorder.lost)
                if not recorder.lost.done():
                    recorder.transport.abort()
                driven.settle()
                far.close()
    finally:
        signal.signal(signal.SIGINT, old)


def case_the_runner_cancels_the_main_task():
    async def main(what):
        near, far = pair()
        reader, writer = await asyncio.open_connection(sock=near)
        asyncio.get_running_loop().call_later(0.005, signal.raise_signal, signal.SIGINT)
        try:
            if what == "read":
                await reader.read(10)
            elif what == "drain":
                writer.write(b"x" * 1_000_000)
                await writer.drain()
            elif what == "recv":
                await asyncio.get_running_loop().sock_recv(far, 10)
        except asyncio.CancelledError:
            say(what, "cancelled")
            writer.write(b"a farewell")
            await settled()
            say(far.recv(5))
            raise
        finally:
            writer.transport.abort()
            await settled()
            far.close()

    for what in ("read", "drain", "recv"):
        try:
            asyncio.run(main(what))
        except KeyboardInterrupt as error:
            say(repr(error))


def case_a_storm_of_signals():
    """A signal every half millisecond, in both directions of a plain and of a TLS connection."""
    storm(None)


def case_a_storm_of_signals_over_tls():
    storm(server_context())


def storm(context):
    caught = []
    old = signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        asyncio.run(duplex(context))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    say(len(caught) > 10)


async def duplex(context):
    far = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda *ends: far.set_result(ends), "127.0.0.1", 0, ssl=context)
    options = {"ssl": client_context(), "server_hostname": "localhost"} if context else {}
    near = await asyncio.open_connection(*server.sockets[0].getsockname(), **options)
    far = await far
    results = await asyncio.gather(
        send(near[1], 1), receive(far[0]), send(far[1], 2), receive(near[0])
    )
    say(results[0] == results[1], results[2] == results[3])
    for _, writer in (near, far):
        writer.close()
    server.close()
    await settled()


async def send(writer, seed, total=1_500_000):
    rng = random.Random(seed)
    digest = hashlib.sha256()
    writer.write(total.to_bytes(8, "big"))
    while total:
        data = rng.randbytes(min(total, rng.choice((1, 100, 3000, 70_000))))
        total -= len(data)
        digest.update(data)
        writer.write(data)
        await writer.drain()
    return digest.hexdigest()


async def receive(reader):
    digest = hashlib.sha256()
    left = int.from_bytes(await reader.readexactly(8), "big")
    while left and (data := await reader.read(min(left, 50_000))):
        left -= len(data)
        digest.update(data)
    return digest.hexdigest()
