"""Random programs, as trees of plain tuples that can be printed, shrunk and played again.

A program is a dictionary with `family`, what kind of program it is, `script`, the steps of its main
task, and `eager`, whether tasks start eagerly. A step is a tuple, its name first. Delays are in units
of time and all different, because stock asyncio's heap leaves open in which order equal deadlines come.

This module makes the family "tasks": tasks, and what combines them.
"""

import random
import sys

FUTURES = 3
LABELS = 6

#: Each kind of step with how often it comes, relative to the others.
WEIGHTS = {
    "log": 4,
    "turn": 8,
    "sleep": 8,
    "spawn": 8,
    "join": 5,
    "cancel": 7,
    "gather": 4,
    "wait": 4,
    "wait_for": 4,
    "shield": 4,
    "as_completed": 2,
    "timeout": 4,
    "reschedule": 1,
    "group": 4,
    "attempt": 5,
    "raise": 2,
    "uncancel": 2,
    "who": 2,
    "all_tasks": 1,
    "future_wait": 4,
    "future_set": 4,
    "future_fail": 1,
    "future_cancel": 1,
    "call_soon": 3,
    "call_later": 3,
    "call_at": 1,
    "cancel_handle": 2,
    "done_callback": 3,
    "context": 2,
    "lock": 3,
    "event_wait": 2,
    "event_set": 2,
    "queue_put": 2,
    "queue_get": 2,
}

#: Before 3.13 a task group that is ended by an error and cancelled from outside as well forgets one of
#: the two, and counts cancellations in another way. rasyncio does as 3.13 on every version.
GROUPS_AGREE = sys.version_info >= (3, 13)
if not GROUPS_AGREE:
    WEIGHTS["group"] = WEIGHTS["uncancel"] = 0

#: In the first releases of 3.11, `timeout()` never expires for a task that was cancelled before.
TIMEOUTS_AGREE = sys.version_info >= (3, 11, 7)
if not TIMEOUTS_AGREE:
    WEIGHTS["timeout"] = 0

#: Steps that hold other steps, and are not put deeper into each other than this.
_NESTS = {"gather", "group", "timeout", "attempt", "spawn", "as_completed", "with"}
_DEEPEST = 3


def program(seed, *, size=40):
    """The program of that number; always the same for the same `seed` and `size`."""
    maker = Maker(random.Random(seed), size)
    return {
        "family": "tasks",
        "seed": seed,
        "eager": maker.eager(),
        "script": maker.script(depth=0, longest=12),
    }


class Maker:
    """Makes steps, each by the method `make_` with its name, which answers what follows the name."""

    def __init__(self, random, size):
        self.random = random
        #: How many more steps there may be in all.
        self.left = size

    def eager(self):
        return sys.version_info >= (3, 12) and self.random.random() < 0.2

    def script(self, depth, longest=5):
        steps = []
        for _ in range(self.random.randint(1, longest)):
            if self.left <= 0:
                break
            self.left -= 1
            steps.append(self.step(depth))
        return steps

    def step(self, depth):
        return self.one_of(WEIGHTS, depth)

    def one_of(self, weights, depth):
        """A step of one of the kinds, as often as their weights say."""
        kind = self.random.choices(list(weights), list(weights.values()))[0]
        make = getattr(self, f"make_{kind}", None)
        if make is None:
            return (kind,)
        if depth > _DEEPEST and kind in _NESTS:
            return ("turn",)
        return (kind, *make(depth))

    def delay(self):
        """Between nothing and 8 units, never the same twice."""
        return round(self.random.choice([0, 0, 1, 2, 4, 7]) + self.random.random(), 9)

    def label(self):
        return f"t{self.random.randrange(LABELS)}"

    def scripts(self, depth, most=3):
        return [self.script(depth + 1, 4) for _ in range(self.random.randint(0, most))]

    def maybe_delay(self):
        return self.random.choice([None, 0, -1]) if self.random.random() < 0.3 else self.delay()

    def make_sleep(self, depth):
        return (self.delay(),)

    def make_spawn(self, depth):
        return self.label(), self.script(depth + 1)

    def make_join(self, depth):
        return (self.label(),)

    def make_cancel(self, depth):
        return self.label(), self.random.choice([None, "please"])

    def make_gather(self, depth):
        return self.scripts(depth), self.random.random() < 0.5

    def make_wait(self, depth):
        return (
            [self.label() for _ in range(self.random.randint(1, 3))],
            self.random.choice([None, self.delay()]),
            self.random.choice(["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"]),
        )

    def make_wait_for(self, depth):
        return self.script(depth + 1), self.maybe_delay()

    def make_shield(self, depth):
        return (self.script(depth + 1),)

    def make_as_completed(self, depth):
        return self.scripts(depth), self.random.choice([None, self.delay()])

    def make_timeout(self, depth):
        return self.maybe_delay(), self.script(depth + 1)

    def make_reschedule(self, depth):
        return (self.random.choice([None, self.delay()]),)

    def make_group(self, depth):
        # One child at most: several are cancelled in the order of a set, which depends on addresses.
        return self.scripts(depth, 1), self.script(depth + 1, 3)

    def make_attempt(self, depth):
        return (
            self.script(depth + 1),
            self.random.choice(["swallow", "reraise", "swallow cancel", "finally"]),
            self.script(depth + 1, 2),
        )

    def make_raise(self, depth):
        return (self.random.choice(["Boom", "Boom", "CancelledError", "TimeoutError"]),)

    def make_future_wait(self, depth):
        return (self.random.randrange(FUTURES),)

    make_future_set = make_future_fail = make_future_cancel = make_future_wait

    def callback(self):
        kind = self.random.choice(["log", "log", "raise", "set", "cancel", "again"])
        argument = self.random.randrange(FUTURES) if kind == "set" else self.label()
        return kind, argument

    def make_call_soon(self, depth):
        return (self.callback(),)

    def make_call_later(self, depth):
        return self.delay(), self.callback()

    make_call_at = make_call_later

    def make_done_callback(self, depth):
        return self.label(), self.callback()

    def make_context(self, depth):
        return (self.random.randrange(100),)

    def make_lock(self, depth):
        return (self.script(depth + 1, 3),)
