"""Plays a program of `generate_jobs` and keeps a log of what happens."""

import sys

#: After so many units of time whatever still runs is cancelled: it hangs on purpose, or is stubborn.
LIMIT = 500

#: For so many turns after the last line of the log, turns are counted.
TURNS = 8

#: Before 3.13, stock asyncio's named tasks take a number as well.
NUMBERED = sys.version_info >= (3, 13)

ERRORS = {"ValueError": ValueError, "TimeoutError": TimeoutError}


class Player:
    """One run of a program. `aio` is asyncio or rasyncio, `scheduler` makes a Scheduler.

    Each line of the log begins with the time, and the number of turns that the loop has made.
    """

    def __init__(self, program, aio, scheduler):
        self.program = program
        self.aio = aio
        self.make_scheduler = scheduler
        self.log = []
        #: In the order in which they were spawned.
        self.jobs = []
        self.actors = []
        self.coroutines = 0
        self.turn = 0
        self.counting = 0

    def play(self, loop):
        self.loop = loop
        self.start = loop.time()
        loop.set_exception_handler(self.handle_error)
        loop.run_until_complete(self.main())
        return list(self.log)

    def note(self, *words):
        now = round(self.loop.time() - self.start, 3)
        self.log.append(" ".join(map(str, [f"{now}/{self.turn}:", *words])))
        if not self.counting and not self.loop.is_closed():
            self.loop.call_soon(self.next_turn)
        self.counting = TURNS

    def next_turn(self):
        self.turn += 1
        self.counting -= 1
        if self.counting:
            self.loop.call_soon(self.next_turn)

    def describe(self, job):
        number = self.jobs.index(job) if job in self.jobs else "new"
        name = str(job.get_name())
        if self.program["eager"]:
            # With a task factory, releases of 3.12 and 3.13 name the unnamed "None".
            name = name.removeprefix("Task-").lstrip("0123456789") or None
        elif name.startswith("Task-"):
            # Counted from the start of the process.
            count = int(name.removeprefix("Task-")) - self.first_number
            name = f"Task+{count}" if NUMBERED else "Task"
        return f"job {number} {job.active:d}{job.pending:d}{job.closed:d} {name}"

    def handle_error(self, loop, context):
        if "was never" in context["message"] or "was destroyed" in context["message"]:
            return  # when the collector likes
        self.note("handler:", context["message"], repr(context.get("exception")))

    def handle_job_error(self, scheduler, context):
        described = self.describe(context["job"])
        self.note("jobs' handler:", context["message"], repr(context["exception"]), described)
        assert scheduler is self.scheduler and len(context) == 3

    async def main(self):
        self.first_number = int(self.aio.current_task().get_name().removeprefix("Task-"))
        if self.program["eager"]:
            self.loop.set_task_factory(self.aio.eager_task_factory)
        keywords = ("limit", "pending_limit", "close_timeout", "wait_timeout")
        self.scheduler = self.make_scheduler(
            exception_handler=self.handle_job_error if self.program["handler"] else None,
            **{keyword: self.program[keyword] for keyword in keywords},
        )
        await self.do_actor("main", self.program["script"])
        await self.aio.wait(self.actors, timeout=LIMIT)
        self.look("end")
        # Who is cancelled goes on with the next step.
        while left := [actor for actor in self.actors if not actor.done()]:
            for actor in left:
                actor.cancel()
            await self.aio.wait(left, timeout=LIMIT)
        closing = self.aio.create_task(self.scheduler.close())
        await self.aio.wait([closing], timeout=LIMIT)
        self.look("closed")
        for job in self.jobs:
            self.note("in the end", self.describe(job), job in self.scheduler)
        # In no order that means anything.
        result, self.log = self.log, []
        await self.send_home()
        self.log = result

    async def send_home(self):
        me = self.aio.current_task()
        for _ in range(20):
            left = [task for task in self.aio.all_tasks() if task is not me]
            if not left:
                return
            for task in left:
                task.cancel()
            await self.aio.sleep(LIMIT)
        raise RuntimeError(f"still there: {left}")

    def look(self, name):
        scheduler = self.scheduler
        counts = (len(scheduler), scheduler.active_count, scheduler.pending_count)
        self.note(name, repr(scheduler), counts, [self.jobs.index(job) for job in scheduler])

    async def act(self, name, script):
        for kind, *arguments in script:
            try:
                await getattr(self, f"do_{kind}")(name, *arguments)
            except self.aio.CancelledError as error:
                self.note(name, kind, "cancelled", error.args)
            except Exception as error:
                self.note(name, kind, "raised", repr(error))

    # Steps -----------------------------------------------------------------------------------------

    async def do_actor(self, name, script):
        name = f"actor {len(self.actors)}"
        self.actors.append(self.aio.create_task(self.act(name, script), name=name))

    async def do_spawn(self, name, label, body):
        self.coroutines += 1
        job = await self.scheduler.spawn(self.job(self.coroutines, body), name=label)
        self.jobs.append(job)
        self.note(name, "spawned", self.describe(job))

    async def do_try_spawn(self, name, time, label, body):
        async with self.aio.timeout(time):
            await self.do_spawn(name, label, body)

    async def do_wait(self, name, number, timeout):
        if number < len(self.jobs):
            job = self.jobs[number]
            try:
                self.note(name, "waited", await job.wait(timeout=timeout))
            finally:
                self.note(name, self.describe(job))

    async def do_close(self, name, number, timeout):
        if number < len(self.jobs):
            job = self.jobs[number]
            try:
                self.note(name, "closed", await job.close(timeout=timeout))
            finally:
                self.note(name, self.describe(job))

    async def do_cancel(self, name, number):
        if number < len(self.actors):
            self.note(name, "cancels", number, self.actors[number].cancel(f"by {name}"))

    async def do_sleep(self, name, time):
        await self.aio.sleep(time)

    async def do_turn(self, name):
        await self.aio.sleep(0)
        self.note(name, "turned")

    async def do_look(self, name):
        self.look(name)

    async def do_shield(self, name, body):
        self.coroutines += 1
        shield = self.scheduler.shield(self.job(self.coroutines, body))
        self.note(name, "shielded", await shield)

    async def do_close_all(self, name):
        self.note(name, "closes all")
        self.note(name, await self.scheduler.close())

    async def do_wait_and_close(self, name, timeout):
        self.note(name, "waits for all")
        self.note(name, await self.scheduler.wait_and_close(timeout))

    async def do_name(self, name, number, new):
        if number < len(self.jobs):
            self.jobs[number].set_name(new)

    # What jobs do ----------------------------------------------------------------------------------

    async def job(self, number, body):
        name = f"coroutine {number}"
        self.note(name, "starts")
        try:
            for kind, *arguments in body:
                await getattr(self, f"deed_{kind}")(name, *arguments)
        except BaseException as error:
            self.note(name, "ends with", repr(error))
            raise
        self.note(name, "ends")
        return number

    async def deed_sleep(self, name, time):
        await self.aio.sleep(time)

    async def deed_turn(self, name):
        await self.aio.sleep(0)

    async def deed_stubborn(self, name, time):
        try:
            await self.aio.sleep(time)
        except self.aio.CancelledError:
            self.note(name, "refuses")
            await self.aio.sleep(time)

    async def deed_raise(self, name, kind):
        raise ERRORS[kind](name)

    async def deed_cancelled(self, name):
        raise self.aio.CancelledError(name)

    async def deed_child(self, name):
        self.note(name, "has a child")
        await self.do_spawn(name, None, [("turn",)])
