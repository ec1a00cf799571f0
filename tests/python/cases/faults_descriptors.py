"""Descriptors that are closed, used again or taken away while a transport or the loop still has them."""

import asyncio
import gc
import os
import socket
import warnings
import weakref

from _case import since
from _faults import Driven, Recorder, connect, pair, received, say, settled


def hurt(act, then):
    """A connection whose descriptor something happens to, and what is done with it after that."""
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        recorder = driven.run(connect(lambda: Recorder(say), near))
        kept = act(near)
        for step in then:
            step(driven, recorder, far)
            driven.settle()
        recorder.transport.abort()
        driven.settle()
        say(recorder.lost)
        far.close()
        return kept


def closes(near):
    os.close(near.fileno())


def closes_the_socket(near):
    near._sock.close() if hasattr(near, "_sock") else near.close()


def detaches(near):
    return socket.socket(fileno=near.detach())


def writes(driven, recorder, far):
    try:
        recorder.transport.write(b"x")
    except OSError as error:
        say("write raised", repr(error))


def writes_lines(driven, recorder, far):
    try:
        recorder.transport.writelines([b"x", b"y"])
    except OSError as error:
        say("writelines raised", repr(error))


def pauses(driven, recorder, far):
    recorder.transport.pause_reading()


def resumes(driven, recorder, far):
    try:
        recorder.transport.resume_reading()
    except (OSError, ValueError) as error:
        say("resume_reading raised", repr(error))


def ends(driven, recorder, far):
    try:
        recorder.transport.write_eof()
    except OSError as error:
        say("write_eof raised", repr(error))


def finishes(driven, recorder, far):
    recorder.transport.close()


def far_sends(driven, recorder, far):
    try:
        far.send(b"hello")
    except OSError as error:
        say("send raised", repr(error))


def far_closes(driven, recorder, far):
    far.close()


def case_closed_number():
    # Stock asyncio does not notice that it has closed it.
    warnings.simplefilter("ignore", ResourceWarning)
    for then in ([writes], [writes_lines], [ends], [finishes], [pauses, resumes], [far_sends], [far_closes]):
        print("---", [step.__name__ for step in then])
        hurt(closes, then)


def case_closed_socket():
    for then in ([writes], [writes_lines], [ends], [finishes], [pauses, resumes], [far_sends], [far_closes]):
        print("---", [step.__name__ for step in then])
        hurt(closes_the_socket, then)


def case_detached_socket():
    for then in ([writes], [writes_lines], [ends], [finishes], [pauses, resumes], [far_closes]):
        print("---", [step.__name__ for step in then])
        hurt(detaches, then).close()


def case_a_transport_of_a_closed_socket():
    for shut in (socket.socket.close, socket.socket.detach):
        with Driven(asyncio.new_event_loop()) as driven:
            near, far = pair()
            number = near.fileno()
            shut(near)
            driven.run(connect(lambda: Recorder(say), near))
            if shut is socket.socket.detach:
                os.close(number)
            far.close()


@since(3, 12)
def case_two_transports_of_one_socket():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        recorder = driven.run(connect(lambda: Recorder(say), near))
        driven.run(refused(lambda: connect(lambda: Recorder(say), near)))
        far.send(b"for the first")
        driven.settle()
        recorder.transport.abort()
        driven.settle()
        far.close()


async def refused(call):
    try:
        await call()
    except RuntimeError as error:
        say("RuntimeError", "is used by transport" in str(error))


def case_a_number_under_a_transport_is_another_file():
    """`dup2` over it: what was watched is gone, and nobody is told."""
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        other, other_far = pair()
        recorder = driven.run(connect(lambda: Recorder(say), near))
        os.dup2(other.fileno(), near.fileno())
        say(received(far))
        other_far.send(b"through the other one")
        driven.settle()
        recorder.transport.pause_reading()
        recorder.transport.resume_reading()
        driven.settle()
        recorder.transport.write(b"back")
        driven.settle()
        say(received(other_far))
        recorder.transport.close()
        driven.settle()
        for sock in (far, other, other_far):
            sock.close()


def case_readers_whose_number_is_closed():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        number = near.fileno()
        driven.loop.add_reader(number, print, "readable")
        near.close()
        driven.settle()
        say(driven.loop.remove_reader(number), driven.loop.remove_reader(number))
        far.close()


def case_readers_whose_socket_is_closed():
    with Driven(asyncio.new_event_loop()) as driven:
        for add, remove in (
            (driven.loop.add_reader, driven.loop.remove_reader),
            (driven.loop.add_writer, driven.loop.remove_writer),
        ):
            near, far = pair()
            add(near, print, "ready")
            near.close()
            driven.settle()
            for _ in range(2):
                try:
                    say(remove(near))
                except ValueError as error:
                    say(repr(error))
            far.close()


