"""Instructions per operation, counted by valgrind: `python bench/callgrind.py`.

Wall time on a shared machine wanders by tens of per cent, instruction counts by
less than one.  Each row is run in two sizes and the counts are subtracted, so that
the interpreter's start and the row's preparation drop out.

    callgrind.py --save before.json         keep the counts
    callgrind.py --against before.json      compare, fail on a rise of over 2 %
    callgrind.py --functions 25 --rows gather
                                            where the instructions go
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter

from contestants import CONTESTANTS, FLOOR, NATIVE
from environment import HERE, Environment, SetupError, find_interpreter, say
from report import FLOORED, grid
from rows import ROWS

# Operations of the smaller run: enough for tables and freelists to have grown.
SMALL = 2000


def profile(python: str, name: str, row: str, n: int, folder: str) -> Counter:
    """Instructions of one run by function."""
    file = os.path.join(folder, f"{row}.{n}")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}", "--quiet"]
    # The interpreter's hashes and addresses would otherwise differ from run to run.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    worker = [python, str(HERE / "worker.py"), name, row, str(n)]
    try:
        done = subprocess.run(
            ["setarch", "-R", *command, *worker], env=environ, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise SetupError("valgrind and setarch (util-linux) are needed") from None
    if done.returncode:
        raise SetupError(f"{name} failed on {row}:\n{done.stdout}{done.stderr}")
    return own_costs(file)


def own_costs(file: str) -> Counter:
    """Add up a callgrind file's own (not inherited) costs per function."""
    costs: Counter = Counter()
    names: dict[str, str] = {}
    function = ""
    inherited = False
    with open(file, errors="replace") as lines:
        for line in lines:
            if line[0].isdigit() or line[0] in "+-*":
                if inherited:
                    inherited = False
                else:
                    cost = line.split()
                    costs[function] += int(cost[1]) if len(cost) > 1 else 0
            elif line.startswith("fn="):
                number, _, text = line[3:].rstrip().partition(" ")
                if text:
                    names[number] = text
                function = names[number]
            elif line.startswith("cfn="):
                number, _, text = line[4:].rstrip().partition(" ")
                if text:
                    names[number] = text
            elif line.startswith("calls="):
                # The next line is the cost of the callee.
                inherited = True
    return costs


def per_operation(python: str, name: str, row: str) -> Counter:
    batch = ROWS[row].batch
    small = max(SMALL - SMALL % batch, batch)
    large = small * 3
    with tempfile.TemporaryDirectory() as folder:
        costs = profile(python, name, row, large, folder)
        costs.subtract(profile(python, name, row, small, folder))
    return Counter({function: cost / (large - small) for function, cost in costs.items()})


def readable(function: str) -> str:
    """A Rust name without the hash, and of the recursion marks only the name."""
    return re.sub(r"(::h[0-9a-f]{16})|('\d+)", "", function)[:90]


def main() -> None:
    countable = [row.name for row in ROWS.values() if row.countable]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--setup", action="store_true", help="first make, build and install all that is missing"
    )
    parser.add_argument(
        "--python", metavar="VERSION|PATH", help="interpreter (default: a 3.13, else this one)"
    )
    parser.add_argument(
        "--rows", metavar="A,B", default=",".join(countable), help=f"of: {', '.join(countable)}"
    )
    parser.add_argument(
        "--contestant", default=NATIVE, choices=CONTESTANTS, help="default: %(default)s"
    )
    parser.add_argument(
        "--functions", type=int, metavar="N", help="the N functions that cost the most in each row"
    )
    parser.add_argument("--save", metavar="FILE", help="write the counts as JSON")
    parser.add_argument("--against", metavar="FILE", help="compare with counts saved before")
    parser.add_argument(
        "--tolerance", type=float, default=2.0, metavar="PERCENT", help="default: %(default)s"
    )
    options = parser.parse_args()
    environment = Environment(find_interpreter(options.python))
    if options.setup:
        environment.prepare()
    elif not environment.exists():
        raise SetupError("nothing is set up for this interpreter: add --setup")
    before = {}
    if options.against:
        with open(options.against) as file:
            before = json.load(file)
    counts = {}
    lines = [["", "instructions", *(["before", "change"] if before else [])]]
    worse = []
    for row in options.rows.split(","):
        if row not in countable:
            parser.error(f"{row!r} is none of: {', '.join(countable)}")
        if options.contestant == FLOOR and row not in FLOORED:
            continue
        say(f"counting {row}")
        costs = per_operation(environment.python, options.contestant, row)
        counts[row] = round(costs.total(), 1)
        line = [ROWS[row].title, f"{counts[row]:.0f}"]
        if row in before:
            change = (counts[row] / before[row] - 1) * 100
            line += [f"{before[row]:.0f}", f"{change:+.1f} %"]
            if change > options.tolerance:
                worse.append(row)
        lines.append(line + [""] * (len(lines[0]) - len(line)))
        if options.functions:
            print(f"\n{ROWS[row].title}: {counts[row]:.0f} instructions per operation")
            for function, cost in costs.most_common(options.functions):
                print(f"{cost:9.1f}  {readable(function)}")
    print(f"\nInstructions per operation, {options.contestant}")
    print(grid(lines))
    if options.save:
        with open(options.save, "w") as file:
            json.dump(counts, file, indent=1)
            file.write("\n")
    if worse:
        sys.exit(f"more than {options.tolerance} % up: {', '.join(worse)}")


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
