"""The conformance runner sees what happens to a test, and judges it rightly."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import processes  # noqa: E402
import verdict  # noqa: E402
from processes import Limits, Outcome  # noqa: E402


class ThisInterpreter:
    def command(self, *arguments):
        return [sys.executable, *arguments]

    def environment(self, *, install):
        return {**os.environ, "PYTHONPATH": str(HERE)}


@pytest.fixture(scope="module")
def kinds():
    run = processes.run_file(
        ThisInterpreter(), "sample_tests", install=False, limits=Limits(test=2.0, file=60.0)
    )
    return {name.split(".")[-1]: outcome.kind for name, outcome in run.outcomes.items()}


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ("test_a_passes", "passed"),
        ("test_b_fails", "failed"),
        ("test_c_is_skipped", "skipped"),
        ("test_d_crashes", "crashed"),
        ("test_e_hangs", "hung"),
        ("test_f_fails_in_a_subtest", "failed"),
        ("test_g_fails_as_expected", "passed"),
        ("test_h_passes_unexpectedly", "failed"),
    ],
)
def test_outcome_of(kinds, test, kind):
    assert kinds[test] == kind


def test_a_hang_and_a_crash_hide_no_later_test(kinds):
    assert kinds["test_i_passes_after_all_that"] == "passed"


def test_a_broken_fixture_fails_and_its_tests_do_not_run(kinds):
    assert kinds["BrokenFixture)"] == "failed"
    assert "test_never_runs" not in kinds


def test_a_module_that_cannot_be_imported_fails():
    run = processes.run_file(
        ThisInterpreter(), "no_such_module", install=False, limits=Limits(test=10.0, file=60.0)
    )
    assert run.outcomes[processes.LOAD].kind == "crashed"
    assert "ModuleNotFoundError" in run.outcomes[processes.LOAD].detail


def test_every_module_of_cpythons_tests_is_named():
    """None is passed over in silence: it is required, reported, or left out with a reason."""
    package = pytest.importorskip("test.test_asyncio")
    with open(HERE / "suites.toml", "rb") as file:
        suites = tomllib.load(file)
    assert all(reason.strip() for reason in suites["left_out"].values())
    named = {*suites["required"], *suites["reported"], *suites["left_out"]}
    modules = {f"test.test_asyncio.{path.stem}" for path in Path(package.__path__[0]).glob("test_*.py")}
    assert modules - named == set()


PASSED, FAILED, SKIPPED = Outcome("passed"), Outcome("failed"), Outcome("skipped")


def test_a_test_that_stock_passes_must_pass():
    result = verdict.compare({"m.a": PASSED, "m.b": PASSED}, {"m.a": PASSED, "m.b": FAILED}, set())
    assert result.passed == ["m.a"]
    assert list(result.failed) == ["m.b"]


@pytest.mark.parametrize("ours", [{}, {"m.a": SKIPPED}])
def test_a_test_that_is_skipped_or_missing_does_not_pass(ours):
    assert list(verdict.compare({"m.a": PASSED}, ours, set()).failed) == ["m.a"]


def test_a_test_that_stock_does_not_pass_is_not_asked_for():
    result = verdict.compare({"m.a": SKIPPED}, {"m.a": FAILED}, set())
    assert not result.failed
    assert result.not_compared == 1


def test_a_failure_outside_of_any_test_counts():
    crash = {"m.a": PASSED, processes.EXIT: Outcome("crashed")}
    assert list(verdict.compare({"m.a": PASSED}, crash, set()).failed) == [processes.EXIT]


def test_a_listed_test_may_fail():
    result = verdict.compare({"m.a": PASSED}, {"m.a": FAILED}, {"m.a"})
    assert result.not_applicable == ["m.a"]
    assert not result.failed
    assert not result.stale


@pytest.mark.parametrize(
    ("stock", "ours"),
    [
        ({"m.a": PASSED}, {"m.a": PASSED}),
        ({"m.a": SKIPPED}, {"m.a": SKIPPED}),
        ({}, {}),
    ],
    ids=["it passes", "stock does not pass it", "it does not exist"],
)
def test_a_listed_test_is_stale_when(stock, ours):
    assert list(verdict.compare(stock, ours, {"m.a"}).stale) == ["m.a"]


def test_an_entry_without_a_reason_is_refused(tmp_path):
    path = tmp_path / "list.toml"
    path.write_text('[[test]]\nid = "m.a"\n')
    with pytest.raises(ValueError, match="no reason"):
        verdict.NotApplicable(path, "3.13")


def test_an_entry_holds_for_its_versions_only(tmp_path):
    path = tmp_path / "list.toml"
    path.write_text('[[test]]\nid = "m.a"\nversions = ["3.12"]\nreason = "so"\n')
    assert verdict.NotApplicable(path, "3.12").of("m") == {"m.a"}
    assert verdict.NotApplicable(path, "3.13").of("m") == set()
