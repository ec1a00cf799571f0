"""Native coroutines behave as the interpreter's own: each test states what holds for both."""

import asyncio
import collections.abc
import copy
import gc
import inspect
import pickle
import sys
import time
import traceback
import unittest.mock
import warnings
import weakref

import pytest
from _coroutines import awaits, finish, plain

import rasyncio


both = pytest.mark.parametrize("make", [plain, rasyncio.sleep], ids=["interpreter", "native"])


@both
def test_is_a_coroutine_for_everybody_who_asks(make):
    coroutine = make(0)
    assert inspect.iscoroutine(coroutine)
    assert inspect.isawaitable(coroutine)
    assert asyncio.iscoroutine(coroutine)
    assert isinstance(coroutine, collections.abc.Coroutine)
    coroutine.close()


@both
def test_states(make):
    coroutine = make(0)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    coroutine.send(None)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_SUSPENDED
    assert (coroutine.cr_running, coroutine.cr_suspended) == (False, True)
    finish(coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    assert coroutine.cr_frame is None


@both
@pytest.mark.parametrize("value", [None, 5, (1, 2), (), ValueError("a value"), StopIteration(1)])
def test_any_value_is_returned_as_it_is(make, value):
    async def outer():
        return await make(0, value)

    assert finish(make(0, value)) is value
    assert finish(outer()) is value


@both
def test_first_send_must_be_none(make):
    coroutine = make(0)
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        coroutine.send(1)
    finish(coroutine)


@both
@pytest.mark.parametrize("end", [finish, lambda coroutine: coroutine.close()])
def test_a_finished_coroutine_is_not_reused(make, end):
    coroutine = make(0)
    end(coroutine)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coroutine.send(None)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coroutine.throw(ValueError())
    coroutine.close()


@both
def test_is_not_iterable_but_its_await_is(make):
    coroutine = make(0, 3)
    with pytest.raises(TypeError, match="is not iterable"):
        iter(coroutine)
    assert list(coroutine.__await__()) == [None]


@both
def test_throw_before_the_first_step(make):
    coroutine = make(0)
    with pytest.raises(ValueError, match="early") as caught:
        coroutine.throw(ValueError("early"))
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == make.__name__


@both
def test_throw_takes_class_value_and_traceback(make):
    coroutine = make(0)
    coroutine.send(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(KeyError, match="why"):
            coroutine.throw(KeyError, "why", None)


@both
@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1,), "exceptions must be classes or instances deriving from BaseException, not int"),
        ((ValueError(), 3), "instance exception may not have a separate value"),
        ((ValueError, 1, 2), "third argument must be a traceback object"),
    ],
)
def test_throw_refuses(make, arguments, message):
    coroutine = make(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(TypeError, match=message):
            coroutine.throw(*arguments)
    finish(coroutine)


@both
def test_never_awaited(make):
    with pytest.warns(RuntimeWarning, match=f"coroutine '{make.__name__}' was never awaited"):
        make(0)
        gc.collect()


@both
def test_closed_before_it_began_is_no_reason_to_warn(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(0).close()


@both
def test_names(make):
    coroutine = make(0)
    assert coroutine.__name__ == coroutine.__qualname__ == make.__name__
    assert repr(coroutine).startswith(f"<coroutine object {make.__name__} at 0x")
    coroutine.__name__ = "other"
    coroutine.__qualname__ = "some.other"
    assert (coroutine.__name__, coroutine.__qualname__) == ("other", "some.other")
    with pytest.raises(TypeError, match="__name__ must be set to a string object"):
        coroutine.__name__ = 1
    coroutine.close()


@both
def test_frame_names_the_function(make):
    coroutine = make(0)
    assert coroutine.cr_frame.f_code is coroutine.cr_code
    assert coroutine.cr_code.co_name == make.__name__
    assert inspect.getframeinfo(coroutine.cr_frame).function == make.__name__
    coroutine.close()


@both
def test_weak_reference_ends_with_the_coroutine(make):
    coroutine = make(0)
    reference = weakref.ref(coroutine)
    finish(coroutine)
    del coroutine
    assert reference() is None


@both
def test_two_cannot_await_the_same(make):
    class Suspend:
        def __await__(self):
            yield

    async def inner():
        if make is plain:
            await Suspend()
        else:
            await rasyncio.wait_for(Suspend(), None)

    async def outer():
        await shared

    shared = inner() if make is plain else rasyncio.wait_for(Suspend(), None)
    first, second = outer(), outer()
    first.send(None)
    with pytest.raises(RuntimeError, match="coroutine is being awaited already"):
        second.send(None)
    first.close()


def test_a_merged_coroutine_shows_both_frames():
    async def main():
        future = rasyncio.get_running_loop().create_future()
        coroutine = rasyncio.wait([future])
        task = rasyncio.create_task(coroutine)
        await rasyncio.sleep(0)
        names = []
        step = coroutine
        while step is not None and hasattr(step, "cr_await"):
            names.append(step.cr_frame.f_code.co_name)
            step = step.cr_await
        future.set_result(None)
        await task
        return names

    assert rasyncio.run(main()) == ["wait", "_wait"]


def test_a_cycle_through_a_suspended_coroutine_is_collected():
    class Endless:
        def __await__(self):
            yield

    awaited = Endless()
    awaited.coroutine = awaits(awaited)
    awaited.coroutine.send(None)
    reference = weakref.ref(awaited)
    del awaited
    gc.collect()
    assert reference() is None


def test_an_abandoned_sleep_is_collected_with_its_loop():
    async def main():
        marker.task = rasyncio.create_task(rasyncio.sleep(1000, marker))
        marker.task._log_destroy_pending = False
        await rasyncio.sleep(0)

    class Marker:
        pass

    marker = Marker()
    reference = weakref.ref(marker)
    loop = rasyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    del marker, loop, main
    gc.collect()
    assert reference() is None


def test_exceptions_carry_an_entry_of_the_coroutine():
    async def fails():
        raise LookupError

    with pytest.raises(LookupError) as caught:
        rasyncio.run(awaits(fails()))
    names = [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-2:] == ["wait_for", "fails"]


def test_a_timeout_has_the_cancellation_as_cause_and_context():
    with pytest.raises(TimeoutError) as caught:
        rasyncio.run(rasyncio.wait_for(rasyncio.sleep(1000), 0.001))
    error = caught.value
    assert isinstance(error.__cause__, asyncio.CancelledError)
    assert error.__context__ is error.__cause__


def test_functions_are_known_as_coroutine_functions():
    assert rasyncio.iscoroutinefunction(rasyncio.sleep)
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(rasyncio.sleep)
    with unittest.mock.patch("rasyncio.sleep") as patched:
        assert isinstance(patched, unittest.mock.AsyncMock)


@pytest.mark.parametrize("name", ["sleep", "wait", "wait_for", "to_thread"])
def test_functions_have_the_signatures_of_asyncio(name):
    assert inspect.signature(getattr(rasyncio, name)) == inspect.signature(getattr(asyncio, name))


def test_functions_are_pickled_and_copied_by_name():
    assert pickle.loads(pickle.dumps(rasyncio.sleep)) is rasyncio.sleep
    assert copy.deepcopy(rasyncio.sleep) is rasyncio.sleep


def test_a_function_in_a_class_is_a_method():
    class Holder:
        pause = rasyncio.sleep

    coroutine = Holder.pause(0, "result")
    assert finish(coroutine) == "result"
    with pytest.raises(TypeError, match="'<=' not supported between instances of 'Holder'"):
        finish(Holder().pause())


# What is needed of native code for these is in debug builds only.
_woken_by_a_thread = getattr(rasyncio._rasyncio, "_woken_by_a_thread", None)
rust_futures = pytest.mark.skipif(_woken_by_a_thread is None, reason="a release build")
on_each_loop = pytest.mark.parametrize(
    "make_loop", [rasyncio.new_event_loop, asyncio.SelectorEventLoop], ids=["ours", "stock"]
)


def run_on(make_loop, coroutine):
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(coroutine)


@rust_futures
@on_each_loop
def test_a_rust_future_is_woken_from_a_thread(make_loop):
    async def main():
        await asyncio.gather(*(_woken_by_a_thread(0.001 * i) for i in range(10)))
        return await _woken_by_a_thread(0)

    assert run_on(make_loop, main()) is None


@rust_futures
@on_each_loop
def test_a_rust_future_is_cancelled_with_the_very_exception(make_loop):
    async def main():
        task = asyncio.ensure_future(_woken_by_a_thread(0.01))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        # The thread wakes what is gone, and nothing comes of it.
        await asyncio.sleep(0.02)

    run_on(make_loop, main())


@rust_futures
def test_a_rust_future_may_be_woken_after_its_loop_has_closed():
    async def main():
        task = rasyncio.create_task(_woken_by_a_thread(0.01))
        await rasyncio.sleep(0)
        task._log_destroy_pending = False

    loop = rasyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
    time.sleep(0.03)


@rust_futures
def test_a_rust_future_ends_with_its_coroutine():
    async def main():
        coroutine = _woken_by_a_thread(0.005)
        coroutine.send(None)
        coroutine.close()
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
        await rasyncio.sleep(0.01)

    rasyncio.run(main())


def test_a_returned_value_is_let_go_at_once():
    class Value:
        pass

    async def outer():
        reference = weakref.ref(await rasyncio.sleep(0, Value()))
        return reference() is None

    assert finish(outer())


def test_who_drives_a_future_by_hand_finds_a_stop_iteration_like_any():
    async def main():
        future = rasyncio.get_running_loop().create_future()
        future.set_result((1, 2))
        with pytest.raises(StopIteration) as caught:
            next(future.__await__())
        stop = caught.value
        assert (type(stop).__name__, stop.value, stop.args) == ("StopIteration", (1, 2), ((1, 2),))
        assert (repr(stop), str(stop)) == ("StopIteration((1, 2))", "(1, 2)")
        copied = copy.copy(stop)
        assert (type(copied), copied.value) == (StopIteration, (1, 2))
        stop.args = [3]
        assert stop.args == (3,)

    rasyncio.run(main())


@pytest.mark.skipif(
    sys.version_info >= (3, 15), reason="3.15 resumes by am_send, which ends without an exception"
)
def test_a_tracer_may_keep_what_ends_an_await():
    kept = []

    def tracer(frame, event, argument):
        if event == "exception":
            kept.append(argument[1])
        return tracer

    async def outer():
        return [await rasyncio.sleep(0, number) for number in range(5)]

    sys.settrace(tracer)
    try:
        assert finish(outer()) == [0, 1, 2, 3, 4]
    finally:
        sys.settrace(None)
    # The last one ends `outer` itself.
    assert [stop.value for stop in kept[:5]] == [0, 1, 2, 3, 4]
