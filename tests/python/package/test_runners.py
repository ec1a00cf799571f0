"""run() and Runner beyond what CPython's own tests ask."""

import contextvars
import sys

import rasyncio as asyncio
import pytest


class Awaitable:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "awaited"


def test_any_awaitable_runs_on_every_version():
    assert asyncio.run(Awaitable()) == "awaited"


def test_a_native_coroutine_runs():
    assert asyncio.run(asyncio.sleep(0, "slept")) == "slept"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="refused until 3.14")
def test_a_future_runs():
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
        future.set_result("set")
        assert runner.run(future) == "set"


def test_what_cannot_be_awaited_is_refused():
    kind = TypeError if sys.version_info >= (3, 14) else ValueError
    with pytest.raises(kind):
        asyncio.run(lambda: None)


def test_runs_share_a_context_and_take_another():
    variable = contextvars.ContextVar("variable", default=0)

    async def add():
        variable.set(variable.get() + 1)
        return variable.get()

    with asyncio.Runner() as runner:
        assert [runner.run(add()), runner.run(add())] == [1, 2]
        assert runner.run(add(), context=contextvars.Context()) == 1
        assert runner.run(add()) == 3
    assert variable.get() == 0


def test_the_loop_factory_decides_on_the_loop():
    made = []

    def factory():
        made.append(asyncio.new_event_loop())
        return made[-1]

    async def main():
        return asyncio.get_running_loop()

    assert asyncio.run(main(), loop_factory=factory) is made[0]
    assert made[0].is_closed()


def test_it_runs_a_stock_loop_too():
    import asyncio as stock

    async def main():
        task = asyncio.create_task(asyncio.sleep(0, "slept"))
        async with asyncio.timeout(5):
            return await asyncio.gather(task, asyncio.to_thread(lambda: 1))

    loop_class = stock.SelectorEventLoop
    assert not issubclass(loop_class, asyncio.EventLoop)
    assert asyncio.run(main(), loop_factory=loop_class) == ["slept", 1]
