"""Jobs, of the package aiojobs and of `rasyncio.scheduler`: misuse, errors, and what can be seen."""

import asyncio
import collections.abc
import contextvars
import copy
import inspect
import sys

import aiojobs
from _case import since


def show(call, *args, **kwargs):
    try:
        print("returned", call(*args, **kwargs))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")


async def show_await(awaitable):
    try:
        print("returned", await awaitable)
    except BaseException as error:
        chain = []
        while error is not None:
            chain.append(repr(error))
            error = error.__cause__ or error.__context__
        print(" after ".join(chain))


async def value(result=None, turns=1):
    for _ in range(turns):
        await asyncio.sleep(0)
    return result


async def fails(error=ValueError, turns=1):
    await value(turns=turns)
    raise error("no good")


async def forever():
    await asyncio.get_running_loop().create_future()


async def stubborn():
    """Ends when it is cancelled for the second time, as it is when the time is up."""
    try:
        await forever()
    except asyncio.CancelledError:
        await forever()


def report(scheduler, context):
    print("told", sorted(context), context["message"], repr(context["exception"]), context["job"].get_name())


def case_defaults():
    scheduler = aiojobs.Scheduler()
    print(scheduler, len(scheduler), list(scheduler), scheduler.closed)
    print(scheduler.limit, scheduler.pending_limit, scheduler.close_timeout, scheduler.exception_handler)
    print(scheduler.active_count, scheduler.pending_count, isinstance(scheduler, collections.abc.Collection))


def case_strange_arguments():
    show(aiojobs.Scheduler, 1)
    show(aiojobs.Scheduler, exception_handler=1)
    show(aiojobs.Scheduler, exception_handler="no function")
    show(aiojobs.Scheduler, unknown=1)
    print(aiojobs.Scheduler(limit=1.5).limit, aiojobs.Scheduler(limit=None).limit)
    print(aiojobs.Scheduler(limit=-1, pending_limit=-1, close_timeout="x").pending_limit)
    print(aiojobs.Scheduler(limit=True, pending_limit=2.5).pending_limit)


async def case_strange_things_to_spawn():
    async with aiojobs.Scheduler() as scheduler:
        await show_await(scheduler.spawn(42))
        await show_await(scheduler.spawn(None))
        await show_await(scheduler.spawn(asyncio.get_running_loop().create_future()))
        print(scheduler, scheduler.active_count)
        show(scheduler.spawn)
        job = await scheduler.spawn(value(), name=42)
        print(job.get_name())
        print(await job.wait())
        show(job.wait, 1)
        show(job.close, 1)
        show(job.set_name)


async def case_spawn_after_close():
    scheduler = aiojobs.Scheduler()
    await scheduler.close()
    await scheduler.close()
    coroutine = value()
    await show_await(scheduler.spawn(coroutine))
    coroutine.close()
    print(scheduler, scheduler.closed)


def case_another_loop():
    scheduler = aiojobs.Scheduler()

    async def main():
        coroutine = value()
        await show_await(scheduler.spawn(coroutine))
        coroutine.close()
        print(scheduler)

    asyncio.run(main())
    asyncio.run(main())


async def case_the_life_of_a_job():
    scheduler = aiojobs.Scheduler(limit=1)
    first = await scheduler.spawn(value("first", 3), name="one")
    second = await scheduler.spawn(value("second", 3))

    def look():
        for job in (first, second):
            print(job, job.active, job.pending, job.closed, job in scheduler)
        print(scheduler, scheduler.active_count, scheduler.pending_count)

    look()
    print(first.get_name(), second.get_name())
    second.set_name("two")
    print(second.get_name())
    print(await first.wait())
    await asyncio.sleep(0)
    look()
    print(second.get_name())
    second.set_name("zwei")
    print(second.get_name())
    print(await second.wait(), await second.wait())
    look()
    await scheduler.close()
    look()
    print(await first.wait(), await first.close(), "x" in scheduler)
    try:
        print([] in scheduler)
    except TypeError:
        print("a list is no job, and cannot be hashed")


async def case_errors_are_told_once():
    scheduler = aiojobs.Scheduler(exception_handler=report)
    await scheduler.spawn(fails(), name="alone")
    waited = await scheduler.spawn(fails(KeyError), name="waited for")
    await show_await(waited.wait())
    await show_await(waited.wait())
    await scheduler.spawn(fails(asyncio.CancelledError), name="cancels itself")
    await value(turns=5)
    closed = await scheduler.spawn(fails(turns=0), name="closed")
    await asyncio.sleep(0)
    await show_await(closed.close())
    await scheduler.close()


