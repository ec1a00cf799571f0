"""Measure rasyncio beside its peers: `python bench/run.py --setup`.

README.md says what the table shows and how to read it.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

import report
from contestants import CONTESTANTS, FLOOR, LOOP, NATIVE
from environment import HERE, ROOT, Environment, SetupError, find_interpreter, output, say
from rows import ROWS

# A worker that has not answered by then hangs: no sample takes a hundredth of it.
PATIENCE = 120.0


class Broken(Exception):
    """A worker could not do what it was told."""


class WorkerProcess:
    """The other end of worker.py."""

    def __init__(self, python: str, name: str, clock: str):
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), name, clock],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, *order, patience: float = PATIENCE) -> float:
        """What the worker answers; `Broken` when it fails, dies or hangs."""
        hang = threading.Timer(patience, self.process.kill)
        hang.start()
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            hang.cancel()
        if not line:
            raise Broken(f"the process ended (status {self.process.wait()})")
        answer = json.loads(line)
        if "error" in answer:
            raise Broken(answer["error"])
        return answer["value"]

    def close(self) -> None:
        try:
            # Nothing is left to flush, unless the process was gone before it could be told.
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    def __init__(self, python: str, names: list[str], options):
        self.python = python
        self.names = names
        self.options = options
        # (row, contestant): one figure per sample, None where it could not be had.
        self.samples: dict[tuple[str, str], list[float | None]] = {}
        self.sizes: dict[tuple[str, str], int] = {}
        self.memory: dict[str, float] = {}
        self.errors: dict[tuple[str, str], str] = {}

    def start(self, name: str) -> WorkerProcess:
        return WorkerProcess(self.python, name, self.options.clock)

    def measure(self, rows: list[str]) -> None:
        for number in range(1, self.options.rounds + 1):
            say(f"round {number} of {self.options.rounds}")
            workers = {name: self.start(name) for name in self.names}
            try:
                for row in rows:
                    self.measure_row(row, workers)
            finally:
                for worker in workers.values():
                    worker.close()

    def measure_row(self, row: str, workers: dict[str, WorkerProcess]) -> None:
        """One figure of each contestant, then another of each, and so on.

        The machine's speed changes from second to second; neighbours in time can
        still be compared.
        """
        names = [name for name in workers if name != FLOOR or row in report.FLOORED]
        for name in names:
            if (row, name) not in self.sizes:
                self.attempt(row, name, workers, self.calibrate)
        for turn in range(self.options.samples):
            # Nobody is always the one who comes after a certain other.
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                nanoseconds = self.attempt(row, name, workers, self.sample)
                self.samples.setdefault((row, name), []).append(nanoseconds)

    def attempt(self, row, name, workers, what):
        """`what`, unless it has failed before; a broken worker is replaced."""
        if (row, name) in self.errors:
            return None
        try:
            return what(row, name, workers[name])
        except Broken as error:
            self.errors[row, name] = str(error)
            workers[name].close()
            workers[name] = self.start(name)
            return None

    def calibrate(self, row: str, name: str, worker: WorkerProcess) -> None:
        """Find how many operations fill one sample's time."""
        batch = ROWS[row].batch
        goal = self.options.sample_time
        n = batch
        # Also warms up: what is made on first use is there when it counts.
        while (seconds := worker.order("measure", row, n)) < goal / 4:
            n = min(n * 10, max(2 * n, round(n * goal / 3 / max(seconds, 1e-9))))
            n -= n % batch
        n = round(n * goal / seconds)
        self.sizes[row, name] = max(batch, n - n % batch)

    def sample(self, row: str, name: str, worker: WorkerProcess) -> float:
        n = self.sizes[row, name]
        return worker.order("measure", row, n) / n * 1e9

    def measure_memory(self) -> None:
        for name in self.names:
            if name == FLOOR:
                continue
            worker = self.start(name)
            try:
                self.memory[name] = worker.order("memory", self.options.tasks, patience=600)
            except Broken as error:
                self.errors[report.MEMORY, name] = str(error)
            finally:
                worker.close()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--setup", action="store_true", help="first make, build and install all that is missing"
    )
    parser.add_argument(
        "--python", metavar="VERSION|PATH", help="interpreter (default: a 3.13, else this one)"
    )
    parser.add_argument("--rows", metavar="A,B", help=f"of: {', '.join([*ROWS, report.MEMORY])}")
    parser.add_argument("--contestants", metavar="A,B", help=f"of: {', '.join(CONTESTANTS)}")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="rounds, each in new processes (default: 5)"
    )
    parser.add_argument(
        "--samples", type=int, metavar="N", help="samples per row and round (default: 5)"
    )
    parser.add_argument(
        "--sample-time", type=float, metavar="S", help="seconds per sample (default: 0.05)"
    )
    parser.add_argument(
        "--tasks", type=int, metavar="N", help="sleeping tasks of the memory row (default: 200000)"
    )
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: the process's own time, threads included, for a busy machine (default: wall)",
    )
    parser.add_argument("--quick", action="store_true", help="rough figures in less than a minute")
    parser.add_argument("--absolute", action="store_true", help="also print operations per second")
    parser.add_argument(
        "--output", metavar="FILE", help="JSON (default: build/bench/<interpreter>/results.json)"
    )
    options = parser.parse_args()
    quick = options.quick
    for name, thorough, rough in [
        ("rounds", 5, 2),
        ("samples", 5, 2),
        ("sample_time", 0.05, 0.02),
        ("tasks", 200_000, 50_000),
    ]:
        if getattr(options, name) is None:
            setattr(options, name, rough if quick else thorough)
    return parser, options


