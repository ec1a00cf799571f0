"""Programs of the family "sync": a few tasks that want the same few locks, events, conditions,
semaphores, barriers and queues.

An object is known by a name that says how it is made: "Queue(2) 1" is the first `Queue(2)`,
"Condition(Lock 1) 2" the second condition over the first lock. A step about an object is a tuple too:
what is done, and the object's name. Those in `AWAITED` are coroutines, mostly the object's own, those in
`AT_ONCE` plain calls; other steps hold such a step, to do it in a task, with a time limit, in a
callback...
"""

import random
import sys

from .generate import GROUPS_AGREE, TIMEOUTS_AGREE, Maker

WORKERS = 6

AWAITED = {
    "acquire",
    "hold",
    "wait",
    "wait_until",
    "wait_inside",
    "tell",
    "reset",
    "abort",
    "put",
    "get",
    "work",
    "join_queue",
}
AT_ONCE = {
    "release",
    "set",
    "clear",
    "notify",
    "notify_all",
    "level",
    "put_nowait",
    "get_nowait",
    "task_done",
    "shutdown",
    "look",
    "hit",
    "cancel",
}

#: Steps that may wake somebody.
WAKES = AT_ONCE - {"level", "look", "hit", "cancel"} | {"put", "get", "wait"}

_LOCK = {"with": 10, "hold": 4, "acquire": 1, "release": 1.5, "look": 1, "hit": 1.5}
_SEMAPHORE = {"with": 7, "hold": 4, "acquire": 3, "release": 3, "look": 1, "hit": 1.5}
_QUEUE = {
    "put": 7,
    "get": 6,
    "work": 2,
    "put_nowait": 2,
    "get_nowait": 2,
    "task_done": 3,
    "join_queue": 2,
    "look": 1,
    "hit": 2,
}
if sys.version_info >= (3, 13):
    _QUEUE["shutdown"] = 0.4

#: What is done with an object of each kind, and how often.
OPERATIONS = {
    "Lock": _LOCK,
    "Semaphore": _SEMAPHORE,
    "BoundedSemaphore": _SEMAPHORE,
    "Event": {"wait": 6, "set": 4, "clear": 3, "look": 1, "hit": 1},
    "Condition": {
        **_LOCK,
        "with": 12,
        "wait": 1,
        "wait_inside": 8,
        "tell": 5,
        "notify": 1,
        "notify_all": 1,
    },
    "Barrier": {"wait": 8, "with": 3, "reset": 1, "abort": 0.7, "look": 1, "hit": 1},
    "Queue": _QUEUE,
    "PriorityQueue": _QUEUE,
    "LifoQueue": _QUEUE,
    "OwnQueue": _QUEUE,
}

#: The same inside an `async with` of that object.
INSIDE = {
    "Lock": {"with": 0.2, "acquire": 0.2, "release": 1, "look": 1},
    "Semaphore": {"with": 1, "acquire": 1, "release": 1, "look": 1},
    "BoundedSemaphore": {"with": 1, "acquire": 1, "release": 1, "look": 1},
    "Condition": {
        "with": 0.2,
        "wait": 7,
        "wait_until": 4,
        "notify": 5,
        "notify_all": 2,
        "level": 3,
        "release": 0.5,
        "look": 1,
        "hit": 1.5,
    },
    "Barrier": OPERATIONS["Barrier"],
}

#: Steps that are about no object in particular, and those that hold a step about one.
OTHERS = {
    "turn": 10,
    "sleep": 6,
    "cancel": 8,
    "spawn": 2,
    "join": 3,
    "attempt": 5,
    "timeout": 3,
    "within": 4,
    "limited": 4,
    "task": 4,
    "crowd": 3,
    "shielded": 1,
    "together": 2,
    "drive": 1,
    "repeat": 4,
    "call_soon": 3,
    "call_later": 3,
    "done_callback": 1,
    "raise": 1,
    "uncancel": 1,
}
if not GROUPS_AGREE:
    OTHERS["uncancel"] = 0
