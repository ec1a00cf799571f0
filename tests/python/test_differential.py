"""Random programs run on rasyncio exactly as on stock asyncio. More of them: `python -m tests.differential`."""

import asyncio
import functools
import importlib
import pprint

import pytest
from _compare import MODULE
from differential import compare, generate, loops, mutants, shrink

PROGRAMS = 300
BATCH = 50

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("mixture", compare.MIXTURES)
@pytest.mark.parametrize("first", range(0, PROGRAMS, BATCH))
@pytest.mark.parametrize("family", compare.FAMILIES)
def test_programs_run_in_the_same_order(family, first, mixture):
    module = importlib.import_module(MODULE)
    for seed in range(first, first + BATCH):
        program = compare.program(family, seed)
        found = compare.difference(program, module, mixture)
        assert found is None, f"{found}\n\n{pprint.pformat(program)}"


@pytest.mark.slow
@pytest.mark.parametrize("family", compare.FAMILIES)
def test_ten_thousand_programs_run_in_the_same_order(family):
    module = importlib.import_module(MODULE)
    for seed in range(10_000):
        for mixture, found in compare.differences(compare.program(family, seed), module):
            pytest.fail(f"program {seed}, {mixture}: {found}")
        if seed % 200 == 199:
            compare.collect()


class SwapsEverySecond(loops.VirtualTimeLoop):
    """A loop that gets the order wrong now and then."""

    calls = 0

    def call_soon(self, callback, *args, context=None):
        handle = super().call_soon(callback, *args, context=context)
        self.calls += 1
        if self.calls % 3 == 0 and len(self._ready) > 1:
            self._ready.rotate(1)
        return handle


def test_the_comparison_notices_a_wrong_order():
    differing = 0
    for seed in range(30):
        program = generate.program(seed)
        wrong = compare.play(program, asyncio, SwapsEverySecond(), 1.0)
        differing += wrong != compare.stock_log(program)
    assert differing > 5


@functools.cache
def program_and_stock_log(family, seed):
    program = compare.program(family, seed)
    return program, compare.stock_log(program)


@pytest.mark.parametrize("fault", mutants.MUTANTS)
def test_the_comparison_notices_a_faulty(fault):
    module = mutants.namespace(mutants.MUTANTS[fault])
    family = mutants.family(mutants.MUTANTS[fault])
    for seed in range(1000):
        program, expected = program_and_stock_log(family, seed)
        if compare.play(program, module, *loops.stock()) != expected:
            return
    pytest.fail(f"a thousand programs run on {fault} as on the stock class")


@pytest.mark.parametrize("family", compare.FAMILIES)
def test_the_same_number_makes_the_same_program(family):
    assert compare.program(family, 12) == compare.program(family, 12)
    assert compare.program(family, 12) != compare.program(family, 13)


def test_shrinking_keeps_only_what_makes_the_program_fail():
    program = {"script": [("log",), ("timeout", 1, [("log",), ("turn",), ("raise", "Boom")]), ("log",)]}

    def fails(program):
        return "raise" in repr(program["script"])

    assert shrink.shrink(program, fails)["script"] == [("raise", "Boom")]