async def case_errors_are_told_to_the_loop():
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: print(context["message"], repr(context["exception"]), context["job"])
    )
    async with aiojobs.Scheduler() as scheduler:
        job = await scheduler.spawn(fails(), name="job")
        await value(turns=4)
        print(job.closed)


async def case_debug_mode_knows_where():
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    # A machine that is busy is not to be told of.
    loop.slow_callback_duration = 60
    scheduler = aiojobs.Scheduler(exception_handler=report)
    await scheduler.spawn(fails(), name="job")
    await value(turns=4)
    await scheduler.close()


async def case_waiting_with_a_timeout():
    scheduler = aiojobs.Scheduler(exception_handler=report)
    job = await scheduler.spawn(forever(), name="job")
    await show_await(job.wait(timeout=0.01))
    print(job, job.closed)
    job = await scheduler.spawn(value("in time"))
    await show_await(job.wait(timeout=60))
    await scheduler.close()


async def case_cancelling_who_waits():
    scheduler = aiojobs.Scheduler()
    job = await scheduler.spawn(value("still there", 8))
    waiting = asyncio.ensure_future(job.wait())
    await value(turns=3)
    waiting.cancel("enough")
    await show_await(waiting)
    print(job.active, await job.wait())
    await scheduler.close()


async def case_closing_what_does_not_end():
    scheduler = aiojobs.Scheduler(close_timeout=0.01, exception_handler=report)
    explicit = await scheduler.spawn(stubborn(), name="explicit")
    await scheduler.spawn(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    await show_await(explicit.close())
    await show_await(explicit.close(timeout=0))
    print(scheduler)
    await show_await(scheduler.close())
    print(scheduler)


async def case_closing_is_noticed():
    async def note():
        try:
            await forever()
        except asyncio.CancelledError as error:
            print("cancelled", error.args)
            raise

    scheduler = aiojobs.Scheduler(limit=2)
    jobs = [await scheduler.spawn(note()) for _ in range(3)]
    await asyncio.sleep(0)
    await show_await(jobs[0].close(timeout=1))
    await asyncio.sleep(0)
    await show_await(scheduler.close())
    print([job.closed for job in jobs])
    await show_await(jobs[0].wait())


async def case_pending_jobs_never_start_after_close():
    async def note(number):
        print("starts", number)
        await forever()

    scheduler = aiojobs.Scheduler(limit=1)
    jobs = [await scheduler.spawn(note(number)) for number in range(3)]
    await asyncio.sleep(0)
    await scheduler.close()
    print([job.closed for job in jobs], scheduler)


async def case_spawn_waits_until_few_are_pending():
    scheduler = aiojobs.Scheduler(limit=1, pending_limit=1)
    await scheduler.spawn(value(turns=2))
    await scheduler.spawn(value(turns=2))
    waiting = asyncio.ensure_future(scheduler.spawn(value("waited", 2)))
    await asyncio.sleep(0)
    print(scheduler, waiting.done())
    job = await waiting
    print(scheduler, await job.wait())
    await scheduler.close()


async def cancel_spawn(close_timeout):
    scheduler = aiojobs.Scheduler(limit=1, pending_limit=1, close_timeout=close_timeout)
    await scheduler.spawn(forever())
    await scheduler.spawn(forever())
    waiting = asyncio.ensure_future(scheduler.spawn(value()))
    await asyncio.sleep(0)
    waiting.cancel("enough")
    await show_await(waiting)
    print(scheduler)
    await scheduler.close()


async def case_spawn_cancelled_while_it_waits():
    await cancel_spawn(close_timeout=0.1)


# In the first releases of 3.11 a timeout of a task that was cancelled never expires.
@since(3, 12)
async def case_spawn_cancelled_while_it_waits_with_no_time_to_close():
    await cancel_spawn(close_timeout=0)


async def case_waiting_for_all():
    scheduler = aiojobs.Scheduler(limit=2, exception_handler=report)

    async def spawns():
        await scheduler.spawn(value(turns=3))
        print("has spawned")

    for _ in range(3):
        await scheduler.spawn(value(turns=3))
    await scheduler.spawn(spawns())
    await scheduler.spawn(fails(turns=2), name="fails")
    print(await scheduler.wait_and_close())
    print(scheduler, scheduler.closed)


async def case_waiting_for_all_with_a_timeout():
    scheduler = aiojobs.Scheduler(wait_timeout=0.01)
    job = await scheduler.spawn(forever())
    print(await scheduler.wait_and_close(), job.closed)
    scheduler = aiojobs.Scheduler()
    job = await scheduler.spawn(forever())
    print(await scheduler.wait_and_close(timeout=0.01), job.closed)


async def case_leaving_a_block():
    async with aiojobs.Scheduler() as scheduler:
        job = await scheduler.spawn(value("waited for", 3))
    print(await job.wait(), scheduler)
    try:
        async with aiojobs.Scheduler() as scheduler:
            job = await scheduler.spawn(value(turns=3))
            raise KeyError("body")
    except KeyError as error:
        print(repr(error), job.closed, scheduler)


async def case_shield():
    scheduler = aiojobs.Scheduler()

    async def work():
        await value(turns=4)
        print("worked")
        return "result"

    print(await scheduler.shield(work()))
    task = asyncio.ensure_future(scheduler.shield(work()))
    await asyncio.sleep(0)
    task.cancel()
    await show_await(task)
    await show_await(scheduler.shield(fails()))
    await value(turns=2)
    await scheduler.wait_and_close()
    done = asyncio.get_running_loop().create_future()
    done.set_result("at once")
    print(scheduler.shield(done) is done)
    show(scheduler.shield, 42)


async def case_close_cancels_what_is_shielded():
    scheduler = aiojobs.Scheduler()
    outer = scheduler.shield(forever())
    await asyncio.sleep(0)
    await scheduler.close()
    await value(turns=2)
    print(outer.cancelled())


async def case_contexts():
    variable = contextvars.ContextVar("variable", default="default")

    async def note(name):
        print(name, variable.get())
        variable.set(name)
        await asyncio.sleep(0)

    scheduler = aiojobs.Scheduler(limit=1)
    for name in ("first", "second", "third"):
        variable.set(f"when {name} was spawned")
        await scheduler.spawn(note(name))
    print(variable.get())
    await scheduler.wait_and_close()


async def case_subclasses():
    class Own(aiojobs.Scheduler):
        def call_exception_handler(self, context):
            print("own handler", context["message"])

        async def close(self):
            print("own close")
            await super().close()

        async def wait_and_close(self, timeout=None):
            print("own wait_and_close", timeout)
            await super().wait_and_close(timeout)

    async with Own(limit=5) as scheduler:
        scheduler.attribute = 1
        await scheduler.spawn(fails())
    print(scheduler, scheduler.limit, scheduler.attribute)


#: On 3.11, `inspect` knows functions written in Python only.
is_coroutine_function = (inspect if sys.version_info >= (3, 12) else asyncio).iscoroutinefunction


async def case_coroutines_and_signatures():
    scheduler = aiojobs.Scheduler()
    job = await scheduler.spawn(value())
    for thing in (scheduler, job):
        for name in sorted(name for name in dir(type(thing)) if not name.startswith("_")):
            found = getattr(thing, name)
            if callable(found):
                parameters = list(inspect.signature(found).parameters.values())
                described = [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]
                print(name, is_coroutine_function(found), described)
            else:
                print(name, found)
    print(aiojobs.Job[int].__origin__.__name__)
    await scheduler.wait_and_close()


async def case_attributes_that_cannot_be_assigned():
    scheduler = aiojobs.Scheduler()
    job = await scheduler.spawn(value())
    for thing, name in [(scheduler, "limit"), (scheduler, "closed"), (job, "closed"), (job, "active")]:
        try:
            setattr(thing, name, 1)
        except AttributeError:
            print(name, "cannot be assigned")
    await scheduler.close()


def case_create_scheduler():
    async def main():
        scheduler = await aiojobs.create_scheduler(limit=3)
        print(scheduler, scheduler.limit)
        await scheduler.close()

    asyncio.run(main())


@since(3, 12)
async def case_eager_jobs():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    scheduler = aiojobs.Scheduler(limit=1, exception_handler=report)

    async def at_once(name):
        print(name, scheduler)
        return name

    print(await (await scheduler.spawn(at_once("first"))).wait())
    await scheduler.spawn(fails(turns=0), name="fails")
    pending = await scheduler.spawn(at_once("second"))
    print(pending)
    await value(turns=5)
    print(pending.closed, scheduler)
    await scheduler.close()


async def case_a_scheduler_from_a_job():
    outer = aiojobs.Scheduler()

    async def work():
        async with aiojobs.Scheduler(limit=1) as inner:
            jobs = [await inner.spawn(value(number)) for number in range(3)]
            return [await job.wait() for job in jobs]

    job = await outer.spawn(work())
    print(await job.wait())
    await outer.close()


async def case_copies_are_of_no_use():
    job = await aiojobs.Scheduler().spawn(value())
    print(copy.copy([job])[0] is job)
    await job.wait()
