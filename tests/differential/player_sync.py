"""Plays programs of the family "sync", see `generate_sync`."""

import collections
import re
import sys

from .generate_sync import AT_ONCE, AWAITED, kind_of
from .player import Boom, Player, describe

_OBJECT = re.compile(r"\w+(?:\((.*)\))? \d+")
_ADDRESS = re.compile(r" object at 0x[0-9a-f]+| at 0x[0-9a-f]+")
_MODULE = re.compile(r"<(_?r?asyncio\.)+[a-z_.]*(?=[A-Z])")

#: For so many turns after the last line of the log, turns are counted.
TURNS = 6

#: After so many units of time without an end, tasks have locked each other out for good.
PATIENCE = 60


class SyncPlayer(Player):
    """Each line of the log begins with the time, and the number of turns that the loop has made.

    Turns are counted by a callback that comes back for some turns after each line, no longer: a loop
    with something to do does not let time pass.
    """

    def __init__(self, program, aio, unit):
        super().__init__(program, aio, unit)
        self.objects = {}
        self.levels = {}
        #: By object, the tasks that are in a step about it, in the order in which they began it.
        self.inside = collections.defaultdict(list)
        self.items = 0
        self.turn = 0
        self.counting = 0

    def note(self, *words):
        now = round((self.loop.time() - self.start) / self.unit, 1)
        super().note(f"{now}/{self.turn}:", *words)
        if not self.counting and not self.loop.is_closed():
            self.loop.call_soon(self.next_turn)
        self.counting = TURNS

    def next_turn(self):
        self.turn += 1
        self.counting -= 1
        if self.counting:
            self.loop.call_soon(self.next_turn)

    async def come_to_rest(self):
        limit = self.loop.time() + PATIENCE * self.unit
        while left := [task for task in self.everybody if not task.done()]:
            if self.loop.time() >= limit:
                break
            await self.aio.wait(left, timeout=limit - self.loop.time())
        for what in self.objects:
            self.note(self.look(what))

    async def steps(self, script, name, limit):
        for step in script:
            if step[0] in AWAITED:
                await self.perform(name, "", step, self.begin(step))
            elif step[0] in AT_ONCE and step[0] != "cancel":
                self.perform_now(name, step)
            else:
                await super().steps([step], name, limit)

    # Objects ---------------------------------------------------------------------------------------

    def object(self, what):
        if what not in self.objects:
            argument = _OBJECT.fullmatch(what)[1]
            if argument is not None:
                argument = int(argument) if argument.lstrip("-").isdigit() else self.object(argument)
            kind = kind_of(what)
            make = self.own_queue if kind == "OwnQueue" else getattr(self.aio, kind)
            self.objects[what] = make() if argument is None else make(argument)
        return self.objects[what]

    def own_queue(self, maxsize):
        """A queue that keeps its items in a way of its own."""

        class OwnQueue(self.aio.Queue):
            def _init(queue, maxsize):
                queue.kept = {}

            def _put(queue, item):
                if item[0] is None:
                    raise Boom("not this one")
                queue.kept[item[0]] = item

            def _get(queue):
                return queue.kept.pop(min(queue.kept))

            def qsize(queue):
                return len(queue.kept)

            def empty(queue):
                return not queue.kept

        return OwnQueue(maxsize)

    def look(self, what):
        found = self.object(what)
        return _MODULE.sub("<", _ADDRESS.sub("", repr(found)))

    def state(self, what):
        """All that an object tells of itself."""
        found = self.object(what)
        seen = []
        for name in ("locked", "is_set", "qsize", "empty", "full"):
            if hasattr(found, name):
                seen.append(f"{name}={getattr(found, name)()}")
        for name in ("parties", "n_waiting", "broken", "maxsize"):
            if hasattr(found, name):
                seen.append(f"{name}={getattr(found, name)}")
        return " ".join([str(found) if kind_of(what).endswith("Queue") else "", *seen])

    # Steps about one object ------------------------------------------------------------------------

    def begin(self, step):
        """The coroutine of a step in AWAITED."""
        verb, what, *arguments = step
        found = self.object(what)
        if verb == "put":
            return found.put(self.item(*arguments))
        if verb == "join_queue":
            return found.join()
        if verb == "wait_until":
            return found.wait_for(self.predicate(what, *arguments))
        if method := getattr(self, f"begin_{verb}", None):
            return method(what, *arguments)
        return getattr(found, verb)(*arguments)

    async def begin_hold(self, what, turns):
        async with self.object(what):
            for _ in range(turns):
                await self.aio.sleep(0)
        return "held"

    async def begin_wait_inside(self, what, level):
        condition = self.object(what)
        async with condition:
            if level == "any":
                return await condition.wait()
            return await condition.wait_for(self.predicate(what, level))

    async def begin_tell(self, what, count):
        async with self.object(what):
            self.levels[what] = self.levels.get(what, 0) + 1
            self.object(what).notify(count)

    async def begin_work(self, what):
        item = await self.object(what).get()
        await self.aio.sleep(0)
        self.object(what).task_done()
        return item

    def item(self, priority):
        self.items += 1
        return priority, self.items

    def predicate(self, what, level):
        def reached():
            self.note("predicate of", what, level, self.levels.get(what, 0))
            if level is None:
                raise Boom(f"predicate of {what}")
            return self.levels.get(what, 0) >= level and f"level {level}"

        return reached

    async def perform(self, name, manner, step, awaitable):
        """Awaits and notes what comes; errors but cancellations end here."""
        words = [name, *([manner] if manner else []), *step]
        task = self.aio.current_task()
        self.inside[step[1]].append(task)
        try:
            result = await awaitable
        except self.aio.CancelledError as error:
            self.note(*words, "cancelled", error.args, self.look(step[1]))
            raise
        except Exception as error:
            self.note(*words, "raised", chain(error), self.look(step[1]))
        else:
            self.note(*words, "gave", result, self.look(step[1]))
        finally:
            self.inside[step[1]].remove(task)

    def perform_now(self, name, step):
        try:
            result = self.call(step)
        except Exception as error:
            self.note(name, *step, "raised", chain(error), self.look(step[1]))
        else:
            self.note(name, *step, "gave", result, self.look(step[1]))

    def call(self, step):
        """A step in AT_ONCE."""
        verb, what, *arguments = step
        if verb == "cancel":
            return self.tasks[what].cancel(*arguments) if what in self.tasks else None
        if verb == "hit":
            tasks = [task for task in self.inside[what] if not task.done()]
            return tasks[arguments[0] % len(tasks)].cancel("hit") if tasks else None
        if verb == "level":
            self.levels[what] = arguments[0]
            return None
        if verb == "look":
            return self.state(what)
        found = self.object(what)
        if verb == "put_nowait":
            return found.put_nowait(self.item(*arguments))
        return getattr(found, verb)(*arguments)

    async def do_with(self, name, limit, what, script):
        self.note(name, "enters", what)
        task = self.aio.current_task()
        self.inside[what].append(task)
        try:
            async with self.object(what) as entered:
                self.note(name, "entered", what, entered, self.look(what))
                await self.steps(script, name, limit)
        except self.aio.CancelledError as error:
            self.note(name, "with", what, "cancelled", error.args, self.look(what))
            raise
        except Exception as error:
            self.note(name, "with", what, "raised", chain(error), self.look(what))
        else:
            self.note(name, "left", what, self.look(what))
        finally:
            self.inside[what].remove(task)

    # Steps that hold others ------------------------------------------------------------------------

    async def do_within(self, name, limit, delay, step):
        delay = None if delay is None else delay * self.unit
        await self.perform(name, "within", step, self.aio.wait_for(self.begin(step), delay))

    async def do_limited(self, name, limit, delay, step):
        delay = None if delay is None else delay * self.unit
        coroutine = self.begin(step)

        async def limited():
            async with self.aio.timeout(delay):
                return await coroutine

        await self.perform(name, "limited", step, limited())

    def task_of(self, step, label):
        """A task that is nothing but the object's own coroutine."""
        task = self.aio.create_task(self.begin(step), name=self.new_name(label))
        self.everybody.append(task)
        self.inside[step[1]].append(task)
        return task

    async def do_task(self, name, limit, label, step):
        self.tasks[label] = task = self.task_of(step, label)
        self.note(name, "makes a task", task.get_name(), *step)

    async def do_crowd(self, name, limit, label, count, step):
        for _ in range(count):
            await self.do_task(name, limit, label, step)

    async def do_shielded(self, name, limit, step):
        task = self.task_of(step, "s")
        await self.perform(name, "shielded", step, self.aio.shield(task))

    async def do_together(self, name, limit, steps):
        if not steps:
            return
        tasks = [self.task_of(step, "g") for step in steps]
        group = self.aio.gather(*tasks, return_exceptions=True)
        await self.perform(name, "together", steps[0], self.described(group))

    async def described(self, group):
        return [
            describe(result) if isinstance(result, BaseException) else result for result in await group
        ]

    async def do_repeat(self, name, limit, times, script):
        for _ in range(times):
            await self.steps(script, name, limit)

    async def do_drive(self, name, limit, step, ending):
        """One step of the coroutine by hand, and an end that a task would not make of it."""
        coroutine = self.begin(step)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            self.note(name, "drives", *step, "gave", stop.value, self.look(step[1]))
            return
        except Exception as error:
            self.note(name, "drives", *step, "raised", chain(error), self.look(step[1]))
            return
        self.note(name, "drives", *step, self.look(step[1]))
        try:
            if ending == "close":
                coroutine.close()
            elif ending == "throw":
                coroutine.throw(Boom("thrown"))
            elif ending == "cancel":
                coroutine.throw(self.aio.CancelledError("thrown"))
            elif ending == "send":
                coroutine.send(None)
        except BaseException as error:
            self.note(name, ending, *step, "raised", chain(error), self.look(step[1]))
        if ending != "drop":
            self.close(name, coroutine)
        del coroutine
        self.note(name, ending, *step, self.look(step[1]))

    def close(self, name, coroutine):
        for _ in range(3):
            try:
                coroutine.close()
            except BaseException as error:
                self.note(name, "close raised", chain(error))

    def callback(self, name, *step):
        """The callback that a step in AT_ONCE describes."""

        def call(*_):
            self.note("callback of", name, *step)
            self.note("callback of", name, *step, "gave", self.call(step))

        return call


def chain(error):
    """An error with those that it came after."""
    text = describe(error)
    context = error.__context__
    # From 3.13 on, an expired `timeout()` puts a TimeoutError between an error that leaves it and the
    # cancellation behind that. rasyncio does on every version.
    if sys.version_info < (3, 13) and isinstance(context, TimeoutError) and context.__context__:
        context = context.__context__
    if " after " not in text and context is not None:
        text += f" during {chain(context)}"
    return text
