"""Runs programs and cases on stock asyncio and on rasyncio, and says where they differ.

RASYNCIO_TEST_MODULE names the module under test; `asyncio` there compares stock with stock.
"""

import ast
import difflib
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from _normal import ROOT, normal

HERE = Path(__file__).resolve().parent
MODULE = os.environ.get("RASYNCIO_TEST_MODULE", "rasyncio")


def program_param(path, *more, id):
    """The parameters of a test that runs a program, skipped where the program lacks its package."""
    needs = "import aiojobs" in Path(path).read_text(encoding="utf-8")
    absent = needs and importlib.util.find_spec("aiojobs") is None
    marks = [pytest.mark.skip(reason="needs the package aiojobs")] if absent else []
    return pytest.param(path, *more, id=id, marks=marks)


def environment(**extra):
    """The environment for child interpreters: ours, with nothing that changes asyncio."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS", "RASYNCIO_INSTALL"}
    }
    # PYTHONHASHSEED: sets of strings in the same order everywhere.
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **extra}


def program_command(path, way, *options):
    """The command that runs a program in the given way in; `options` are the interpreter's."""
    python = [sys.executable, *options]
    if way == "module":
        if MODULE == "asyncio":
            return [*python, str(path)]
        return [*python, "-m", MODULE, str(path)]
    return [*python, str(HERE / "_program.py"), way, MODULE, str(path)]


def run(command, *, timeout=60, **extra):
    """Runs a child to its end; output, errors and exit code as one text."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        env=environment(**extra),
    )
    text = normal(done.stdout)
    if said := _without_slowness(normal(done.stderr)).strip("\n"):
        text += f"\n--- stderr\n{said}"
    return f"{text}\n--- exit {done.returncode}"


@functools.cache
def stock_output(path, *options, **extra):
    program = [str(HERE / "_program.py"), "stock", "asyncio", str(path)]
    return run([sys.executable, *options, *program], **extra)


def _without_slowness(text):
    """Drops debug mode's remarks about slow callbacks: what is slow depends on the machine."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if not re.match(r"Executing <.* took … seconds$", line))


def normal_program_output(path):
    return run([sys.executable, str(path)])


def difference(stock, ours):
    """A readable difference, empty when equal."""
    lines = difflib.unified_diff(
        stock.splitlines(), ours.splitlines(), "stock asyncio", MODULE, lineterm=""
    )
    return "\n".join(lines)


def check_program(path, way, *options, **extra):
    """Asserts that a program prints on rasyncio what it prints on stock asyncio.

    `options` are given to the interpreter, `extra` is added to its environment.
    """
    stock = stock_output(path, *options, **extra)
    found = difference(stock, run(program_command(path, way, *options), **extra))
    assert not found, f"{Path(path).name} differs by way of {way}:\n{found}"


class Cases:
    """All cases of one file under `cases/`, run in one process for each way.

    A case that takes the process down with it is said to have crashed, and the rest goes on in a new
    process.
    """

    def __init__(self, path):
        self.path = path
        self._outputs = {}

    def output(self, way, case):
        if way not in self._outputs:
            self._outputs[way] = self._run(way)
        return self._outputs[way][case]

    def check(self, way, case):
        found = difference(self.output("stock", case), self.output(way, case))
        assert not found, f"{case} differs by way of {way}:\n{found}"

    def _run(self, way):
        outputs = {}
        names = case_names(self.path)
        module = "asyncio" if way == "stock" else MODULE
        while remaining := [name for name in names if name not in outputs]:
            before = len(outputs)
            with tempfile.TemporaryFile("w+", encoding="utf-8") as results:
                done = subprocess.run(
                    [sys.executable, "-X", "faulthandler", str(HERE / "_worker.py"), way, module]
                    + [str(self.path), str(results.fileno()), *remaining],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    pass_fds=[results.fileno()],
                    env=environment(),
                )
                results.seek(0)
                for line in results:
                    name, text = json.loads(line)
                    outputs[name] = normal(text, renumber=True)
            if len(outputs) == len(names):
                if done.returncode:
                    outputs[names[-1]] += f"\n--- exit {done.returncode}\n{done.stderr}"
                break
            culprit = names[len(outputs)] if before != len(outputs) else remaining[0]
            outputs[culprit] = f"took the process down: exit {done.returncode}\n{done.stderr}"
        return outputs


def case_names(path):
    """The names of the cases of a file, in order, without running it."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("case_")
        and _wanted(node)
    ]


def _wanted(function):
    """Whether this interpreter has what a case needs: see `@since` in `_case.py`."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") in ("since", "until"):
            version = tuple(ast.literal_eval(argument) for argument in decorator.args)
            newer = sys.version_info[:2] >= version
            if newer != (decorator.func.id == "since"):
                return False
    return True
