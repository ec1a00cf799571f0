"""`rasyncio.scheduler`: where it is not the package aiojobs, putting it in the package's place, and the
collector."""

import asyncio
import contextlib
import gc
import importlib
import importlib.util
import signal
import sys
import weakref

import pytest

import rasyncio
from rasyncio import scheduler as jobs

PACKAGE = importlib.util.find_spec("aiojobs") and importlib.import_module("aiojobs")

needs_package = pytest.mark.skipif(not PACKAGE, reason="needs the package aiojobs")

pytestmark = pytest.mark.filterwarnings("ignore")


async def nothing(turns=1):
    for _ in range(turns):
        await rasyncio.sleep(0)


async def forever():
    await asyncio.get_running_loop().create_future()


def both(scenario):
    """What a scenario, a coroutine function of the module, answers for each of the two."""
    return rasyncio.run(scenario(jobs)), PACKAGE and asyncio.run(scenario(PACKAGE))


def assert_differs(scenario, ours, package):
    found = both(scenario)
    assert found[0] == ours
    # Should this fail, the package has been put right, and the docstring of the module is to be.
    assert not PACKAGE or found[1] == package


class Hung(KeyboardInterrupt):
    pass


@contextlib.contextmanager
def alarm(seconds):
    """Interrupts what goes round without a turn."""

    def ring(number, frame):
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Where it is not the package ---------------------------------------------------------------------------


def test_closing_a_pending_job_frees_no_place():
    async def scenario(module):
        active = most = 0

        async def work():
            nonlocal active, most
            active += 1
            most = max(most, active)
            await nothing(8)
            active -= 1

        async with module.Scheduler(limit=1) as scheduler:
            _, pending, _ = [await scheduler.spawn(work()) for _ in range(3)]
            await nothing()
            await pending.close()
            await nothing()
        return most

    assert_differs(scenario, ours=1, package=2)


def test_spawn_that_waits_is_refused_by_a_closed_scheduler():
    async def scenario(module):
        scheduler = module.Scheduler(limit=1, pending_limit=1)
        for _ in range(2):
            await scheduler.spawn(forever())
        coroutine = nothing()
        waiting = asyncio.ensure_future(scheduler.spawn(coroutine))
        await nothing()
        await scheduler.close()
        try:
            await waiting
        except RuntimeError as error:
            coroutine.close()
            return str(error)
        return "spawned"

    assert_differs(scenario, ours="Scheduling a new job after closing", package="spawned")


def test_spawn_that_has_waited_starts_its_job_if_there_is_room():
    async def scenario(module):
        scheduler = module.Scheduler(limit=2, pending_limit=1)
        for _ in range(2):
            await scheduler.spawn(nothing())
        await scheduler.spawn(forever())
        # Both end in one turn: the pending job takes one place, and the other is left.
        job = await scheduler.spawn(forever())
        active = job.active
        await scheduler.close()
        return active

    assert_differs(scenario, ours=True, package=False)


def test_waiting_for_a_pending_job_can_time_out():
    async def scenario(module):
        scheduler = module.Scheduler(limit=1)
        await scheduler.spawn(forever())
        pending = await scheduler.spawn(forever())
        try:
            await pending.wait(timeout=0.01)
        except Exception as error:
            found = type(error), pending.closed
        await scheduler.close()
        return found

    assert_differs(scenario, ours=(TimeoutError, True), package=(asyncio.InvalidStateError, True))


#: Since 3.12 gathering what is done takes no turn.
AT_ONCE = sys.version_info >= (3, 12)


def test_wait_and_close_after_the_end_of_a_shielded_future():
    async def scenario(module):
        scheduler = module.Scheduler()
        future = asyncio.get_running_loop().create_future()
        scheduler.shield(future)
        future.set_result(None)
        try:
            with alarm(0.5):
                await scheduler.wait_and_close()
        except Hung:
            return "hung"
        return scheduler.closed

    assert_differs(scenario, ours=True, package="hung" if AT_ONCE else True)


@pytest.mark.skipif(not AT_ONCE, reason="stock asyncio has no eager tasks before 3.12")
def test_wait_and_close_after_the_end_of_an_eager_job():
    async def scenario(module):
        loop = asyncio.get_running_loop()
        loop.set_task_factory(rasyncio.eager_task_factory if module is jobs else asyncio.eager_task_factory)
        scheduler = module.Scheduler()
        await scheduler.spawn(nothing(turns=0))
        try:
            with alarm(0.5):
                await scheduler.wait_and_close()
        except Hung:
            return "hung"
        return scheduler.closed

    assert_differs(scenario, ours=True, package="hung")


def test_pending_job_that_cannot_be_started_is_closed():
    async def scenario(module):
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        scheduler = module.Scheduler(limit=1)
        await scheduler.spawn(nothing())
        wrong, right = await scheduler.spawn(42), await scheduler.spawn(nothing())
        await nothing(6)
        found = wrong.closed, right.closed, len(scheduler), type(told[0]["exception"])
        for job in scheduler:
            job._coro = right._coro  # The package's own can be closed with this only.
        return found

    assert_differs(scenario, ours=(True, True, 0, TypeError), package=(False, False, 2, TypeError))


def test_job_whose_exception_handler_raises_is_closed():
    async def scenario(module):
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

        async def fails():
            raise ValueError

        def handler(scheduler, context):
            raise KeyError

        job = await module.Scheduler(exception_handler=handler).spawn(fails())
        await nothing(3)
        return job.closed, [type(context["exception"]) for context in told]

    assert_differs(scenario, ours=(True, [KeyError]), package=(False, [KeyError]))


