"""Programs of jobs: a few tasks that share one scheduler, see `jobs`.

The script is that of the first task; a step ("actor", script) starts another one. A job is known by its
number, in the order in which they were spawned, and does what the list says that `spawn` was given.
"""

import random
import sys

#: Stock asyncio has eager tasks from 3.12 on.
EAGER = sys.version_info >= (3, 12)

#: What a task does, and how often. `make_...` says with what.
STEPS = {
    "spawn": 10,
    "try_spawn": 2,
    "wait": 4,
    "close": 3,
    "cancel": 2,
    "sleep": 5,
    "turn": 4,
    "look": 2,
    "shield": 2,
    "close_all": 0.6,
    "wait_and_close": 0.6,
    "name": 1,
}

#: What a job does.
DEEDS = {
    "sleep": 5,
    "turn": 3,
    "stubborn": 2,
    "raise": 1,
    "cancelled": 1,
    "child": 1,
}


def program(seed, size=14):
    maker = Maker(random.Random(f"jobs {seed}"))
    choose = maker.random.choice
    return {
        "seed": seed,
        "limit": choose([None, 1, 1, 1, 2, 2, 3, 3, 0, 1.5]),
        "pending_limit": choose([0, 1, 1, 2, 3]),
        "close_timeout": choose([0.1, 1, 3, None, 0]),
        "wait_timeout": choose([5, 20, None]),
        "handler": choose([True, True, False]),
        "eager": EAGER and choose([True, False, False, False, False]),
        "script": maker.script(size),
    }


class Maker:
    def __init__(self, rng):
        self.random = rng
        self.jobs = 0

    def script(self, size):
        others = [("actor", self.steps(size)) for _ in range(self.random.randint(0, 3))]
        return others + self.steps(size)

    def steps(self, size):
        return [self.step(STEPS) for _ in range(self.random.randint(1, size))]

    def step(self, weights):
        kind = self.random.choices(list(weights), weights.values())[0]
        return (kind, *getattr(self, f"make_{kind}", tuple)())

    def body(self):
        return [self.step(DEEDS) for _ in range(self.random.randint(0, 3))]

    def time(self):
        return self.different(self.random.choice([0, 1, 1, 2, 3, 5, 8]))

    def timeout(self):
        return self.different(self.random.choice([None, None, 0, 1, 2, 4]))

    def different(self, time):
        """No two times that are made apart end together: the native clock counts nanoseconds, the
        stock loop's is a float."""
        return time + self.random.uniform(0, 0.4) if time else time

    def number(self):
        return self.random.randint(0, max(self.jobs, 1))

    def make_spawn(self):
        self.jobs += 1
        return (self.random.choice([None, f"name {self.jobs}"]), self.body())

    def make_try_spawn(self):
        return (self.time(), *self.make_spawn())

    def make_wait(self):
        return (self.number(), self.timeout())

    make_close = make_wait

    def make_cancel(self):
        return (self.random.randint(0, 3),)

    def make_sleep(self):
        return (self.time(),)

    make_stubborn = make_sleep

    def make_shield(self):
        return (self.body(),)

    def make_wait_and_close(self):
        return (self.timeout(),)

    def make_name(self):
        return (self.number(), f"new name {self.random.randint(0, 9)}")

    def make_raise(self):
        return (self.random.choice(["ValueError", "TimeoutError"]),)
