"""The collector finds what nobody refers to any more, through tasks, futures, handles and loops."""

import asyncio
import contextlib
import gc
import importlib
import weakref

import pytest
from _compare import MODULE

aio = importlib.import_module(MODULE)

pytestmark = pytest.mark.filterwarnings("ignore")


class Marker:
    """Something to watch: an object that can be weakly referred to and can refer to anything."""


@pytest.fixture
def loop():
    loop = aio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    yield loop
    loop.close()


def turn(loop):
    loop.run_until_complete(aio.sleep(0))


def assert_collected(reference):
    for _ in range(3):
        gc.collect()
    assert reference() is None


def test_abandoned_loop_with_everything_pending():
    loop = aio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    marker = Marker()
    marker.loop = loop
    loop.call_soon(print, marker)
    loop.call_later(3600, print, marker)
    loop.call_later(3600, print, marker).cancel()
    loop.create_future().add_done_callback(lambda future, marker=marker: None)
    loop.create_task(waits_on(loop.create_future(), marker))
    reference = weakref.ref(marker)
    del loop, marker
    assert_collected(reference)


async def waits_on(future, marker=None):
    await future


async def suspended(awaitable, marker):
    await awaitable


def test_abandoned_loop_that_has_run():
    loop = aio.new_event_loop()
    marker = Marker()
    marker.loop = loop
    turn(loop)
    loop.set_exception_handler(lambda loop, context, marker=marker: None)
    loop.set_task_factory(lambda loop, coroutine, marker=marker, **rest: None)
    reference = weakref.ref(marker)
    del loop, marker
    assert_collected(reference)


def test_loop_in_an_attribute_of_a_subclass():
    class Loop(aio.SelectorEventLoop):
        pass

    loop = Loop()
    loop.itself = loop
    reference = weakref.ref(loop)
    loop.close()
    del loop
    assert_collected(reference)


def test_task_that_waits_on_a_future_only_it_knows(loop):
    marker = Marker()
    task = loop.create_task(waits_on(loop.create_future(), marker))
    turn(loop)
    reference = weakref.ref(marker)
    task_reference = weakref.ref(task)
    del marker, task
    assert_collected(reference)
    assert task_reference() is None


@pytest.mark.parametrize(
    "make",
    [
        lambda loop: aio.Event().wait(),
        lambda loop: aio.Queue().get(),
        lambda loop: locked().acquire(),
        lambda loop: aio.Semaphore(0).acquire(),
        lambda loop: aio.shield(loop.create_future()),
        lambda loop: aio.gather(loop.create_future(), loop.create_future()),
        lambda loop: aio.wait([loop.create_future()]),
        lambda loop: aio.wait_for(loop.create_future(), None),
        lambda loop: waits_on(waits_on(loop.create_future())),
        lambda loop: next(iter(aio.as_completed([loop.create_future()]))),
    ],
    ids="event queue lock semaphore shield gather wait wait_for coroutines as_completed".split(),
)
def test_task_abandoned_in(make, loop):
    marker = Marker()

    async def start():
        return aio.create_task(suspended(make(loop), marker))

    task = loop.run_until_complete(start())
    turn(loop)
    turn(loop)
    task._log_destroy_pending = False
    reference = weakref.ref(marker)
    marker.task = task
    del marker, task, start
    assert_collected(reference)


def locked():
    lock = aio.Lock()
    lock._locked = True
    return lock


def test_task_that_refers_to_itself_through_its_result(loop):
    async def work(marker):
        marker.task = aio.current_task()
        return marker

    marker = Marker()
    loop.run_until_complete(work_in_a_task(work, marker))
    reference = weakref.ref(marker)
    del marker
    assert_collected(reference)


async def work_in_a_task(work, marker):
    await aio.create_task(work(marker))


def test_task_that_refers_to_itself_through_its_error(loop):
    async def fail(marker):
        marker.task = aio.current_task()
        raise ValueError(marker)

    async def main(marker):
        with contextlib.suppress(ValueError):
            await aio.create_task(fail(marker))

    marker = Marker()
    loop.run_until_complete(main(marker))
    reference = weakref.ref(marker)
    del marker
    assert_collected(reference)


