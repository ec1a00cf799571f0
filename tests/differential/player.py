"""Plays a program of `generate` on a module and a loop, and keeps a log of what happens."""

import asyncio
import contextvars
import sys

from .generate import GROUPS_AGREE, FUTURES

#: After so many units of time whatever still runs is cancelled.
LIMIT = 300


class Boom(Exception):
    pass


ERRORS = {
    "Boom": Boom,
    "CancelledError": asyncio.CancelledError,
    "TimeoutError": TimeoutError,
}


class Player:
    """One run of a program. `aio` is asyncio or rasyncio; `unit` is a unit of time in seconds."""

    def __init__(self, program, aio, unit):
        self.program = program
        self.aio = aio
        self.unit = unit
        self.log = []
        #: The newest task of each label.
        self.tasks = {}
        #: Every task in the order of its first step.
        self.everybody = []
        self.handles = []
        self.names = 0
        self.variable = contextvars.ContextVar("variable", default=None)

    def play(self, loop):
        self.loop = loop
        self.start = loop.time()
        loop.set_exception_handler(self.handle_error)
        if self.program["eager"]:
            loop.set_task_factory(self.aio.eager_task_factory)
        self.futures = [loop.create_future() for _ in range(FUTURES)]
        loop.run_until_complete(self.main())
        # A copy, because what dies later still writes.
        return list(self.log)

    def note(self, *words):
        self.log.append(" ".join(map(str, words)))

    def handle_error(self, loop, context):
        # Reports of what was never retrieved come when the garbage collector likes.
        if "exception in callback" in context["message"].lower():
            self.note("handler:", repr(context["exception"]))

    def new_name(self, kind):
        self.names += 1
        return f"{kind}.{self.names}"

    async def main(self):
        task = self.aio.create_task(self.run(self.program["script"], "main"), name="main")
        _, pending = await self.aio.wait([task], timeout=LIMIT * self.unit)
        self.note("main pending" if pending else f"main {outcome(task)}")
        await self.come_to_rest()
        await self.send_home(task)
        for name, task in self.tasks.items():
            self.note("in the end", name, outcome(task))

    async def come_to_rest(self):
        """What is still to happen before all tasks are cancelled."""

    async def send_home(self, main):
        """Cancels all tasks, one by one, in an order that does not depend on addresses."""
        self.note("the end")
        for attempt in range(20):
            left = [task for task in [main, *self.everybody] if not task.done()]
            if not left:
                return
            for task in left:
                task.cancel(f"end {attempt}")
            for _ in range(10):
                await self.aio.sleep(0)
        self.note("still there:", len(left))

    async def run(self, script, name):
        """The coroutine of one task."""
        task = self.aio.current_task()
        if task not in self.everybody:
            self.everybody.append(task)
        self.note(name, "starts")
        try:
            await self.steps(script, name, None)
        except BaseException as error:
            self.note(name, "ends with", describe(error))
            raise
        self.note(name, "ends")
        return name

    async def steps(self, script, name, limit):
        for kind, *arguments in script:
            await getattr(self, f"do_{kind}")(name, limit, *arguments)

    async def attempt(self, name, what, awaitable):
        """Awaits and notes what comes; errors but cancellations end here."""
        try:
            result = await awaitable
        except self.aio.CancelledError as error:
            self.note(name, what, "cancelled", error.args)
            raise
        except Exception as error:
            self.note(name, what, "raised", describe(error))
        else:
            self.note(name, what, "gave", result)
            return result

    # Steps -----------------------------------------------------------------------------------------

    async def do_log(self, name, limit):
        self.note(name, "is here at", round((self.loop.time() - self.start) / self.unit, 1))

    async def do_turn(self, name, limit):
        await self.aio.sleep(0)
        self.note(name, "turned")

    async def do_sleep(self, name, limit, delay):
        await self.attempt(name, "sleep", self.aio.sleep(delay * self.unit, "slept"))

    async def do_spawn(self, name, limit, label, script):
        child = self.new_name(label)
        self.note(name, "spawns", child)
        self.tasks[label] = self.aio.create_task(self.run(script, child), name=child)

    async def do_join(self, name, limit, label):
        if label not in self.tasks:
            return
        task = self.tasks[label]
        # A cancellation passes on from who waits to what is waited for. So that it never runs in a
        # circle, tasks wait like this for younger ones only.
        if serial(task.get_name()) <= serial(name):
            task = self.aio.shield(task)
        await self.attempt(name, f"join {label}", task)

    async def do_cancel(self, name, limit, label, message):
        if label in self.tasks:
            self.note(name, "cancels", label, self.tasks[label].cancel(message))

    async def do_gather(self, name, limit, scripts, return_exceptions):
        children = [self.run(script, self.new_name("g")) for script in scripts]
        group = self.aio.gather(*children, return_exceptions=return_exceptions)
        await self.attempt(name, "gather", group)

    async def do_wait(self, name, limit, labels, timeout, return_when):
        tasks = {label: self.tasks[label] for label in labels if label in self.tasks}
        if not tasks:
            return
        timeout = None if timeout is None else timeout * self.unit
        done, pending = await self.aio.wait(
            list(tasks.values()), timeout=timeout, return_when=getattr(self.aio, return_when)
        )
        self.note(name, "wait done", sorted(task.get_name() for task in done))
        self.note(name, "wait pending", sorted(task.get_name() for task in pending))

    async def do_wait_for(self, name, limit, script, timeout):
        timeout = None if timeout is None else timeout * self.unit
        child = self.run(script, self.new_name("f"))
        await self.attempt(name, "wait_for", self.aio.wait_for(child, timeout))

    async def do_shield(self, name, limit, script):
        task = self.aio.create_task(self.run(script, self.new_name("s")))
        await self.attempt(name, "shield", self.aio.shield(task))

    async def do_as_completed(self, name, limit, scripts, timeout):
        timeout = None if timeout is None else timeout * self.unit
        # None may be done before: those come in the order of a set, which depends on addresses.
        tasks = [
            self.aio.create_task(self.run([("turn",), *script], self.new_name("c")))
            for script in scripts
        ]
        for completed in self.aio.as_completed(tasks, timeout=timeout):
            await self.attempt(name, "as_completed", completed)

    async def do_timeout(self, name, limit, delay, script):
        delay = None if delay is None else delay * self.unit
        try:
            async with self.aio.timeout(delay) as limit:
                await self.steps(script, name, limit)
        except TimeoutError as error:
            self.note(name, "timeout", describe(error), limit.expired())
        else:
            self.note(name, "in time", limit.expired())

    async def do_reschedule(self, name, limit, delay):
        if limit is not None:
            try:
                limit.reschedule(None if delay is None else self.loop.time() + delay * self.unit)
            except RuntimeError as error:
                self.note(name, "reschedule", type(error).__name__)

    async def do_group(self, name, limit, scripts, body):
        group = self.aio.TaskGroup()
        try:
            async with group:
                for script in scripts:
                    if self.program["eager"]:
                        # Versions differ in when a group hears of a task that failed at once.
                        script = [("turn",), *script]
                    group.create_task(self.run(script, self.new_name("m")))
                await self.steps(body, name, limit)
        except BaseExceptionGroup as error:
            self.note(name, "group raised", describe(error))
        else:
            self.note(name, "group ended")

    async def do_attempt(self, name, limit, script, manner, afterwards):
        try:
            await self.steps(script, name, limit)
        except self.aio.CancelledError as error:
            self.note(name, "caught cancel", error.args)
            await self.steps(afterwards, name, limit)
            if manner in {"reraise", "finally"}:
                raise
        except Exception as error:
            self.note(name, "caught", describe(error))
            if manner in {"reraise", "swallow cancel"}:
                raise
        finally:
            if manner == "finally":
                await self.steps(afterwards, name, limit)

    async def do_raise(self, name, limit, kind):
        raise ERRORS[kind](name)

    async def do_uncancel(self, name, limit):
        task = self.aio.current_task()
        self.note(name, "cancelling", task.cancelling(), "uncancel", task.uncancel())

    async def do_who(self, name, limit):
        task = self.aio.current_task()
        count = task.cancelling() if GROUPS_AGREE else ""
        self.note(name, "is", outcome(task), count, task in self.everybody)

    async def do_all_tasks(self, name, limit):
        alive = self.aio.all_tasks()
        self.note(name, "all tasks", len(alive), [task in alive for task in self.everybody])

    async def do_future_wait(self, name, limit, number):
        await self.attempt(name, f"future {number}", self.aio.shield(self.futures[number]))

    async def do_future_set(self, name, limit, number):
        self.settle(number, "set_result", name)

    async def do_future_fail(self, name, limit, number):
        self.settle(number, "set_exception", Boom(f"future {number}"))

    async def do_future_cancel(self, name, limit, number):
        self.settle(number, "cancel")

    def settle(self, number, method, *arguments):
        """Settles a future, and puts a new one in its place if it was settled already."""
        if self.futures[number].done():
            self.futures[number] = self.loop.create_future()
        self.note("settle", number, method, getattr(self.futures[number], method)(*arguments))

    def callback(self, name, kind, argument):
        """The callback that a step describes."""

        def call(*rest):
            self.note("callback of", name, kind, argument)
            if kind == "raise":
                raise Boom(f"callback of {name}")
            if kind == "set":
                self.settle(argument, "set_result", f"callback of {name}")
            elif kind == "cancel" and argument in self.tasks:
                self.note("callback cancels", argument, self.tasks[argument].cancel())
            elif kind == "again":
                self.loop.call_soon(self.note, "callback again of", name)

        return call

    async def do_call_soon(self, name, limit, callback):
        self.handles.append(self.loop.call_soon(self.callback(name, *callback)))

    async def do_call_later(self, name, limit, delay, callback):
        handle = self.loop.call_later(delay * self.unit, self.callback(name, *callback))
        self.handles.append(handle)

    async def do_call_at(self, name, limit, delay, callback):
        when = self.loop.time() + delay * self.unit
        handle = self.loop.call_at(when, self.callback(name, *callback))
        self.note(name, "asks for the right time:", round(handle.when() - when, 9))
        self.handles.append(handle)

    async def do_cancel_handle(self, name, limit):
        if self.handles:
            handle = self.handles.pop()
            handle.cancel()
            self.note(name, "cancels a handle", handle.cancelled())

    async def do_done_callback(self, name, limit, label, callback):
        if label in self.tasks:
            self.tasks[label].add_done_callback(self.callback(name, *callback))

    async def do_context(self, name, limit, value):
        self.note(name, "sees", self.variable.get(), "and sets", value)
        self.variable.set(value)

    async def do_lock(self, name, limit, script):
        lock = self.shared("lock", self.aio.Lock)
        async with lock:
            self.note(name, "locked")
            await self.steps(script, name, limit)
        self.note(name, "unlocked", lock.locked())

    async def do_event_wait(self, name, limit):
        await self.attempt(name, "event", self.shared("event", self.aio.Event).wait())

    async def do_event_set(self, name, limit):
        event = self.shared("event", self.aio.Event)
        event.set()
        event.clear()

    async def do_queue_put(self, name, limit):
        await self.attempt(name, "put", self.shared("queue", self.new_queue).put(name))

    async def do_queue_get(self, name, limit):
        await self.attempt(name, "get", self.shared("queue", self.new_queue).get())

    def new_queue(self):
        return self.aio.Queue(1)

    def shared(self, attribute, make):
        if not hasattr(self, attribute):
            setattr(self, attribute, make())
        return getattr(self, attribute)


def serial(name):
    return int(name.partition(".")[2] or 0)


def describe(error):
    if isinstance(error, BaseExceptionGroup):
        return f"group of {[describe(inner) for inner in error.exceptions]}"
    cause = error.__cause__
    # The first releases of 3.11 give the TimeoutError of `timeout()` no cause.
    if sys.version_info < (3, 12) and isinstance(cause, asyncio.CancelledError):
        cause = None
    chain = f" after {describe(cause)}" if cause is not None else ""
    return f"{type(error).__name__}{error.args}{chain}"


def outcome(task):
    if not task.done():
        return "pending"
    if task.cancelled():
        return "cancelled"
    if error := task.exception():
        return f"raised {describe(error)}"
    return f"gave {task.result()}"
