"""Every example in Rust prints what the one of the same name in Python prints on stock asyncio.

What the two languages spell differently (True and true, the quotes of a string) counts as the same. What
one of them does not have is listed here, with the reason: a line (DIFFERENT) or a whole program (ABSENT).
"""

import re
import shutil
import subprocess

import pytest
from _compare import ROOT, normal_program_output

CRATE = ROOT / "crates" / "rasyncio"
EXAMPLES = sorted(
    path.stem
    for path in (CRATE / "examples").glob("*.rs")
    if (ROOT / "examples" / f"{path.stem}.py").exists()
)

# What Python prints, and what Rust does instead; None for a line that it does not have.
DIFFERENT = {
    # What is dropped cleans up there and then, and nobody can ask it for more.
    "async_generators": {
        "left early and forgotten: the loop closes it soon": (
            "left early and forgotten: it closes at once"
        ),
        "left early and kept: the loop closes it when it ends": (
            "left early and kept: it closes with what keeps it"
        ),
        "the loop is closed; the next number is none": None,
    },
    # The compiler refuses what cannot be awaited.
    "awaitables": {
        "no awaitable: object function can't be used in 'await' expression": None,
        "no awaitable: object int can't be used in 'await' expression": None,
    },
    # The compiler warns of what is not awaited and refuses what is no future, and tasks are not collected.
    "common_errors": {
        "calling a coroutine function and not awaiting it:": None,
        "  warned: coroutine 'work' was never awaited": None,
        "  RuntimeError: asyncio.run() cannot be called from a running event loop": (
            "  RuntimeError: rasyncio::run() cannot be called from a running event loop"
        ),
        "asyncio.run of what is no coroutine:": None,
        "  refused: the function itself": None,
        "  refused: a number": None,
        "a pending task that nobody refers to:": None,
        "  logged: Task was destroyed but it is pending!": None,
    },
    # The compiler checks types, and which thread something may go to.
    "debug_mode": {
        "a call from the wrong thread:": None,
        "  refused: Non-thread-safe operation invoked on an event loop other than the current one": None,
        "a callback that is no function:": None,
        "  refused: coroutines cannot be used with call_soon()": None,
        "  refused: a callable object was expected by call_soon()": None,
    },
    # A callback gets the task without the type of its output.
    "done_callbacks": {
        "  plain: worker gave 42": "  plain: worker is done: true",
    },
    # What a callback can raise is a panic, and the default handler writes to stderr.
    "exception_handlers": {
        "  handler: Exception in callback broken_callback | ZeroDivisionError('in a callback')": (
            "  handler: Panic in a callback | ZeroDivisionError('in a callback')"
        ),
        "  asyncio logs: something odd": None,
        "detail: 42": None,
        "  asyncio logs: Unhandled error in exception handler": None,
        "  ZeroDivisionError('division by zero')": None,
    },
    # Each program reads its own first line. Rust needs no processes in order to compute, and a pool is
    # there as long as somebody has it.
    "executors": {
        'default:   """`run_in_executor`: the default pool, a pool of threads, a pool of processes.': (
            "default:   //! `run_in_executor`: the loop's own pool, and a pool of threads."
        ),
        "processes: 332833500": None,
        "            a process of its own: True": None,
        "shut down: cannot schedule new futures after shutdown": None,
    },
    # What a future is, and that it runs once, the compiler knows.
    "first_coroutine": {
        "double is a coroutine function: True": None,
        "calling double made a coroutine": "calling double made a future",
        "  state: CORO_CREATED": None,
        "  state: CORO_CLOSED": None,
        "awaiting it again: cannot reuse already awaited coroutine": None,
    },
    # What may have any type is not shown, nor who waits.
    "futures": {
        "pending: <Future pending cb=[Task.task_wakeup(), <1 more>, Task.task_wakeup()]>": (
            "pending: <Future pending>"
        ),
        "settled: <Future finished result='a result'>": "settled: <Future finished>",
    },
    # Rust keeps the message of a cancellation on its way through a gathering.
    "gather_cancellation": {
        "  [CancelledError(''), 'F']": "  [CancelledError('with a message'), 'F']",
    },
    # A future has no name, and a suspended one no stack: the picture of all tasks tells in which module of
    # the crate it waits.
    "introspection": {
        "what one runs: outer": None,
        "   Stack for <Task pending name='worker-0' coro=<outer() running at introspection.py:12>"
        " wait_for=<Future pending cb=[Task.task_wakeup()]>> (most recent call last):": (
            "   'worker-0': waits in rasyncio::locks::event"
        ),
        '   File "introspection.py", line 12, in outer': None,
        "   await inner(event)": None,
    },
    # A runner that was closed cannot be asked: it is gone.
    "runner": {
        "Runner is closed": None,
    },
    # The arguments of `wait` are checked by the compiler, and waiting for nothing is over at once.
    "wait": {
        "ValueError: Set of Tasks/Futures is empty.": None,
        "TypeError: Passing coroutines is forbidden, use tasks explicitly.": None,
    },
}

# Programs about what is Python's alone.
ABSENT = {
    "tour": "the package itself",
}

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not here")


@pytest.fixture(scope="module")
def programs():
    """The folder of the built programs."""
    command = ["cargo", "build", "--package", "rasyncio", "--examples", "--message-format=short"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    found = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    target = re.search(r'"target_directory":"([^"]+)"', found).group(1)
    return f"{target}/debug/examples"


def in_rust(text):
    """Python's output, spelled as Rust spells it."""
    text = re.sub(r"\b(True|False)\b", lambda word: word.group().lower(), text)
    return text.replace("'", '"')


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_prints_the_same_in_rust(name, programs):
    done = subprocess.run([f"{programs}/{name}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert in_rust(done.stdout) == in_rust(python_output(name))


def test_every_program_is_there_or_listed():
    programs = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert programs == {*EXAMPLES, *ABSENT}
    assert not {*EXAMPLES} & {*ABSENT}


def python_output(name):
    path = ROOT / "examples" / f"{name}.py"
    output = normal_program_output(path).removesuffix("\n--- exit 0")
    different = dict(DIFFERENT.get(name, {}))
    lines = [different.pop(line, line) for line in output.split("\n")]
    assert not different, "these lines are not printed"
    return "".join(f"{line}\n" for line in lines if line is not None)
