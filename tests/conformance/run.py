#!/usr/bin/env python3
"""CPython's own asyncio tests, taken from the interpreter in use, run on rasyncio.

    python tests/conformance/run.py                      the required files, this interpreter
    python tests/conformance/run.py --tier all -k cancel
    python tests/conformance/run.py --python python3.13 --file test_tasks --file test_futures
    python tests/conformance/run.py --stock              stock asyncio alone

The package must have been built for the interpreter (scripts/build_extension.py); --package names
another folder that holds it. Exit status 1: a test of a required file failed, or an entry of
not_applicable.toml no longer holds.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import shutil
import sys
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import interpreters
import processes
import verdict
from processes import FileRun, Limits, Outcome

HERE = Path(__file__).resolve().parent


class StockResults:
    """Stock's outcomes, run once for each interpreter and contents of the test file."""

    def __init__(self, interpreter, limits):
        self._interpreter = interpreter
        self._limits = limits

    def _path(self, module):
        parts = [
            self._interpreter.base,
            self._interpreter.build,
            self._interpreter.files[module],
            (HERE / "worker.py").read_text(encoding="utf-8"),
        ]
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        folder = interpreters.CACHE / f"stock-{self._interpreter.version}"
        return folder / f"{module}-{digest}.json"

    def of(self, module):
        path = self._path(module)
        if not path.exists():
            run = self._run(module)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({test: asdict(outcome) for test, outcome in run.outcomes.items()})
            partial = path.with_suffix(".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {test: Outcome(**fields) for test, fields in kept.items()}

    def _run(self, module):
        run = processes.run_file(self._interpreter, module, install=False, limits=self._limits)
        # What is kept decides which tests are asked of rasyncio: one bad moment of the machine
        # must not excuse a test for good.
        retry_failed(self._interpreter, run, install=False, limits=self._limits)
        return run


def retry_failed(interpreter, run, *, install, limits, failed=None):
    """Give tests that failed a second chance on their own; returns those that then passed."""
    if failed is None:
        failed = [test for test, outcome in run.outcomes.items() if outcome.kind == "failed"]
    if not failed:
        return []
    again = processes.run_file(
        interpreter, run.module, install=install, limits=limits, only=sorted(failed)
    )
    passed = [test for test in failed if again.outcomes.get(test, Outcome("missing")).kind == "passed"]
    for test in passed:
        run.outcomes[test] = again.outcomes[test]
    return passed


class Report:
    """What is printed: a line for each file as it ends, then the sum."""

    def __init__(self, brief):
        self._brief = brief
        self._lock = threading.Lock()
        self.compared = self.passed = self.failed = self.reported_failed = self.stale = 0
        self.unsteady = []

    def file(self, version, run, result, unsteady, required):
        with self._lock:
            self.compared += len(result.passed) + len(result.failed) + len(result.not_applicable)
            self.passed += len(result.passed)
            self.stale += len(result.stale)
            self.unsteady += unsteady
            if required:
                self.failed += len(result.failed)
            else:
                self.reported_failed += len(result.failed)
            for test, outcome in told(run.module, result.failed):
                lines = outcome.detail.strip().splitlines()
                if self._brief:
                    # An exception is its traceback's last line; an ended process says how first.
                    gist = lines[-1 if outcome.kind == "failed" else 0] if lines else ""
                    print(f"--- {version} {test}: {outcome.kind}: {gist}")
                else:
                    print(f"--- {version} {test}: {outcome.kind}", *lines, "", sep="\n")
            for test, why in result.stale.items():
                print(f"--- {version} {test}: listed in not_applicable.toml, but {why}\n")
            columns = [
                f"{len(result.passed):5} passed",
                f"{len(result.failed):4} failed",
                f"{len(result.not_applicable):3} not applicable",
                f"{result.not_compared:4} not passed by stock",
                f"{run.seconds:6.1f} s",
            ]
            note = "" if required else "  (reported only)"
            print(f"{version} {run.module:45}{' '.join(columns)}{note}", flush=True)

    def end(self):
        print()
        if not self.compared:
            print("no test was selected")
            return 2
        for test in self.unsteady:
            print(f"unsteady, passed when run again: {test}")
        if self.reported_failed:
            print(f"{self.reported_failed} failed in files that are reported only")
        if self.stale:
            print(f"{self.stale} entries of not_applicable.toml no longer hold")
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or self.stale else 0


def told(module, failed):
    """What is printed of the failures: one cause, not every test that it kept from running."""
    if processes.LOAD in failed:
        yield f"{module} {processes.LOAD}", failed[processes.LOAD]
        return
    missing = [test for test, outcome in failed.items() if outcome.kind == "missing"]
    for test, outcome in failed.items():
        if outcome.kind != "missing" or len(missing) <= 10:
            yield (f"{module} {test}" if test == processes.EXIT else test), outcome
    if len(missing) > 10:
        yield f"{missing[0]} and {len(missing) - 1} more", failed[missing[0]]


def judge(interpreter, module, options, limits, report, required):
    selected = selection(options.patterns)
    stock = StockResults(interpreter, limits).of(module)
    if options.stock:
        run, ours, unsteady = FileRun(module), stock, []
    else:
        only = sorted(test for test in stock if selected(test)) if options.patterns else None
        run = processes.run_file(interpreter, module, install=True, limits=limits, only=only)
        ours, unsteady = run.outcomes, []
    listed = verdict.NotApplicable(options.not_applicable, interpreter.version).of(module)
    if options.stock:
        listed = set()
    result = verdict.compare(stock, ours, listed, selected)
    retried = [test for test, outcome in result.failed.items() if outcome.kind == "failed"]
    if not options.stock and 0 < len(retried) <= 5:
        unsteady = retry_failed(
            interpreter, run, install=True, limits=limits, failed=retried
        )
        result = verdict.compare(stock, run.outcomes, listed, selected)
    report.file(interpreter.version, run, result, unsteady, required)


def selection(patterns):
    patterns = [pattern if "*" in pattern else f"*{pattern}*" for pattern in patterns]
    return lambda test: not patterns or any(fnmatch.fnmatchcase(test, p) for p in patterns)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", action="append", default=[], help="an interpreter; may be repeated")
    parser.add_argument("--file", action="append", default=[], help="a test file, such as test_tasks")
    parser.add_argument("-k", action="append", default=[], dest="patterns", help="as unittest's -k")
    parser.add_argument("--tier", choices=("required", "reported", "all"), default="required")
    parser.add_argument("--brief", action="store_true", help="the last line of a failure only")
    parser.add_argument("--stock", action="store_true", help="run stock asyncio alone")
    parser.add_argument("--package", help="folder that holds the package rasyncio")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set for the runs on rasyncio alone",
    )
    parser.add_argument("--not-applicable", default=HERE / "not_applicable.toml")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--test-limit", type=float, default=Limits.test, help="seconds for one test")
    parser.add_argument("--file-limit", type=float, default=Limits.file, help="seconds for one file")
    options = parser.parse_args()

    with open(HERE / "suites.toml", "rb") as file:
        tiers = tomllib.load(file)
    modules = tiers["required"] + tiers["reported"]
    if options.file:
        wanted = [m for m in modules if m in options.file or m.split(".")[-1] in options.file]
        if not wanted:
            parser.error(f"no such file: {', '.join(options.file)}")
    else:
        wanted = modules if options.tier == "all" else tiers[options.tier]

    def package_folder(version):
        folder = Path(options.package or interpreters.ROOT / "build" / "dev" / version).resolve()
        if not options.stock and not (folder / "rasyncio" / "__init__.py").exists():
            raise interpreters.Unusable(
                f"there is no rasyncio in {folder}: run scripts/build_extension.py for Python {version}"
            )
        return folder

    extra = dict(setting.split("=", 1) for setting in options.env)
    limits = Limits(test=options.test_limit, file=options.file_limit)
    report = Report(options.brief)
    jobs = []
    for name in options.python or [sys.executable]:
        # Workers run in folders of their own, so the path must be whole.
        python = shutil.which(name)
        if python is None:
            sys.exit(f"there is no interpreter {name}")
        python = os.path.abspath(python)
        try:
            interpreter = interpreters.prepare(python, modules, package_folder, extra)
        except interpreters.Unusable as reason:
            sys.exit(str(reason))
        jobs += [(interpreter, module) for module in wanted if module in interpreter.files]
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [
            pool.submit(
                judge, interpreter, module, options, limits, report, module in tiers["required"]
            )
            for interpreter, module in jobs
        ]
    for run in runs:
        run.result()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
