"""A protocol raises in each of its methods, ordinary errors and those that end a program: the loop goes on."""

import asyncio
import socket
import warnings

from _faults import Driven, connect, pair, received, report, say
from _sockets import Buffered, Recorder

#: Of what an error holds, stock asyncio closes some later, when the error goes.
WARNS_LATER = "ignore", "unclosed", ResourceWarning


class Odd(BaseException):
    pass


ERRORS = (ValueError, asyncio.CancelledError, KeyboardInterrupt, SystemExit, Odd)
SOME = (ValueError, KeyboardInterrupt)


def once(error):
    """Raises the first time that it is called."""
    left = [error]

    def act(self):
        if left:
            raise left.pop()("expected")

    return act


def always(error):
    def act(self):
        raise error("expected")

    return act


def live(protocol, method, action, kind="unix", **more):
    """A connection from its beginning to its end, in which one method raises."""
    with Driven(asyncio.new_event_loop()) as driven:
        near, far = pair(kind)
        made = []

        def factory():
            made.append(protocol(say, **{method: action}, **more))
            return made[0]

        driven.run(connect(factory, near))
        driven.settle()
        recorder = made[0]
        # What connection_made has raised keeps nobody from having the transport.
        transport = recorder.transport
        tell(far, b"hello")
        driven.settle()
        say("got", bytes(recorder.received), transport.is_closing(), transport.is_reading())
        transport.write(b"x" * 300_000)
        driven.settle()
        say("waiting", transport.get_write_buffer_size() > 0)
        tell(far, b"again")
        driven.settle()
        for _ in range(100):
            received(far)
            driven.settle()
            if transport.get_write_buffer_size() == 0:
                break
        say("got", bytes(recorder.received), transport.get_write_buffer_size())
        try:
            far.shutdown(socket.SHUT_WR)
        except OSError:
            say("there is nobody")
        driven.settle()
        # When close() has sent what waited, stock asyncio fails to write or abort.
        if not recorder.lost.done():
            transport.write(b"after the end")
        driven.settle()
        # Of a TCP connection that failed, the kernel has sent as much as it liked.
        say("far got", received(far) if kind == "unix" else "something", transport.is_closing())
        if not recorder.lost.done():
            transport.abort()
        driven.settle()
        driven.settle()
        say("lost", recorder.lost, near.fileno())
        far.close()


def tell(peer, data):
    try:
        peer.send(data)
    except OSError:
        say("there is nobody")


def each(protocol, method, errors=ERRORS, **more):
    for error in errors:
        print("---", method, error.__name__, more)
        live(protocol, method, once(error), **more)


def case_connection_made():
    each(Recorder, "connection_made")


def case_data_received():
    each(Recorder, "data_received")


def case_eof_received():
    each(Recorder, "eof_received")


def case_pause_writing():
    each(Recorder, "pause_writing")


def case_resume_writing():
    each(Recorder, "resume_writing")


def case_connection_lost():
    each(Recorder, "connection_lost")


def case_get_buffer():
    each(Buffered, "get_buffer")


def case_buffer_updated():
    each(Buffered, "buffer_updated")


def case_eof_received_of_a_buffered_one():
    each(Buffered, "eof_received", SOME)


def case_over_tcp():
    for method in ("connection_made", "data_received", "eof_received", "connection_lost"):
        each(Recorder, method, SOME, kind="tcp")
    for method in ("get_buffer", "buffer_updated"):
        each(Buffered, method, SOME, kind="tcp")


def case_always():
    """Every method that is called raises, every time."""
    for error in (ValueError, KeyboardInterrupt):
        for method in ("data_received", "pause_writing", "resume_writing"):
            print("---", method, error.__name__)
            live(Recorder, method, always(error))


def case_bad_buffers():
    bad = {
        "empty": bytearray(),
        "read-only": b"read-only",
        "no buffer": 5,
        "none": None,
        "text": "text",
        "a part": memoryview(bytearray(10))[:0],
        "one byte": bytearray(1),
        "holes": memoryview(bytearray(10))[::2],
        "wide": memoryview(bytearray(16)).cast("I"),
        "locked": memoryview(bytearray(10)).toreadonly(),
    }
    for name, buffer in bad.items():
        print("---", name)
        live(Buffered, "buffer", lambda self, buffer=buffer: buffer)


def case_a_buffer_that_is_released():
    def released(self):
        view = memoryview(bytearray(10))
        view.release()
        return view

    live(Buffered, "buffer", released)


def case_factory():
    for error in ERRORS:
        print("---", error.__name__)
        with Driven(asyncio.new_event_loop()) as driven:

            def factory(error=error):
                raise error("expected")

            near, far = pair()
            driven.run(connect(factory, near))
            driven.settle()
            say(near.fileno() >= 0, received(far))
            near.close()
            far.close()


def case_factory_of_nonsense():
    warnings.filterwarnings(*WARNS_LATER)
    for nonsense in (None, 5, object()):
        with Driven(asyncio.new_event_loop()) as driven:
            near, far = pair()
            driven.run(asyncio.wait_for(connect(lambda nonsense=nonsense: nonsense, near), 0.02))
            driven.settle()
            far.close()
            driven.settle()
            near.close()


def case_accepted():
    """The factory of a server, and connection_made of what it has accepted."""
    warnings.filterwarnings(*WARNS_LATER)
    for error in ERRORS:
        for place in ("factory", "connection_made"):
            print("---", error.__name__, place)
            with Driven(asyncio.new_event_loop()) as driven:
                serve(driven, error, place)


def serve(driven, error, place):
    loop = driven.loop
    loop.set_exception_handler(not_of_tasks)
    made = []
    raising = once(error)

    def factory():
        if place == "factory":
            raising(None)
        made.append(Recorder(say, connection_made=raising if place == "connection_made" else lambda self: None))
        return made[-1]

    server = driven.run(loop.create_server(factory, "127.0.0.1", 0))
    peers = []
    for _ in range(2):
        peers.append(socket.create_connection(server.sockets[0].getsockname()))
        driven.settle()
        driven.settle()
        peers[-1].send(b"hello")
        driven.settle()
        peers[-1].setblocking(False)
    say(len(made), [bytes(recorder.received) for recorder in made], received(peers[-1]))
    for peer in peers:
        peer.close()
    driven.settle()
    server.close()
    driven.settle()


def not_of_tasks(loop, context):
    """Errors of tasks are told when the tasks go."""
    if "task" not in context and "future" not in context:
        report(loop, context)


def case_writing_in_every_method():
    """Each method writes, pauses, resumes, closes: nothing of it is lost, and nothing is told twice."""

    def writes(self):
        self.transport.write(b".")

    def pauses(self):
        self.transport.pause_reading()
        self.transport.resume_reading()

    def closes(self):
        self.transport.close()

    def aborts(self):
        self.transport.abort()

    def forgets(self):
        self.transport.set_protocol(Recorder(lambda *what: say("the next:", *what)))

    for act in (writes, pauses, closes, aborts, forgets):
        for method in ("connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"):
            if method == "resume_writing" and act in (closes, aborts):
                continue  # Stock asyncio then ends the connection twice.
            print("---", method, act.__name__)
            live(Recorder, method, acting_once(act))
        for method in ("get_buffer", "buffer_updated"):
            print("---", method, act.__name__)
            live(Buffered, method, acting_once(act))
    for act in (writes, closes, aborts):
        print("--- connection_lost", act.__name__)
        live(Recorder, "connection_lost", acting_once(act))


def acting_once(act):
    left = [act]

    def once(self):
        if left:
            left.pop()(self)

    return once
