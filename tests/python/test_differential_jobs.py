"""Random programs of jobs run on `rasyncio.scheduler` exactly as on the package aiojobs, and the package
on our loop as on the stock one. More of them: `python -m tests.differential.jobs`."""

import asyncio
import importlib
import pprint

import pytest
from _compare import MODULE

pytest.importorskip("aiojobs")

from differential import compare, corrected_jobs, jobs, loops  # noqa: E402

PROGRAMS = 300
BATCH = 50

pytestmark = pytest.mark.filterwarnings("ignore")

if MODULE == "asyncio":
    pytest.skip("needs rasyncio", allow_module_level=True)


@pytest.mark.parametrize("mixture", jobs.MIXTURES)
@pytest.mark.parametrize("first", range(0, PROGRAMS, BATCH))
def test_jobs_run_in_the_same_order(first, mixture):
    module = importlib.import_module(MODULE)
    for seed in range(first, first + BATCH):
        program = jobs.program(seed)
        found = jobs.difference(program, module, mixture)
        assert found is None, f"{found}\n\n{pprint.pformat(program)}"


@pytest.mark.slow
def test_ten_thousand_programs_of_jobs_run_in_the_same_order():
    module = importlib.import_module(MODULE)
    for seed in range(10_000):
        for mixture, found in jobs.differences(jobs.program(seed), module):
            pytest.fail(f"program {seed}, {mixture}: {found}")
        if seed % 200 == 199:
            compare.collect()


class StartsOneTooMany(corrected_jobs.Scheduler):
    def __init__(self, **keywords):
        super().__init__(**keywords)
        if self._limit is not None:
            self._limit += 1


class TakesATurnMoreToSpawn(corrected_jobs.Scheduler):
    async def spawn(self, coro, name=None):
        job = await super().spawn(coro, name)
        await asyncio.sleep(0)
        return job


class DoesNotWaitForWhatIsShielded(corrected_jobs.Scheduler):
    def shield(self, arg):
        return asyncio.shield(arg)


class StartsTheLastFirst(corrected_jobs.Scheduler):
    def _done(self, job):
        self._pending._queue.reverse()
        super()._done(job)
        self._pending._queue.reverse()


class TellsNobody(corrected_jobs.Scheduler):
    def call_exception_handler(self, context):
        pass


class ClosesWithoutWaiting(corrected_jobs.Scheduler):
    async def wait_and_close(self, timeout=None):
        await self.close()


FAULTY = corrected_jobs.Scheduler.__subclasses__()


@pytest.mark.parametrize("scheduler", FAULTY)
def test_the_comparison_notices_one_that(scheduler):
    for seed in range(300):
        program = jobs.program(seed)
        expected = jobs.package_log(program, loops.stock()[0])
        if jobs.package_log(program, loops.stock()[0], scheduler) != expected:
            return
    pytest.fail("300 programs run on it as on the package")


def test_the_same_number_makes_the_same_program():
    assert jobs.program(12) == jobs.program(12)
    assert jobs.program(12) != jobs.program(13)
