"""Runs one file of CPython's tests and writes what became of each test, one JSON line at a time.

Started by ``processes.py`` in a process of its own. A line is written before and after each test, so
that a crash or a hang is known by the test that was running. A test that passes its time limit ends
the process: there is no way to interrupt one that is stuck in native code.
"""

import argparse
import faulthandler
import json
import signal
import sys
import traceback
import unittest


class Recorder(unittest.TestResult):
    def __init__(self, results, limit):
        super().__init__()
        self._results = results
        self._limit = limit
        self._outcome = None

    def _write(self, **line):
        print(json.dumps(line), file=self._results, flush=True)

    def _settle(self, outcome, detail=""):
        # The first failure counts: a test may fail and then fail again in its tearDown.
        if self._outcome is None:
            self._outcome = (outcome, detail)

    def startTest(self, test):
        super().startTest(test)
        self._outcome = None
        self._write(started=test.id())
        faulthandler.dump_traceback_later(self._limit, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        outcome, detail = self._outcome or ("passed", "")
        self._write(test=test.id(), outcome=outcome, detail=detail)
        super().stopTest(test)

    def _failed(self, test, error):
        detail = "".join(traceback.format_exception(*error))
        if isinstance(test, unittest.TestCase):
            self._settle("failed", detail)
        else:
            # A fixture of a class or of the module: no test was started.
            self._write(test=str(test), outcome="failed", detail=detail)

    def addFailure(self, test, error):
        self._failed(test, error)

    def addError(self, test, error):
        self._failed(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            detail = f"{subtest._subDescription()}\n{''.join(traceback.format_exception(*error))}"
            self._settle("failed", detail)

    def addSkip(self, test, reason):
        self._settle("skipped", reason)

    def addExpectedFailure(self, test, error):
        self._settle("passed")

    def addUnexpectedSuccess(self, test):
        self._settle("failed", "The test was expected to fail and passed.")


def tests_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_of(item)
        else:
            yield item


def run_loops_on_rasyncio(module):
    """Let the tests that name the stock loop run on ours.

    Tests of a loop make it in `create_event_loop` or `new_loop`, one class for each selector.
    """
    import rasyncio

    def new_event_loop(self):
        return rasyncio.new_event_loop()

    classes = [item for item in vars(module).values() if isinstance(item, type)]
    for cls in classes:
        for name in ("create_event_loop", "new_loop"):
            method = vars(cls).get(name)
            if method is not None and "SelectorEventLoop" in method.__code__.co_names:
                setattr(cls, name, new_event_loop)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--results", required=True)
    parser.add_argument("--limit", type=float, required=True, help="seconds for one test")
    parser.add_argument("--selection", help="a JSON file: {only: [ids] or null, skip: [ids]}")
    parser.add_argument("--install", action="store_true")
    options = parser.parse_args()

    only, skip = None, frozenset()
    if options.selection:
        with open(options.selection, encoding="utf-8") as file:
            selection = json.load(file)
        only, skip = selection["only"], frozenset(selection["skip"])

    # A shell has its background jobs ignore it, and tests that interrupt themselves would run for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The module's import is under the limit as well.
    faulthandler.dump_traceback_later(options.limit, exit=True)
    if options.install:
        import rasyncio

        rasyncio.install()
    loader = unittest.TestLoader()
    module = __import__(options.module, fromlist=["*"])
    if options.install:
        run_loops_on_rasyncio(module)
    suite = unittest.TestSuite(
        test
        for test in tests_of(loader.loadTestsFromModule(module))
        if test.id() not in skip and (only is None or test.id() in only)
    )
    faulthandler.cancel_dump_traceback_later()
    if loader.errors:
        sys.exit("\n".join(loader.errors))

    with open(options.results, "a", encoding="utf-8") as results:
        suite.run(Recorder(results, options.limit))
        # Threads and tasks that the tests left behind must not keep the process from ending.
        faulthandler.dump_traceback_later(options.limit, exit=True)
        print(json.dumps({"finished": True}), file=results, flush=True)


if __name__ == "__main__":
    main()
