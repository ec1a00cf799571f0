"""Nothing leaks: objects, references and memory are after many operations where they were before."""

import contextlib
import gc
import importlib
import io
import os

import pytest
from _compare import MODULE
from _leaks import growth
from _workloads import WORKLOADS

aio = importlib.import_module(MODULE)

pytestmark = pytest.mark.filterwarnings("ignore")


def watched():
    return [aio.Future, aio.Task, aio.Handle, aio.TimerHandle, ValueError, aio.TimeoutError]


def check(grown):
    """Allows for what caches keep, however many operations there were."""
    assert grown.objects < 20, grown
    assert grown.references < 20, grown
    assert grown.blocks < 60, grown
    assert grown.allocated < 20_000, grown


def runs(name):
    def run(count):
        with aio.Runner(loop_factory=aio.new_event_loop) as runner:
            runner.run(WORKLOADS[name](aio, count))

    return run


@pytest.mark.parametrize("name", WORKLOADS)
def test_leaves_nothing_behind(name):
    check(growth(runs(name), 2000, watched()))


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_million_leave_nothing_behind(name):
    grown = growth(runs(name), 1_000_000, watched())
    check(grown)
    assert grown.resident < 2_000_000, grown


def test_loops_leave_nothing_behind():
    def run(count):
        with contextlib.redirect_stdout(io.StringIO()):
            for _ in range(count):
                loop = aio.new_event_loop()
                loop.call_soon(print)
                loop.call_later(3600, print)
                loop.create_future().add_done_callback(print)
                loop.run_until_complete(aio.sleep(0))
                loop.close()

    check(growth(run, 200, watched()))


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_closing_a_loop_closes_its_descriptors():
    gc.collect()
    before = open_descriptors()
    loops = [aio.new_event_loop() for _ in range(20)]
    assert open_descriptors() >= before + 20
    for loop in loops:
        loop.run_until_complete(aio.sleep(0))
        loop.close()
    assert open_descriptors() == before


def test_descriptors_of_forgotten_loops_are_closed():
    gc.collect()
    before = open_descriptors()
    for _ in range(20):
        loop = aio.new_event_loop()
        loop.call_soon(lambda loop=loop: loop)
        del loop
    gc.collect()
    assert open_descriptors() <= before