@pytest.mark.parametrize("keywords", [{"limit": "1"}, {"pending_limit": "1"}, {"pending_limit": None}])
def test_a_limit_is_a_number(keywords):
    with pytest.raises(TypeError):
        jobs.Scheduler(**keywords)
    if PACKAGE:
        PACKAGE.Scheduler(**keywords)


def test_jobs_come_in_the_order_in_which_they_were_spawned():
    async def main():
        async with jobs.Scheduler(limit=20) as scheduler:
            spawned = [await scheduler.spawn(nothing(3)) for _ in range(50)]
            return list(scheduler) == spawned

    assert rasyncio.run(main())


# Misuse that the package does not know ------------------------------------------------------------------


def test_job_that_was_not_initialised():
    async def main():
        job = jobs.Job.__new__(jobs.Job)
        assert repr(job) == "<Job pending coro=<None>>"
        assert job.get_name() is None
        with pytest.raises(RuntimeError, match="not initialized"):
            await job.close()
        with pytest.raises(TypeError):
            await jobs.Job.__new__(jobs.Job).wait()

    rasyncio.run(main())


def test_job_needs_a_scheduler():
    async def main():
        coroutine = nothing()
        with pytest.raises(TypeError, match="a Scheduler is expected, got 42"):
            jobs.Job(coroutine, 42)
        coroutine.close()

    rasyncio.run(main())


def test_scheduler_that_is_initialised_again_has_no_jobs():
    async def main():
        scheduler = jobs.Scheduler()
        old = await scheduler.spawn(nothing())
        scheduler.__init__(limit=1)
        assert len(scheduler) == 0 and scheduler.limit == 1
        new = [await scheduler.spawn(nothing(5)) for _ in range(2)]
        await old.wait()
        await nothing()
        assert list(scheduler) == new
        await scheduler.wait_and_close()

    rasyncio.run(main())


def test_job_that_starts_in_a_handler_of_another():
    """An exception handler may spawn and close: no state is borrowed while it runs."""

    async def main():
        spawned = []

        def handler(scheduler, context):
            task = rasyncio.ensure_future(scheduler.spawn(nothing()))
            spawned.append(task)
            if len(spawned) == 3:
                spawned.append(rasyncio.ensure_future(scheduler.close()))

        async def fails():
            raise ValueError

        scheduler = jobs.Scheduler(limit=1, exception_handler=handler)
        for _ in range(3):
            await scheduler.spawn(fails())
        await nothing(20)
        assert scheduler.closed and len(scheduler) == 0

    rasyncio.run(main())


# In the place of the package ----------------------------------------------------------------------------


@needs_package
def test_install_and_uninstall():
    from aiojobs import _scheduler

    before = PACKAGE.Scheduler
    jobs.install()
    try:
        jobs.install()
        assert PACKAGE.Scheduler is _scheduler.Scheduler is jobs.Scheduler
        assert PACKAGE.create_scheduler is jobs.create_scheduler
    finally:
        jobs.uninstall()
        jobs.uninstall()
    assert PACKAGE.Scheduler is _scheduler.Scheduler is before


def test_install_without_the_package(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "aiojobs":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiojobs", None)
    with pytest.raises(ImportError):
        jobs.install()
    jobs.uninstall()


def test_on_a_stock_loop():
    async def main():
        async with jobs.Scheduler(limit=2) as scheduler:
            spawned = [await scheduler.spawn(asyncio.sleep(0, number)) for number in range(5)]
            return [await job.wait() for job in spawned]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(main()) == list(range(5))


# The collector ------------------------------------------------------------------------------------------


def collected(reference):
    for _ in range(3):
        gc.collect()
    return reference() is None


def test_abandoned_scheduler():
    loop = rasyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)

    async def main():
        scheduler = jobs.Scheduler(limit=1, pending_limit=1)
        scheduler.itself = scheduler
        for _ in range(2):
            job = await scheduler.spawn(forever())
            job.scheduler = scheduler
        scheduler.shield(forever())
        scheduler.waiting = [
            rasyncio.ensure_future(awaitable)
            for awaitable in (scheduler.spawn(forever()), job.wait(), scheduler.wait_and_close())
        ]
        await nothing()
        return weakref.ref(scheduler)

    reference = loop.run_until_complete(main())
    loop.run_until_complete(nothing())
    loop.close()
    del loop
    assert collected(reference)


def test_closed_scheduler_goes_with_its_last_reference():
    async def main():
        references = []
        gc.collect()
        gc.disable()
        try:
            scheduler = jobs.Scheduler()
            job = await scheduler.spawn(nothing())
            await job.wait()
            await scheduler.wait_and_close()
            references = [weakref.ref(scheduler), weakref.ref(job)]
            del scheduler, job
            await nothing()
            return [reference() for reference in references]
        finally:
            gc.enable()

    assert rasyncio.run(main()) == [None, None]


def test_job_that_has_ended_lets_go_of_its_scheduler():
    async def main():
        scheduler = jobs.Scheduler()
        job = await scheduler.spawn(nothing())
        await job.wait()
        await scheduler.close()
        reference = weakref.ref(scheduler)
        del scheduler
        await nothing()
        return reference() is None or collected(reference)

    assert rasyncio.run(main())