def chosen(parser, text: str | None, known: list[str]) -> list[str]:
    if text is None:
        return known
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            parser.error(f"{name!r} is none of: {', '.join(known)}")
    return [name for name in known if name in names]


def present(python: str, names: list[str]) -> list[str]:
    """Those that this environment has; a line for each that it has not."""
    ask = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import contestants as c;"
        "print(*[int(c.CONTESTANTS[n].present()) for n in sys.argv[1:]])"
    )
    answer = output(python, "-c", ask, *names)
    if answer is None:
        raise SetupError(f"{python} does not run")
    there = []
    for name, found in zip(names, answer.split()):
        if found == "0":
            say(f"{name} is not installed here: its column is left out")
        elif broken := does_not_start(python, name):
            if not CONTESTANTS[name].peer:
                raise SetupError(f"{name} does not start:\n{broken}")
            say(f"{name} does not start here ({broken.splitlines()[-1]}): its column is left out")
        else:
            there.append(name)
    return there


def does_not_start(python: str, name: str) -> str:
    """What a worker without orders says when it fails."""
    command = [python, str(HERE / "worker.py"), name, "wall"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def describe(python: str, names: list[str], options) -> dict:
    ask = "import platform as p; print(p.python_implementation(), p.python_version(), '|', p.python_compiler())"
    versions = {}
    for module in {CONTESTANTS[name].module for name in names} - {"asyncio", "rasyncio_floor"}:
        ask_version = f"import {module} as m; print(getattr(m, '__version__', 'of no version'))"
        versions[module] = output(python, "-c", ask_version)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "interpreter": output(python, "-c", ask),
        "versions": dict(sorted(versions.items())),
        "commit": output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "machine": " ".join(os.uname()[i] for i in (0, 2, 4)),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "clock": options.clock,
        "rounds": options.rounds,
        "samples": options.samples,
        "sample_time": options.sample_time,
        "tasks": options.tasks,
    }


def main() -> None:
    parser, options = arguments()
    rows = chosen(parser, options.rows, [*ROWS, report.MEMORY])
    names = chosen(parser, options.contestants, list(CONTESTANTS))
    environment = Environment(find_interpreter(options.python))
    if options.setup:
        environment.prepare(rasyncio=LOOP in names or NATIVE in names)
    elif not environment.exists():
        raise SetupError("nothing is set up for this interpreter: add --setup")
    python = environment.python
    names = present(python, names)
    bench = Bench(python, names, options)
    about = describe(python, names, options)
    if about["load"] > 0.5 and options.clock == "wall":
        say(f"this machine is busy (load {about['load']}): expect wide spreads, or use --clock cpu")
    if timed := [row for row in rows if row != report.MEMORY]:
        bench.measure(timed)
    if report.MEMORY in rows:
        bench.measure_memory()
    results = report.evaluate(about, names, rows, bench)
    target = options.output or str(environment.folder / "results.json")
    with open(target, "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    print(report.table(results))
    if options.absolute:
        print(report.absolute_table(results))
    print(f"\nAll samples: {os.path.relpath(target, ROOT) if not options.output else target}")
    if bench.errors:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
