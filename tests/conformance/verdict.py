"""What a run on rasyncio is worth, held against the same run on stock asyncio.

The rule: every test that stock passes must pass, except those that not_applicable.toml names.
"""

import tomllib
from dataclasses import dataclass, field

from processes import Outcome


@dataclass
class Verdict:
    passed: list = field(default_factory=list)
    failed: dict = field(default_factory=dict)
    not_applicable: list = field(default_factory=list)
    #: Tests that stock does not pass here (skipped mostly), which therefore show nothing.
    not_compared: int = 0
    #: Entries of the list that no longer hold, with what is wrong about them.
    stale: dict = field(default_factory=dict)


class NotApplicable:
    """The tests that not_applicable.toml names for one version of Python."""

    def __init__(self, path, version):
        with open(path, "rb") as file:
            entries = tomllib.load(file).get("test", [])
        self._ids = set()
        for entry in entries:
            if not entry.get("reason", "").strip():
                raise ValueError(f"{path}: {entry.get('id')} has no reason")
            if version in entry.get("versions", [version]):
                self._ids.add(entry["id"])

    def of(self, module):
        return {test for test in self._ids if test.startswith(module + ".")}


def compare(stock, ours, listed, selected=lambda test: True):
    """Judge the outcomes `ours` by those of `stock`; both map test ids to `Outcome`."""
    verdict = Verdict()
    listed = {test for test in listed if selected(test)}
    missing = Outcome("missing", "The test did not run.")
    for test, outcome in stock.items():
        if not selected(test):
            continue
        if outcome.kind != "passed":
            verdict.not_compared += 1
            continue
        got = ours.get(test, missing)
        if got.kind == "passed":
            verdict.passed.append(test)
            if test in listed:
                verdict.stale[test] = "it passes"
        elif test in listed:
            verdict.not_applicable.append(test)
        else:
            verdict.failed[test] = got
    for test, outcome in ours.items():
        # Fixtures, a failed import, a crash at exit: nothing that stock has.
        if test not in stock and outcome.kind not in ("passed", "skipped"):
            verdict.failed[test] = outcome
    for test in listed:
        if test not in stock:
            verdict.stale[test] = "there is no such test"
        elif stock[test].kind != "passed":
            verdict.stale[test] = f"stock does not pass it ({stock[test].kind})"
    return verdict
