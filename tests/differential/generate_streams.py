"""Programs of the family "streams": a few tasks that read from one or two stream readers and write with
their writers, while data, the end or an error comes, and what they wait for is cancelled.

A step about a connection is a tuple: what is done, the connection's number, and what it is done with.
Those in `AWAITED` are coroutines, those in `AT_ONCE` plain calls. The transport is the player's: it only
notes what it is asked for.
"""

import random
import sys

from .generate import TIMEOUTS_AGREE, Maker

CONNECTIONS = 2
WORKERS = 4

AWAITED = {
    "read": 6,
    "read_all": 1,
    "readexactly": 6,
    "readline": 5,
    "readuntil": 6,
    "lines": 2,
    "drain": 4,
    "wait_closed": 1,
}

AT_ONCE = {
    "feed": 14,
    "feed_eof": 0.7,
    "fail": 0.4,
    "received": 5,
    "eof_received": 0.5,
    "pause_writing": 1.5,
    "resume_writing": 2,
    "lost": 0.5,
    "write": 2,
    "writelines": 1,
    "write_eof": 0.4,
    "close": 0.5,
    "look": 3,
}

OTHERS = {
    "turn": 8,
    "sleep": 5,
    "cancel": 5,
    "spawn": 2,
    "join": 2,
    "attempt": 4,
    "timeout": 2,
    "within": 5,
    "limited": 3,
    "task": 4,
    "call_soon": 3,
    "call_later": 3,
}
if not TIMEOUTS_AGREE:
    OTHERS["limited"] = OTHERS["timeout"] = 0

_SEPARATORS = [b"\n", b"\r\n", b"aab", b"aa", b"b\nb", b"abababac"]
if sys.version_info >= (3, 13):
    _SEPARATORS += [(b"\r\n", b"\n"), (b"ab", b"aab", b"b")]


def program(seed, *, size=40):
    """The program of that number; always the same for the same `seed` and `size`."""
    chance = random.Random(f"streams {seed}")
    maker = StreamsMaker(chance, 0)
    script = []
    for number in range(chance.randint(1, WORKERS)):
        maker.left = size // 4
        script.append(("spawn", f"t{number}", maker.script(0, 8)))
        if chance.random() < 0.3:
            script.append(("turn",))
    for _ in range(chance.randint(5, 25)):
        script += maker.stir()
    return {
        "family": "streams",
        "seed": seed,
        "eager": maker.eager(),
        "limit": chance.choice([1, 3, 8, 30, 30, 65536]),
        "transport": chance.choice(["pauses", "pauses", "stubborn", "none"]),
        "script": script,
    }


class StreamsMaker(Maker):
    def __init__(self, random, size):
        super().__init__(random, size)
        weights = {**AWAITED, **AT_ONCE, **OTHERS}
        #: Each program does some things often and others seldom.
        self.taste = {kind: odds * random.choice([0.1, 1, 1, 4]) for kind, odds in weights.items()}
        self.connections = random.choice([1, 1, 1, CONNECTIONS])

    def one_of(self, weights, depth):
        return super().one_of({kind: self.taste[kind] for kind in weights}, depth)

    def step(self, depth):
        return self.one_of(self.random.choice([OTHERS, AWAITED, AWAITED, AT_ONCE]), depth)

    def stir(self):
        """Time passes, then a few things happen in one turn."""
        yield self.random.choice([("turn",), ("turn",), ("sleep", self.delay())])
        for _ in range(self.random.choice([1, 1, 2, 3])):
            if self.random.random() < 0.15:
                yield ("cancel", *self.make_cancel(0))
            else:
                yield self.one_of(AT_ONCE, 0)

    def connection(self):
        return self.random.randrange(self.connections)

    def bytes(self):
        size = self.random.choice([0, 1, 1, 2, 3, 7, 20, 100])
        return bytes(self.random.choice(b"aab\n\r") for _ in range(size))

    def make_look(self, depth):
        return (self.connection(),)

    make_readline = make_read_all = make_drain = make_wait_closed = make_look
    make_feed_eof = make_fail = make_eof_received = make_pause_writing = make_resume_writing = make_look
    make_write_eof = make_close = make_look

    def make_read(self, depth):
        return self.connection(), self.random.choice([0, 1, 2, 5, 100])

    def make_readexactly(self, depth):
        return self.connection(), self.random.choice([0, 1, 2, 5, 40])

    def make_readuntil(self, depth):
        return self.connection(), self.random.choice(_SEPARATORS)

    def make_lines(self, depth):
        return self.connection(), self.random.randint(1, 3)

    def make_feed(self, depth):
        return self.connection(), self.bytes(), self.random.choice(["bytes", "bytes", "bytearray", "memoryview"])

    make_received = make_feed

    def make_lost(self, depth):
        return self.connection(), self.random.choice([None, "Boom"])

    def make_write(self, depth):
        return self.connection(), self.bytes()

    def make_writelines(self, depth):
        return self.connection(), [self.bytes() for _ in range(self.random.randint(0, 3))]

    # Steps that hold others -----------------------------------------------------------------------

    def make_within(self, depth):
        return self.maybe_delay(), self.one_of(AWAITED, depth)

    make_limited = make_within

    def make_task(self, depth):
        return self.label(), self.one_of(AWAITED, depth)

    def make_call_soon(self, depth):
        return (self.one_of(AT_ONCE, depth),)

    def make_call_later(self, depth):
        return self.delay(), self.one_of(AT_ONCE, depth)
