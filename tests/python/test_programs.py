"""Whole programs about forks, signals, threads and the end of the interpreter: same output, same exit code."""

import pytest
from _compare import HERE, ROOT, check_program

PROGRAMS = sorted((HERE / "programs").glob("*.py"))

#: Examples that say something different, or something more, in debug mode.
DEBUGGED = [
    ROOT / "examples" / f"{name}.py"
    for name in ("cancellation", "common_errors", "debug_mode", "gather_errors", "task_groups", "threads")
]


#: Where stock asyncio, in development mode, also warns of the sockets that its loop is made of.
NOISY = {"exit_from_a_callback"}


def name(path):
    return path.stem


@pytest.mark.parametrize("way", ["loop", "import", "module"])
@pytest.mark.parametrize("path", PROGRAMS, ids=name)
def test_program_ends_as_on_stock(path, way):
    check_program(path, way)


@pytest.mark.parametrize("path", [*(path for path in PROGRAMS if path.stem not in NOISY), *DEBUGGED], ids=name)
def test_program_ends_as_on_stock_in_development_mode(path):
    check_program(path, "module", "-X", "dev")


@pytest.mark.parametrize("path", DEBUGGED, ids=name)
def test_program_ends_as_on_stock_with_the_debug_variable(path):
    check_program(path, "module", PYTHONASYNCIODEBUG="1")
