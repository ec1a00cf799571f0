"""run_in_executor with every kind of pool that the standard library has."""

import concurrent.futures

import pytest

import rasyncio


def answer_of(make_pool):
    async def main():
        with make_pool() as pool:
            return await rasyncio.get_running_loop().run_in_executor(pool, pow, 3, 4)

    return rasyncio.run(main())


def test_the_default_executor():
    async def main():
        return await rasyncio.get_running_loop().run_in_executor(None, pow, 3, 4)

    assert rasyncio.run(main()) == 81


def test_threads():
    assert answer_of(lambda: concurrent.futures.ThreadPoolExecutor(max_workers=1)) == 81


def test_processes():
    assert answer_of(lambda: concurrent.futures.ProcessPoolExecutor(max_workers=1)) == 81


@pytest.mark.skipif(
    not hasattr(concurrent.futures, "InterpreterPoolExecutor"), reason="new in Python 3.14"
)
def test_interpreters():
    assert answer_of(lambda: concurrent.futures.InterpreterPoolExecutor(max_workers=1)) == 81


def test_an_exception_comes_out_as_it_was_raised():
    async def main():
        await rasyncio.get_running_loop().run_in_executor(None, int, "no number")

    with pytest.raises(ValueError, match="no number"):
        rasyncio.run(main())
