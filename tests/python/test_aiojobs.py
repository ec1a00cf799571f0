"""The released tests of the package aiojobs pass: with its own classes on our loop, and with ours in their
place. They come with its sources, which `scripts/test_python.py` fetches."""

import os
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from _compare import HERE, environment

FOUND = os.environ.get("RASYNCIO_TEST_AIOJOBS")

pytestmark = pytest.mark.skipif(not FOUND, reason="scripts/test_python.py fetches the tests of aiojobs")

#: Tests that fail with our classes because of a difference that `rasyncio.scheduler` lists: why, by name.
DIFFERENT = {}

WAYS = ("stock", "package", "ours")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By way, the outcome of each test. All run at the same time, since most of it is sleep."""
    source, packages = FOUND.split(":")
    folder = tmp_path_factory.mktemp("aiojobs")
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), packages, str(HERE)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "_aiojobs_ways", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, "--rootdir", source, "-o", "asyncio_mode=auto"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function", f"{source}/tests"]
    running = {
        way: subprocess.Popen(
            [*command, "--junit-xml", folder / way],
            env=environment(PYTHONPATH=path, RASYNCIO_WAY=way),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for way in WAYS
    }
    outcomes = {}
    try:
        for way, process in running.items():
            output, _ = process.communicate(timeout=120)
            print(f"--- {way}\n{output}")
            outcomes[way] = read(folder / way)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return outcomes


def read(path):
    found = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
        found[f"{case.get('classname')}.{case.get('name')}"] = kinds[0] if kinds else "passed"
    return found


def test_there_are_tests_and_stock_asyncio_passes_them(outcomes):
    passed = [test for test, outcome in outcomes["stock"].items() if outcome == "passed"]
    assert len(passed) > 50


def test_the_package_runs_on_our_loop(outcomes):
    assert outcomes["package"] == outcomes["stock"]


def test_our_classes_do_what_the_tests_ask(outcomes):
    expected = {**outcomes["stock"], **dict.fromkeys(DIFFERENT, "failure")}
    assert outcomes["ours"] == expected
