"""Where an echo server's processor time goes: `python bench/net_profile.py streams 1 1000`.

Microseconds of each request in the kernel, in C's library, in the interpreter and in rasyncio, beside the server
in C. What the kernel takes varies more from run to run than most changes of ours save: it is the share in our
own code that shows them. `--builds A,B` compares builds that are kept in folders (`cp -rL` of what
`scripts/build_extension.py` prints), in turns. `perf` has to be installed.
"""

import argparse
import collections
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contestants import NATIVE
from environment import HERE, Environment, SetupError, find_interpreter, say
from net import PATIENCE, C, Server
from net_servers import KINDS

#: Part of the name of a shared object, and what it is called here; what has none of them is "other".
PARTS = {"kernel": "kernel", "_rasyncio": NATIVE, "libpython": "python", "libc.": "libc"}
COLUMNS = [*PARTS.values(), "other"]


def profile(command: list[str], echo: str, row: tuple[str, str], requests: int) -> dict[str, float]:
    """Microseconds of a request by part. `row` is connections and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder, "perf.data"))
        server = Server(command)
        try:
            arguments = [str(server.port), *row, str(requests), str(PATIENCE)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            with subprocess.Popen([echo, "load", *arguments], **pipes) as load:
                load.stdout.readline()
                record = ["perf", "record", "-q", "-F", "4000", "-e", "cpu-clock", "-o", data]
                with subprocess.Popen([*record, "-p", str(server.process.pid)]) as perf:
                    time.sleep(0.7)  # for perf to be there
                    before = server.cpu()
                    load.stdin.write("\n")
                    load.stdin.flush()
                    load.stdout.readline()
                    each = (server.cpu() - before) / requests / 1000
                    perf.send_signal(signal.SIGINT)
                load.stdin.close()
        finally:
            server.close()
        script = ["perf", "script", "-i", data, "-F", "ip,dso"]
        samples = subprocess.run(script, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    counts = collections.Counter(
        next((part for key, part in PARTS.items() if key in sample), "other") for sample in samples if sample
    )
    return {part: each * counts[part] / counts.total() for part in COLUMNS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=[kind for kind in KINDS if not kind.startswith(("tls-", "u", "client-"))])
    parser.add_argument("size", type=int, help="KiB")
    parser.add_argument("connections", type=int)
    parser.add_argument("--python", help="the interpreter, as a path or a version")
    parser.add_argument("--builds", help="folders with the package, separated by commas")
    parser.add_argument("--requests", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    environment = Environment(find_interpreter(options.python))
    if not environment.exists():
        say("run `python bench/net.py --setup` first")
        return 1
    if not shutil.which("perf"):
        say("there is no perf (Debian: linux-perf)")
        return 1
    echo = str(environment.build_echo())
    python = [environment.python, str(HERE / "net_servers.py"), NATIVE, options.kind]
    commands = {C: [echo, "serve"], NATIVE: python}
    if options.builds:
        del commands[NATIVE]
        for folder in options.builds.split(","):
            commands[folder] = ["env", f"PYTHONPATH={os.path.abspath(folder)}", *python]
    row = (str(options.connections), str(options.size * 1024))
    times = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            times[name].append(profile(command, echo, row, options.requests))
    width = max(map(len, times))
    print("us of a request".ljust(width), "  total", *(f"{column:>9}" for column in COLUMNS))
    for name, rounds in times.items():
        totals = statistics.median(sum(one.values()) for one in rounds)
        parts = (f"{statistics.median(one[part] for one in rounds):9.2f}" for part in COLUMNS)
        print(name.ljust(max(width, len("us of a request"))), f"{totals:7.2f}", *parts)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        say(str(error))
        sys.exit(1)
