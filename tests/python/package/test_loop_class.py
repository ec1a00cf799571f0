"""The loop class has native methods of its own, and what overrides one of them is noticed."""

import inspect
import pydoc
import types
from unittest import mock

import pytest
import rasyncio as asyncio

HOT = ["call_soon", "call_later", "call_at", "call_soon_threadsafe", "create_task", "create_future", "time"]


async def wake_a_task():
    """On the native path no public method is called for the step that follows."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    task = asyncio.create_task(asyncio.wait_for(future, None))
    await asyncio.sleep(0)
    future.set_result("woken")
    return await task


def run(loop_class):
    with asyncio.Runner(loop_factory=loop_class) as runner:
        return runner.run(wake_a_task()), runner.get_loop()


@pytest.mark.parametrize("name", HOT)
def test_methods_are_of_exactly_the_class_of_the_loop(name):
    # The interpreter's specialised calls ask for that.
    method = vars(asyncio.EventLoop)[name]
    if isinstance(method, types.FunctionType):
        pytest.skip("written in Python on this version")
    assert method.__objclass__ is asyncio.EventLoop


@pytest.mark.parametrize("name", ["done", "result", "add_done_callback", "cancel"])
def test_methods_of_tasks_are_of_exactly_their_class(name):
    assert vars(asyncio.Task)[name].__objclass__ is asyncio.Task


def test_methods_that_the_class_defines_are_left_alone():
    assert inspect.isfunction(asyncio.EventLoop.close)
    assert inspect.isfunction(asyncio.EventLoop.add_signal_handler)


@pytest.mark.parametrize("name", HOT)
def test_help_and_signatures(name):
    method = getattr(asyncio.EventLoop, name)
    assert "self" in inspect.signature(method).parameters
    text = pydoc.render_doc(method, renderer=pydoc.plaintext)
    assert f"{name}(self" in text and len(text.splitlines()) > 3


def test_call_soon_of_something_else_than_a_loop():
    with pytest.raises(TypeError):
        asyncio.EventLoop.call_soon(object(), print)


def test_a_subclass_may_override_and_call_the_method():
    class Loop(asyncio.EventLoop):
        calls = 0

        def call_soon(self, callback, *args, context=None):
            self.calls += 1
            return super().call_soon(callback, *args, context=context)

    outcome, loop = run(Loop)
    assert outcome == "woken" and loop.calls > 2


def test_a_class_before_ours_may_override():
    class Counting:
        calls = 0

        def call_soon(self, callback, *args, context=None):
            self.calls += 1
            return super().call_soon(callback, *args, context=context)

    outcome, loop = run(type("Loop", (Counting, asyncio.EventLoop), {}))
    assert outcome == "woken" and loop.calls > 2


def test_an_assignment_to_the_loop_is_noticed():
    with asyncio.Runner(loop_factory=asyncio.EventLoop) as runner:
        loop = runner.get_loop()
        with mock.patch.object(loop, "call_soon", wraps=loop.call_soon) as call_soon:
            assert runner.run(wake_a_task()) == "woken"
        assert call_soon.call_count > 2


def test_an_assignment_to_the_class_is_noticed():
    original = asyncio.EventLoop.call_soon
    calls = []

    def call_soon(self, callback, *args, context=None):
        calls.append(callback)
        return original(self, callback, *args, context=context)

    with mock.patch.object(asyncio.EventLoop, "call_soon", call_soon):
        assert run(asyncio.EventLoop)[0] == "woken"
    assert len(calls) > 2
    assert asyncio.EventLoop.call_soon is original


def test_a_subclass_that_overrides_nothing_of_that_stays_native():
    calls = mock.Mock()

    class Loop(asyncio.EventLoop):
        def call_exception_handler(self, context):
            calls(context)

    assert run(Loop)[0] == "woken"
    assert not calls.called
