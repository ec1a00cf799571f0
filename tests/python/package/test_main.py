"""python -m rasyncio: programs run as `python` itself runs them."""

import signal
import sys

import pytest
from _child import python

PROGRAM = """
import sys, asyncio
import __main__
print(sys.argv, __name__, __file__, sys.path[0], __main__.__file__, __main__.__spec__ is None)
match sys.argv[1:]:
    case ["raise"]:
        1 / 0
    case ["exit"]:
        sys.exit(5)
    case ["message"]:
        sys.exit("bye")
    case ["interrupt"]:
        raise KeyboardInterrupt
    case ["hook"]:
        sys.excepthook = lambda *error: print("hook", error[0])
        1 / 0
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text("def f(:\n")
    return tmp_path


def check(folder, *arguments, **options):
    """Compare with the interpreter; return what ours printed."""
    expected = python(*arguments, cwd=folder, **options)
    ours = python("-m", "rasyncio", *arguments, cwd=folder, **options)
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        expected.returncode,
        expected.stdout,
        expected.stderr,
    )
    return ours


@pytest.mark.parametrize("end", ["", "raise", "exit", "message", "interrupt", "hook"])
@pytest.mark.parametrize(
    "what", [["program.py"], ["package"], ["-m", "program"], ["-m", "package"]]
)
def test_a_program_ends_as_under_python(folder, what, end):
    check(folder, *what, end)


@pytest.mark.parametrize(
    "arguments",
    [["absent.py"], ["-m", "absent"], ["-m", "absent.part"], ["wrong.py"], ["-m", "wrong"]],
)
def test_what_cannot_be_run_is_reported_as_by_python(folder, arguments):
    assert check(folder, *arguments).returncode != 0


def test_code_on_the_command_line(folder):
    check(folder, "-c", "import sys; print(sys.argv, sys.path[0], __name__); 1 / 0", "a", "-b")


def test_a_program_from_standard_input(folder):
    check(folder, "-", "a", given="import sys; print(sys.argv, sys.path[0]); 1 / 0\n")


def test_the_program_gets_native_asyncio(folder):
    code = (
        "import asyncio, rasyncio; assert asyncio.Task is rasyncio.Task; print(asyncio.EventLoop)"
    )
    done = python("-m", "rasyncio", "-c", code, cwd=folder)
    assert "rasyncio" in done.stdout, done.stderr


def test_a_wrong_option_is_refused(folder):
    done = python("-m", "rasyncio", "--wrong", cwd=folder)
    assert done.returncode == 2
    assert "unknown option --wrong" in done.stderr


def test_an_interrupted_program_dies_of_the_signal(folder):
    code = (
        "import asyncio, os, signal\n"
        "async def main():\n"
        "    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    done = python("-m", "rasyncio", "-c", code, cwd=folder)
    assert done.returncode == -signal.SIGINT, done.stderr
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_the_console_awaits_and_keeps_context(folder):
    lines = [
        "await asyncio.sleep(0, 'slept')",
        "import contextvars, rasyncio",
        "variable = contextvars.ContextVar('variable')",
        "await asyncio.sleep(0); token = variable.set('kept')",
        "variable.get()",
        "type(asyncio.get_running_loop()) is rasyncio.EventLoop",
        "1 / 0",
        "raise SystemExit(3)",
    ]
    done = python("-m", "rasyncio", cwd=folder, given="\n".join(lines) + "\n")
    assert done.returncode == 3, done.stderr
    for shown in ("'slept'", "'kept'", "True"):
        assert shown in done.stdout
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert sys.version.split()[0] in done.stderr
