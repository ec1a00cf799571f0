"""Runs one file of CPython's tests to its end, whatever its tests do to the process.

After a crash or a hang the rest of the file goes on in a new process.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

WORKER = Path(__file__).resolve().with_name("worker.py")

#: What happened outside of any test goes by these names.
LOAD = "<load>"
EXIT = "<exit>"


@dataclass
class Outcome:
    kind: str  # passed, failed, skipped, crashed, hung
    detail: str = ""


@dataclass
class FileRun:
    module: str
    outcomes: dict = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Limits:
    test: float = 60.0
    file: float = 900.0


def _end(process):
    """End the worker with everything it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # The whole group is gone already.
    process.wait()


def _tail(text, lines=60):
    kept = text.strip().splitlines()
    return "\n".join(["…"] * (len(kept) > lines) + kept[-lines:])


def _run_worker(interpreter, module, *, install, limits, remaining, only, skip, folder):
    """One process. Returns the lines it wrote, its exit status (None: out of time) and its output."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    results = folder / "results"
    results.touch()
    selection = folder / "selection"
    selection.write_text(json.dumps({"only": only, "skip": sorted(skip)}), encoding="utf-8")
    work = folder / "work"
    work.mkdir()
    arguments = [str(WORKER), module, f"--results={results}", f"--limit={limits.test}"]
    arguments += [f"--selection={selection}"] + ["--install"] * install
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            interpreter.command("-X", "faulthandler", *arguments),
            env=interpreter.environment(install=install),
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=remaining)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return lines, status, (folder / "output").read_text(encoding="utf-8", errors="replace")


def run_file(interpreter, module, *, install, limits, only=None):
    """Run the tests of `module`; `only` is a list of test ids, None for all."""
    run = FileRun(module)
    start = time.monotonic()
    skip = set()
    with tempfile.TemporaryDirectory(prefix="rasyncio-conformance-") as folder:
        while True:
            remaining = limits.file - (time.monotonic() - start)
            lines, status, output = _run_worker(
                interpreter,
                module,
                install=install,
                limits=limits,
                remaining=max(remaining, 1.0),
                only=only,
                skip=skip,
                folder=folder,
            )
            running = None
            for line in lines:
                if "started" in line:
                    running = line["started"]
                elif "test" in line:
                    running = None
                    run.outcomes[line["test"]] = Outcome(line["outcome"], line["detail"])
                    skip.add(line["test"])
            finished = bool(lines) and "finished" in lines[-1]
            if finished and status == 0:
                break
            hung = status is None or "Timeout (" in output
            kind = "hung" if hung else "crashed"
            detail = f"exit status {status}\n{_tail(output)}"
            if finished:
                run.outcomes[EXIT] = Outcome(kind, detail)
                break
            if running is None:
                run.outcomes[LOAD] = Outcome(kind, detail)
                break
            run.outcomes[running] = Outcome(kind, detail)
            skip.add(running)
            if status is None:
                break  # The file's time is up; tests that have not run are missing.
    run.seconds = time.monotonic() - start
    return run
