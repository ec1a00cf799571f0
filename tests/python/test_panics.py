"""A panic in native code is a bug of ours; for the program it is an exception like others."""

import pytest

import rasyncio
from rasyncio import _rasyncio

pytestmark = pytest.mark.skipif(
    not hasattr(_rasyncio, "_panic_in_a_function"), reason="release builds do not panic to order"
)


def test_in_a_function():
    with pytest.raises(RuntimeError, match="panic in native code: asked to panic in a function"):
        _rasyncio._panic_in_a_function()


def test_in_a_callback_it_goes_to_the_exception_handler_and_the_loop_goes_on():
    reported = []

    async def main():
        loop = rasyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        _rasyncio._panic_in_a_callback()
        await rasyncio.sleep(0.01)
        return "went on"

    assert rasyncio.run(main()) == "went on"
    (error,) = reported
    assert isinstance(error, RuntimeError)
    assert "asked to panic in a callback" in str(error)


def test_in_a_coroutine_it_is_raised_where_it_is_awaited():
    async def main():
        with pytest.raises(RuntimeError, match="asked to panic in a coroutine"):
            await _rasyncio._panic_in_a_coroutine()
        return await rasyncio.sleep(0, "went on")

    assert rasyncio.run(main()) == "went on"
