"""What native coroutines do with what they await: each test states what holds for those of the interpreter, too."""

import gc
import types

import pytest
from _coroutines import awaits, finish, plain


async def awaits_in_python(awaitable):
    return await awaitable


both_ways = pytest.mark.parametrize(
    "wrap", [awaits_in_python, awaits], ids=["interpreter", "native"]
)


class Recording:
    """An awaitable whose iterator notes what reaches it."""

    def __init__(self):
        self.seen = []

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        self.seen.append("next")
        return len(self.seen)

    def send(self, value):
        self.seen.append(("send", value))
        return len(self.seen)

    def throw(self, exception, *rest):
        self.seen.append(("throw", repr(exception)))
        if isinstance(exception, KeyError):
            raise StopIteration("swallowed")
        if isinstance(exception, IndexError):
            return "goes on"
        raise exception

    def close(self):
        self.seen.append("close")


@both_ways
def test_what_is_sent_reaches_what_is_awaited(wrap):
    awaited = Recording()
    coroutine = wrap(awaited)
    assert coroutine.send(None) == 1
    assert coroutine.send("x") == 2
    assert awaited.seen == ["next", ("send", "x")]
    coroutine.close()


@both_ways
def test_what_is_thrown_reaches_what_is_awaited(wrap):
    awaited = Recording()
    coroutine = wrap(awaited)
    coroutine.send(None)
    assert coroutine.throw(IndexError("first")) == "goes on"
    with pytest.raises(ValueError, match="second"):
        coroutine.throw(ValueError("second"))
    assert [kind for kind, _ in awaited.seen[1:]] == ["throw", "throw"]


@both_ways
def test_a_thrown_exception_may_become_the_result(wrap):
    coroutine = wrap(Recording())
    coroutine.send(None)
    with pytest.raises(StopIteration) as stop:
        coroutine.throw(KeyError())
    assert stop.value.value == "swallowed"


@both_ways
def test_close_closes_what_is_awaited(wrap):
    awaited = Recording()
    coroutine = wrap(awaited)
    coroutine.send(None)
    coroutine.close()
    assert awaited.seen == ["next", "close"]


@both_ways
def test_forgetting_a_suspended_coroutine_closes_what_it_awaits(wrap):
    awaited = Recording()
    coroutine = wrap(awaited)
    coroutine.send(None)
    del coroutine
    gc.collect()
    assert awaited.seen == ["next", "close"]


@both_ways
def test_ignoring_generator_exit_is_an_error(wrap):
    async def stubborn():
        try:
            await plain(0)
        except GeneratorExit:
            await plain(0)

    coroutine = wrap(stubborn())
    coroutine.send(None)
    with pytest.raises(RuntimeError, match="coroutine ignored GeneratorExit"):
        coroutine.close()


class Bad:
    def __init__(self, answer):
        self.answer = answer

    def __await__(self):
        return self.answer


@pytest.mark.parametrize("what", ["no awaitable", "no iterator", "a coroutine", "finished"])
def test_errors_are_the_interpreters(what):
    def awaitable():
        if what == "no awaitable":
            return 1
        if what == "no iterator":
            return Bad(1)
        if what == "a coroutine":
            inner = plain(0)
            inner.close()
            return Bad(inner)
        finished = plain(0)
        finished.close()
        return finished

    def error_of(wrap):
        with pytest.raises((TypeError, RuntimeError)) as caught:
            wrap(awaitable()).send(None)
        return type(caught.value), str(caught.value)

    assert error_of(awaits) == error_of(awaits_in_python)


@both_ways
def test_stop_iteration_does_not_leave_a_coroutine(wrap):
    class Stops:
        def __await__(self):
            return self

        def __next__(self):
            return None

        def send(self, value):
            return None

        def throw(self, exception):
            raise exception

    async def inner():
        await Stops()
        raise StopIteration("lost")

    coroutine = wrap(inner())
    coroutine.send(None)
    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        coroutine.throw(RuntimeError("coroutine raised StopIteration"))


@both_ways
def test_generator_based_coroutine_can_be_awaited(wrap):
    @types.coroutine
    def old_style():
        received = yield "out"
        return received

    coroutine = wrap(old_style())
    assert coroutine.send(None) == "out"
    with pytest.raises(StopIteration) as stop:
        coroutine.send("in")
    assert stop.value.value == "in"


@both_ways
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_nesting_too_deep_is_an_error(wrap):
    coroutine = plain(0)
    for _ in range(100_000):
        coroutine = wrap(coroutine)
    with pytest.raises(RecursionError):
        coroutine.send(None)


def test_reentry_is_refused():
    class Reenters:
        def __await__(self):
            with pytest.raises(ValueError, match="coroutine already executing"):
                coroutine.send(None)
            with pytest.raises(ValueError, match="coroutine already executing"):
                coroutine.close()
            yield

    coroutine = awaits(Reenters())
    coroutine.send(None)
    coroutine.close()


def test_cr_await_is_what_is_awaited():
    inner = plain(0)
    coroutine = awaits(inner)
    assert coroutine.cr_await is None
    coroutine.send(None)
    assert coroutine.cr_await is inner
    finish(coroutine)
    assert coroutine.cr_await is None