def case_a_watched_socket_is_kept():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        kept = weakref.ref(near)
        number = near.fileno()
        driven.loop.add_reader(near, lambda: driven.loop.remove_reader(number))
        del near
        gc.collect()
        say(kept() is not None)
        far.send(b"x")
        warnings.simplefilter("ignore", ResourceWarning)
        driven.settle()
        gc.collect()
        say(kept() is None, received(far))
        far.close()


def case_a_watched_socket_goes_with_its_loop():
    warnings.simplefilter("ignore", ResourceWarning)
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        kept = weakref.ref(near)
        driven.loop.add_reader(near, print)
        del near
    gc.collect()
    say(kept() is None, received(far))
    far.close()


def case_bad_descriptors():
    class Broken:
        def __init__(self, answer):
            self.answer = answer

        def fileno(self):
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

        def __repr__(self):
            return "<Broken>"

    class Index:
        def __int__(self):
            return 10**6

    closed = socket.socket()
    closed.close()
    bad = [-1, 10**6, None, "text", 1.5, object(), closed, Broken(-1), Broken("text"), Broken(None)]
    bad += [Broken(OSError("expected")), Broken(ValueError("expected")), Broken(Index()), Broken(1.5e6), Broken("-7")]
    with Driven(asyncio.new_event_loop()) as driven:
        for method in ("add_reader", "add_writer", "remove_reader", "remove_writer"):
            for fd in bad:
                arguments = (print,) if method.startswith("add") else ()
                try:
                    answer = getattr(driven.loop, method)(fd, *arguments)
                    say(method, type(fd).__name__, "answers", type(answer).__name__)
                except BaseException as error:
                    text = "Invalid file object" if "Invalid file object" in str(error) else str(error)
                    say(method, type(fd).__name__, type(error).__name__, text)
        driven.loop.remove_reader(1)
        driven.loop.remove_writer(1)


def case_a_regular_file():
    with Driven(asyncio.new_event_loop()) as driven, open(__file__, "rb") as file:
        for method in (driven.loop.add_reader, driven.loop.add_writer):
            try:
                method(file, print)
            except OSError as error:
                say(repr(error))
        say(driven.loop.remove_reader(file))


def case_both_sides_of_one_number():
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair()
        loop = driven.loop
        loop.add_reader(near, lambda: (say("readable"), loop.remove_reader(near)))
        loop.add_writer(near, lambda: (say("writable"), loop.remove_writer(near)))
        far.send(b"x")
        driven.settle()
        loop.add_reader(near, print, "first")
        loop.add_reader(near, lambda: (say("second"), loop.remove_reader(near)))
        driven.settle()
        near.close()
        far.close()


def case_a_server_whose_socket_is_closed():
    warnings.simplefilter("ignore", ResourceWarning)
    with Driven(asyncio.new_event_loop()) as driven:
        loop = driven.loop
        listener = socket.create_server(("127.0.0.1", 0))
        server = driven.run(loop.create_server(lambda: Recorder(say), sock=listener))
        address = listener.getsockname()
        driven.settle()
        listener.close()
        driven.settle()
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError as error:
            say(error)
        driven.settle()
        server.close()
        driven.settle()


async def case_a_stream_whose_socket_is_closed():
    near, far = pair()
    reader, writer = await asyncio.open_connection(sock=near)
    waiting = asyncio.ensure_future(reader.read(10))
    await settled()
    os.close(near.fileno())
    writer.write(b"x")
    try:
        say(await asyncio.wait_for(waiting, 1))
    except OSError as error:
        say(repr(error))
    try:
        await writer.drain()
    except OSError as error:
        say(repr(error))
    writer.close()
    try:
        await writer.wait_closed()
    except OSError as error:
        say(repr(error))
    far.close()


async def case_a_socket_closed_while_it_is_waited_for():
    """Nobody tells the waiting; cancelled, it goes."""
    loop = asyncio.get_running_loop()
    for make in (
        lambda near: loop.sock_recv(near, 10),
        lambda near: loop.sock_recv_into(near, bytearray(10)),
        lambda near: loop.sock_sendall(near, b"x" * 1_000_000),
    ):
        near, far = pair()
        waiting = asyncio.ensure_future(make(near))
        await settled()
        near.close()
        await settled()
        say(waiting.done())
        waiting.cancel()
        await asyncio.wait([waiting])
        say(waiting)
        far.close()


async def case_sock_methods_of_closed_sockets():
    loop = asyncio.get_running_loop()
    closed = socket.socket()
    closed.setblocking(False)
    closed.close()
    for call in (
        lambda: loop.sock_recv(closed, 10),
        lambda: loop.sock_recv_into(closed, bytearray(10)),
        lambda: loop.sock_recvfrom(closed, 10),
        lambda: loop.sock_recvfrom_into(closed, bytearray(10)),
        lambda: loop.sock_sendall(closed, b"x"),
        lambda: loop.sock_sendto(closed, b"x", ("127.0.0.1", 9)),
        lambda: loop.sock_connect(closed, ("127.0.0.1", 9)),
        lambda: loop.sock_accept(closed),
    ):
        try:
            say(await call())
        except (OSError, ValueError) as error:
            say(repr(error))