if not TIMEOUTS_AGREE:
    OTHERS["limited"] = OTHERS["timeout"] = 0


def kind_of(what):
    """`Queue` of "Queue(2) 1"."""
    return what.partition(" ")[0].partition("(")[0]


def lock_of(what):
    """`Lock 1` of "Condition(Lock 1) 2"; of anything else itself."""
    kind, _, rest = what.partition("(")
    return rest.rpartition(")")[0] if kind == "Condition" else what


def program(seed, *, size=40):
    """The program of that number; always the same for the same `seed` and `size`."""
    chance = random.Random(seed)
    maker = SyncMaker(chance, 0)
    script = []
    for number in range(chance.randint(2, WORKERS)):
        maker.left = size // 4
        script.append(("spawn", f"t{number}", maker.script(0, 6)))
        if chance.random() < 0.3:
            script.append(("turn",))
    for _ in range(chance.randint(3, 15)):
        script += maker.stir()
    return {"family": "sync", "seed": seed, "eager": maker.eager(), "script": script}


class SyncMaker(Maker):
    def __init__(self, random, size):
        super().__init__(random, size)
        #: Each program does some things often and others seldom.
        self.taste = {
            kind: random.choice([0.1, 1, 1, 4])
            for weights in (OTHERS, *OPERATIONS.values(), *INSIDE.values())
            for kind in weights
        }
        self.objects = []
        for _ in range(random.choice([1, 1, 1, 2, 2, 3])):
            self.objects += self.some_objects()
        #: The object of the innermost `async with`.
        self.inside = None
        #: The object that more is done with than with others.
        self.favourite = None

    def some_objects(self):
        pick = self.random.choice
        theme = pick(["lock", "event", "condition", "condition", "semaphore", "barrier"] + ["queue"] * 3)
        if theme == "condition":
            return pick(
                [
                    ["Condition 1"],
                    ["Lock 1", "Condition(Lock 1) 1"],
                    ["Condition(Lock 1) 1", "Condition(Lock 1) 2"],
                    ["Condition(Semaphore(1) 1) 1"],
                ]
            )
        if theme == "semaphore":
            kind = pick(["Semaphore", "Semaphore", "BoundedSemaphore"])
            return [f"{kind}({pick([0, 1, 1, 2, 3])}) 1"]
        if theme == "barrier":
            return [f"Barrier({pick([1, 2, 2, 3, 3, 4])}) 1"]
        if theme == "queue":
            kind = pick(["Queue", "Queue", "PriorityQueue", "LifoQueue", "OwnQueue"])
            return [f"{kind}({pick([-1, 0, 1, 1, 1, 2, 2, 3])}) 1"]
        return pick([[f"{theme.capitalize()} 1"], [f"{theme.capitalize()} {n}" for n in (1, 2)]])

    def one_of(self, weights, depth):
        return super().one_of({kind: odds * self.taste[kind] for kind, odds in weights.items()}, depth)

    def script(self, depth, longest=5):
        steps = []
        for step in super().script(depth, longest):
            steps.append(step)
            if step[0] in WAKES and self.random.random() < 0.2:
                steps.append(self.hit(step))
        return steps

    def hit(self, step):
        """Whoever this step woke is cancelled before it goes on."""
        return "hit", step[1], self.random.choice([0, 0, 0, 1])

    def step(self, depth):
        if self.random.random() < 0.45:
            return self.one_of(OTHERS, depth)
        return self.about_an_object(depth)

    def about_an_object(self, depth):
        if self.favourite and self.random.random() < 0.6:
            self.what = self.favourite
        else:
            self.what = self.random.choice(self.objects)
        # To want what one has already would mostly end the program.
        has_it = self.inside is not None and lock_of(self.what) == lock_of(self.inside)
        return self.one_of((INSIDE if has_it else OPERATIONS)[kind_of(self.what)], depth)

    def stir(self):
        """Time passes, then a few things happen in one turn, so that not everybody waits for ever."""
        yield self.random.choice([("turn",), ("sleep", self.delay()), ("sleep", self.delay())])
        self.favourite = self.random.choice(self.objects)
        for _ in range(self.random.choice([1, 1, 2, 3, 4])):
            self.left = 3
            step = self.about_an_object(0)
            step = ("spawn", self.label(), [step]) if step[0] == "with" else self.at_once(0)
            yield step
            if step[0] in WAKES and self.random.random() < 0.3:
                yield self.hit(step)
        self.favourite = None

    def awaited(self, depth):
        for _ in range(10):
            if (step := self.about_an_object(_TOO_DEEP))[0] in AWAITED:
                return step
        # In a lock there may be none.
        self.what = self.random.choice(self.objects)
        name = next(name for name in OPERATIONS[kind_of(self.what)] if name in AWAITED)
        return (name, *getattr(self, f"make_{name}", self.make_look)(depth))

    def at_once(self, depth):
        if self.random.random() < 0.1:
            return ("cancel", *self.make_cancel(depth))
        while (step := self.about_an_object(_TOO_DEEP))[0] not in AT_ONCE:
            pass
        return step

    def make_look(self, depth):
        return (self.what,)

    make_acquire = make_release = make_wait = make_set = make_clear = make_notify_all = make_look
    make_reset = make_abort = make_get = make_get_nowait = make_task_done = make_work = make_look
    make_join_queue = make_look

    def make_with(self, depth):
        what, outside = self.what, self.inside
        self.inside = self.favourite = what
        script = self.script(depth + 1, 4)
        self.inside = self.favourite = outside
        return what, script

    def make_hold(self, depth):
        return self.what, self.random.randrange(3)

    def make_wait_inside(self, depth):
        return self.what, self.random.choice(["any", "any", 1, 2, None])

    def make_hit(self, depth):
        return self.what, self.random.choice([0, 0, 0, 1, 2, -1])

    def make_notify(self, depth):
        return self.what, self.random.choice([0, 1, 1, 1, 2])

    make_tell = make_notify

    def make_level(self, depth):
        return self.what, self.random.randrange(4)

    def make_wait_until(self, depth):
        return self.what, self.random.choice([0, 1, 1, 2, 2, 3, None])

    def make_put(self, depth):
        # One in ten has no order with the others.
        return self.what, self.random.choice([0, 1, 1, 2, 2, 3, 3, 4, 5, None])

    make_put_nowait = make_put

    def make_shutdown(self, depth):
        return self.what, self.random.random() < 0.5

    # Steps that hold others -----------------------------------------------------------------------

    def make_within(self, depth):
        return self.maybe_delay(), self.awaited(depth)

    make_limited = make_within

    def make_task(self, depth):
        return self.label(), self.awaited(depth)

    def make_crowd(self, depth):
        return self.label(), self.random.randint(2, 4), self.awaited(depth)

    def make_shielded(self, depth):
        return (self.awaited(depth),)

    def make_together(self, depth):
        return ([self.awaited(depth) for _ in range(self.random.randint(1, 4))],)

    def make_drive(self, depth):
        endings = ["close", "throw", "cancel", "send"]
        step = self.awaited(depth)
        # One that waits for a condition goes on to wait for the lock. If it is destroyed at that,
        # stock leaves it in the lock's line for ever.
        if kind_of(step[1]) != "Condition":
            endings.append("drop")
        return step, self.random.choice(endings)

    def make_repeat(self, depth):
        return self.random.randint(2, 4), self.script(depth + 1, 3)

    def make_call_soon(self, depth):
        return (self.at_once(depth),)

    def make_call_later(self, depth):
        return self.delay(), self.at_once(depth)

    def make_done_callback(self, depth):
        return self.label(), self.at_once(depth)


#: Deep enough that no step that holds others is made.
_TOO_DEEP = 9
