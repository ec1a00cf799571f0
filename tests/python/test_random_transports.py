"""Random calls on a transport while its peer does random things and its protocol raises: the same events on stock
asyncio's loop and on ours."""

import asyncio
import difflib
import random
import socket

import pytest
from _faults import Driven, pair, settled
from _sockets import Buffered, Log, Recorder

import rasyncio

#: What fits into the kernel's buffers whatever was sent before, and what never does.
SMALL, LARGE = (0, 1, 100), 700_000

METHODS = ("data_received", "get_buffer", "buffer_updated", "eof_received", "pause_writing", "resume_writing")


class Play:
    """One program on one loop. What it does depends on the seed, and on nothing that the loop does."""

    def __init__(self, seed, loop):
        self.rng = random.Random(seed)
        self.log = Log()
        self.driven = Driven(loop)
        loop.set_exception_handler(self.report)

    def report(self, loop, context):
        self.log("handler:", context["message"].partition("(")[0], repr(context.get("exception")))

    def run(self):
        with self.driven:
            kind = self.rng.choice((Recorder, Buffered))
            then = {method: self.raising(method) for method in METHODS if self.rng.random() < 0.08}
            if self.rng.random() < 0.3:
                then["eof_received"] = lambda recorder: True
            near, self.far = pair()
            self.recorder = self.driven.run(self.connect(lambda: kind(self.log, **then), near))
            self.transport = self.recorder.transport
            for _ in range(self.rng.randint(3, 25)):
                names = [name.removeprefix("do_") for name in dir(self) if name.startswith("do_")]
                self.step(self.rng.choices(names, [WEIGHTS.get(name, 1) for name in names])[0])
                if self.rng.random() < 0.7:
                    self.settle()
            self.settle()
            if not self.is_lost():
                self.transport.abort()
            self.settle()
            self.log("at the end", bytes(self.recorder.received), self.recorder.lost)
            self.far.close()
        return list(self.log)

    async def connect(self, factory, sock):
        _, protocol = await asyncio.get_running_loop().create_connection(factory, sock=sock)
        return protocol

    def raising(self, method):
        error = self.rng.choice((ValueError, KeyboardInterrupt, asyncio.CancelledError))
        if method == "resume_writing" and error is KeyboardInterrupt:
            error = ValueError  # Stock asyncio then spins.

        def raises(recorder):
            raise error("expected")

        return raises

    def settle(self):
        # What escapes is in the log of both.
        try:
            self.driven.loop.run_until_complete(settled())
        except BaseException as error:
            self.log("escaped", repr(error))

    def is_lost(self):
        return self.recorder.lost.done()

    def step(self, name):
        self.log("---", name)
        if self.is_lost():
            return
        try:
            getattr(self, f"do_{name}")()
        except BaseException as error:
            # 3.11 makes one write of several.
            self.log(type(error).__name__, str(error).replace("writelines", "write"))

    def data(self):
        size = LARGE if self.rng.random() < 0.15 else self.rng.choice(SMALL)
        return self.rng.choice((bytes, bytearray, memoryview))(bytes(size))

    # Steps -----------------------------------------------------------------------------------------

    def do_write(self):
        self.transport.write(self.data())

    def do_writelines(self):
        # Not large ones in a row: how much of each goes out is the version's affair. Nor empty ones, which
        # stock asyncio takes for something that waits; nor when it is closing, where that fails in stock asyncio.
        chunks = [bytes(self.rng.choice(SMALL[1:])) for _ in range(self.rng.randint(1, 4))]
        if not self.transport.is_closing():
            self.transport.writelines(chunks)

    def do_write_eof(self):
        self.transport.write_eof()

    def do_close(self):
        self.transport.close()

    def do_abort(self):
        self.transport.abort()

    def do_pause(self):
        self.transport.pause_reading()

    def do_resume(self):
        # Stock asyncio tells of an end again that came before.
        if "eof_received" not in self.log:
            self.transport.resume_reading()

    def do_look(self):
        transport = self.transport
        waits = transport.get_write_buffer_size() > 0
        self.log(transport.is_closing(), transport.is_reading(), waits, transport.get_write_buffer_limits())

    def do_limits(self):
        high = self.rng.choice((None, 0, 200_000, -1))
        self.transport.set_write_buffer_limits(high, self.rng.choice((None, 0, 100_000)))

    def do_far_sends(self):
        self.far.send(bytes(self.rng.choice((1, 10, 1000))))

    def do_far_reads_all(self):
        while True:
            try:
                if not self.far.recv(1 << 20):
                    self.log("far is at the end")
                    return
            except BlockingIOError:
                self.settle()
                if self.is_lost() or self.transport.get_write_buffer_size() == 0:
                    return

    def do_far_ends(self):
        self.far.shutdown(socket.SHUT_WR)

    def do_far_closes(self):
        self.far.close()


WEIGHTS = {"write": 5, "far_sends": 5, "far_reads_all": 3, "writelines": 2, "abort": 0.3, "close": 0.5}
WEIGHTS |= {"far_closes": 0.4, "far_ends": 0.5, "write_eof": 0.5}




def differing(seed):
    ours = Play(seed, rasyncio.new_event_loop()).run()
    stock = Play(seed, asyncio.SelectorEventLoop()).run()
    return "\n".join(difflib.unified_diff(stock, ours, "stock asyncio", "rasyncio", lineterm="", n=20))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_the_same_is_told(first):
    for seed in range(first, first + 20):
        found = differing(seed)
        assert not found, f"{seed}:\n{found}"


@pytest.mark.slow
def test_two_thousand_programs():
    for seed in range(2000):
        found = differing(seed)
        assert not found, f"{seed}:\n{found}"