def test_future_with_a_callback_that_refers_to_it(loop):
    future = loop.create_future()
    marker = Marker()
    marker.future = future
    for _ in range(3):
        future.add_done_callback(lambda future, marker=marker: None)
    reference = weakref.ref(marker)
    del future, marker
    assert_collected(reference)


def test_future_whose_result_refers_to_it(loop):
    future = loop.create_future()
    marker = Marker()
    marker.future = future
    future.set_result(marker)
    reference = weakref.ref(marker)
    del future, marker
    assert_collected(reference)


def test_future_with_attributes_of_a_subclass(loop):
    class Future(aio.Future):
        pass

    future = Future(loop=loop)
    future.itself = future
    reference = weakref.ref(future)
    del future
    assert_collected(reference)


def test_cancelled_handles_let_go_at_once(loop):
    gc.disable()
    try:
        for make in (lambda marker: loop.call_soon(print, marker), lambda marker: loop.call_later(9, print, marker)):
            marker = Marker()
            reference = weakref.ref(marker)
            handle = make(marker)
            del marker
            assert reference() is not None
            handle.cancel()
            assert reference() is None
    finally:
        gc.enable()


def test_handles_that_ran_let_go(loop):
    marker = Marker()
    reference = weakref.ref(marker)
    loop.call_soon(id, marker)
    del marker
    gc.disable()
    try:
        turn(loop)
        assert reference() is None
    finally:
        gc.enable()


def test_closing_a_loop_lets_go_of_what_waits():
    loop = aio.new_event_loop()
    marker = Marker()
    reference = weakref.ref(marker)
    loop.call_soon(print, marker)
    loop.call_later(3600, print, marker)
    del marker
    loop.close()
    assert_collected(reference)


def test_results_are_not_kept_after_they_were_awaited(loop):
    async def make():
        return Marker()

    async def main():
        references = []
        for awaitable in (
            lambda: make(),
            lambda: aio.create_task(make()),
            lambda: aio.wait_for(make(), 60),
            lambda: aio.shield(make()),
        ):
            references.append(weakref.ref(await awaitable()))
            await aio.sleep(0)
        references.append(weakref.ref((await aio.gather(make()))[0]))
        await aio.sleep(0)
        return [reference() for reference in references]

    assert loop.run_until_complete(main()) == [None] * 5


def test_context_of_a_finished_task_goes_with_it(loop):
    import contextvars

    variable = contextvars.ContextVar("variable")

    async def work():
        variable.set(Marker())
        return weakref.ref(variable.get())

    async def main():
        return await aio.create_task(work())

    reference = loop.run_until_complete(main())
    assert_collected(reference)


OPERATIONS = {
    "task": lambda aio, work: aio.create_task(work()),
    "gather": lambda aio, work: aio.gather(work(), work(), return_exceptions=False),
    "wait_for": lambda aio, work: aio.wait_for(work(), 60),
    "shield": lambda aio, work: aio.shield(work()),
    "coroutine": lambda aio, work: work(),
    "group": lambda aio, work: in_a_group(aio, work),
    "timeout": lambda aio, work: in_a_timeout(aio, work),
}


async def in_a_group(aio, work):
    async with aio.TaskGroup() as group:
        group.create_task(work())


async def in_a_timeout(aio, work):
    async with aio.timeout(60):
        await work()


def garbage_made_by(aio, operation, error):
    """How many objects only the collector could free after the operation was done 50 times."""

    async def work():
        await aio.sleep(0)
        if error is not None:
            raise error

    async def main():
        for _ in range(50):
            with contextlib.suppress(Exception, aio.CancelledError):
                await operation(aio, work)
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                with contextlib.suppress(Exception, aio.CancelledError):
                    await operation(aio, work)
            return gc.collect()
        finally:
            gc.enable()

    loop = aio.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


@pytest.mark.parametrize("error", [None, ValueError, asyncio.CancelledError], ids=["succeeds", "fails", "is cancelled"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_more_work_for_the_collector_than_stock_makes(operation, error):
    ours = garbage_made_by(aio, OPERATIONS[operation], error)
    stock = garbage_made_by(asyncio, OPERATIONS[operation], error)
    # A few objects belong to the measurement, whichever comes first.
    assert ours <= stock + 20
