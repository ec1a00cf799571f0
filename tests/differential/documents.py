"""Runs the Python programs found in documents on stock asyncio and on rasyncio, in all three ways in.

    python -m tests.differential.documents FOLDER_OR_FILE...

Clock times, addresses and random numbers aside, they must print the same. A program that prints its
lines in an order that changes from run to run on stock asyncio is compared without their order; one
that does not end on stock asyncio is left out, and said to be.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

if not __package__:
    # Started by its path: make the package known under which it lives.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    __package__ = "tests.differential"

from . import extract  # noqa: E402

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "python"))

from _compare import difference, environment, program_command  # noqa: E402
from _normal import normal  # noqa: E402

WAYS = ("loop", "import", "module")
SUFFIXES = {".md", ".rst", ".txt", ".markdown", ".py"}

_TIMES = [
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"\d+:\d\d:\d\d(\.\d+)?"), "TIME"),
    (re.compile(r"\d+\.\d+(e-?\d+)?"), "NUMBER"),
    # The program's word for the module under test.
    (re.compile(r"module 'rasyncio'"), "module 'asyncio'"),
]

_NEVER_AWAITED = re.compile(r".*RuntimeWarning: (coroutine .* was never awaited)$")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("documents", nargs="+", type=Path, metavar="FOLDER_OR_FILE")
    parser.add_argument("--scale", type=float, default=0.2, help="multiplies the programs' waiting times")
    parser.add_argument("--limit", type=float, default=20, help="seconds after which a program has no end")
    parser.add_argument("--jobs", type=int, default=4, help="programs at the same time")
    parser.add_argument("--keep", type=Path, help="write the programs into this folder")
    return parser.parse_args()


def files(paths):
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
        else:
            yield path


class Endless(Exception):
    pass


def output(command, limit, folder, **extra):
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **extra},
        start_new_session=True,
    )
    try:
        out, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        raise Endless from None
    errors = _never_awaited_last(normal(errors))
    text = f"{normal(out)}\n--- stderr\n{errors}\n--- exit {process.returncode}"
    for pattern, replacement in _TIMES:
        text = pattern.sub(replacement, text)
    return text


def _never_awaited_last(text):
    """Coroutines that nobody awaits, each in a line after everything else.

    When the interpreter notices depends on what still refers to the coroutine: the frame of stock's
    `create_task`, in a traceback, does; a native function has no frame.
    """
    kept, found = [], []
    source_follows = False
    for line in text.splitlines():
        if match := _NEVER_AWAITED.match(line):
            found.append(match[1])
            # The line of the program, when the warning has one.
            source_follows = True
        elif source_follows and line.startswith("  "):
            source_follows = False
        elif line != "RuntimeWarning: Enable tracemalloc to get the object allocation traceback":
            source_follows = False
            kept.append(line)
    return "\n".join([*kept, *sorted(found)])


def unordered(text):
    return "\n".join(sorted(text.splitlines()))


def judge(path, limit):
    """What is to be said about one program: a verdict and, where it differs, how."""
    stock = [sys.executable, str(TESTS / "python" / "_program.py"), "stock", "asyncio", str(path)]
    try:
        expected = output(stock, limit, path.parent)
        # With objects at other addresses, so that what comes in the order of a set shows itself.
        again = output(stock, limit, path.parent, PYTHONMALLOC="malloc", PYTHONHASHSEED="1")
    except Endless:
        return "skipped: it does not end", ""
    if missing := re.search(r"ModuleNotFoundError: No module named '([\w.]+)'", expected):
        return f"skipped: it needs {missing[1]}", ""
    view = str if expected == again else unordered
    for way in WAYS:
        try:
            found = output(program_command(path, way), limit, path.parent)
        except Endless:
            return f"DIFFERS by way of {way}", "it does not end"
        if view(found) != view(expected):
            return f"DIFFERS by way of {way}", difference(view(expected), view(found))
    return "equal" if view is str else "equal, but for the order, which varies", ""


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        folder = options.keep or Path(folder)
        folder.mkdir(exist_ok=True)
        jobs = []
        for document in files(options.documents):
            for program in extract.programs(document.read_text(encoding="utf-8")):
                path = folder / f"{document.stem}_{program.line}.py"
                path.write_text(extract.scaled(program.source, options.scale), encoding="utf-8")
                jobs.append((f"{document.name}:{program.line}", path))
        counts = {"equal": 0, "skipped": 0, "DIFFERS": 0}
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            verdicts = [pool.submit(judge, path, options.limit) for _, path in jobs]
            for (name, _), verdict in zip(jobs, verdicts):
                words, details = verdict.result()
                counts[re.match(r"\w+", words)[0]] += 1
                print(f"{name}: {words}\n{details}".rstrip(), flush=True)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 1 if counts["DIFFERS"] or not counts["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
