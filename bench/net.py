"""Server CPU time per echoed request, beside an epoll server in C: `python bench/net.py --setup`.

README.md says what the table shows and how it is measured.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime

from contestants import CONTESTANTS, FLOOR, NATIVE
from environment import HERE, Environment, SetupError, find_interpreter, output, say
from net_servers import CERTIFICATE, CLIENTS, KINDS

SIZES = (1, 10, 100)  # KiB
CONNECTIONS = (1, 50, 1000)
#: In the place of a size: each request has a connection of its own.
CONNECT = "connect"
#: A load that has not ended by then never will; a sample takes a hundredth of it.
PATIENCE = 30.0
C = "C"
#: The server in C that does with its memory what the program of such a kind does.
LIKE = "C, same memory"
MEMORY = {"buffered": "own", "streams": "keep", "sock": "keep"}
#: These kinds speak TLS.
TLS = "tls-"
#: What `net_echo` calls the sockets of these kinds.
SOCKETS = {"unix": "unix", "udp": "udp", "udp-sock": "udp"}
#: More of them, or larger ones, and the kernel drops some.
DATAGRAMS = ((1, 1), (1, 50), (10, 1))
#: In the place of a size: connecting and closing.
DIAL = "dial"


class Broken(Exception):
    """A server or the load generator failed."""


class Server:
    """A process that echoes. `kind` is None for the one in C."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        if not line.strip().isdigit():
            self.close()
            raise Broken(f"the server did not start: {line.strip()!r}")
        self.port = int(line)

    def cpu(self) -> int:
        """Nanoseconds of processor that it has had, in user mode and in the kernel."""
        # What clock_getcpuclockid(3) answers on Linux; the module `time` lacks it for others.
        return time.clock_gettime_ns((~self.process.pid << 3) | 2)

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def dial(client: Server, server: Server, count: int) -> float:
    """Client CPU per connection, in nanoseconds."""
    figures = []
    for connections in (count // 10 + 1, count):  # the first ones are not counted
        before = client.cpu()
        client.process.stdin.write(f"{server.port} {connections}\n")
        client.process.stdin.flush()
        if client.process.stdout.readline().strip() != str(connections):
            raise Broken("the client failed")
        figures.append((client.cpu() - before) / connections)
    return figures[-1]


def sample(
    echo: str,
    server: Server,
    connections: int,
    size: int,
    requests: int,
    load: str = "load",
    socket: str | None = None,
) -> float:
    """Server CPU per request, in nanoseconds. `load` is that command of the load generator, `socket` what
    it calls the kind of socket.
    """
    given = (server.port, connections, size, requests, PATIENCE, *filter(None, [socket]))
    arguments = map(str, given)
    load = subprocess.Popen(
        [echo, load, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # Connecting and a first request on each connection are not counted.
        if load.stdout.readline().strip() != str(connections):
            raise Broken(load.stderr.read().strip())
        before = server.cpu()
        load.stdin.write("\n")
        load.stdin.flush()
        if load.stdout.readline().strip() != str(requests):
            raise Broken(load.stderr.read().strip())
        return (server.cpu() - before) / requests
    finally:
        load.stdin.close()
        load.wait()
        load.stdout.close()
        load.stderr.close()


class Bench:
    def __init__(self, environment: Environment, options):
        self.python = environment.python
        self.environment = environment
        self.options = options
        #: (kind, size, connections): contestant: one figure per turn, None where it failed.
        self.samples: dict[tuple, dict[str, list]] = {}
        self.errors: dict[str, str] = {}

    def echo(self, kind: str) -> str:
        """The program in C for that kind."""
        if kind.startswith(TLS):
            return str(self.environment.build_tls_echo())
        return str(self.environment.build_echo())

    def start(self, name: str, kind: str) -> Server | None:
        tls = kind.startswith(TLS)
        options = [str(CERTIFICATE)] if tls else [SOCKETS[kind]] if kind in SOCKETS else []
        if name == LIKE:
            if kind not in MEMORY:
                return None
            options = [MEMORY[kind]]
        command = [self.echo(kind), "serve", *options]
        if kind in CLIENTS:
            command = [self.echo(kind), "dial"]
        if name not in (C, LIKE):
            contestant = CONTESTANTS[name]
            if (tls and not contestant.tls) or kind in contestant.lacks:
                return None
            command = [self.python, str(HERE / "net_servers.py"), name, kind]
        try:
            return Server(command)
        except Broken as error:
            self.errors[f"{name}, {kind}"] = str(error)
            return None

    def measure(self, names: list[str], kinds: list[str], rows: list[tuple[int, int]]) -> None:
        for number in range(1, self.options.rounds + 1):
            say(f"round {number} of {self.options.rounds}")
            for kind in kinds:
                servers = {name: self.start(name, kind) for name in [C, LIKE, *names]}
                self.peer = self.start(C, "protocol") if kind in CLIENTS else None
                try:
                    for turn in range(self.options.samples):
                        for size, connections in self.rows(kind, rows):
                            self.turn(servers, (kind, size, connections), turn)
                finally:
                    for server in filter(None, [*servers.values(), self.peer]):
                        server.close()

    def rows(self, kind: str, rows: list[tuple[int, int]]) -> list[tuple]:
        if kind in CLIENTS:
            return [(DIAL, 1)]
        if SOCKETS.get(kind) == "udp":
            return [row for row in rows if row in DATAGRAMS]
        return [*rows, *([(CONNECT, self.options.connect)] if self.options.connect else [])]

    def turn(self, servers: dict, row: tuple, turn: int) -> None:
        """One sample of each, close in time, and nobody always after the same one."""
        kind, size, connections = row
        load = "load"
        if size in (CONNECT, DIAL):
            size, load = 1, "connect"
            # Each takes a port of the client's for a minute.
            requests = min(self.options.requests // 8, 4000)
        else:
            # Fewer of the large ones, and so many on each connection that a server's memory has grown
            # to what it needs long before the end: a new page costs as much as many requests.
            fewest = self.options.requests // 5
            requests = max(self.options.requests // (1 + size // 4), fewest, 20 * connections)
        names = list(servers)
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            figure = None
            if (server := servers[name]) is not None:
                try:
                    if kind in CLIENTS:
                        figure = dial(server, self.peer, requests)
                    else:
                        echo, socket = self.echo(kind), SOCKETS.get(kind)
                        bytes_each = size * 1024
                        figure = sample(echo, server, connections, bytes_each, requests, load, socket)
                except Broken as error:
                    self.errors[f"{name}, {kind}, {connections} connections, {load} {size} KiB"] = str(error)
                    # It may hang; the others go on.
                    server.close()
                    servers[name] = None
            self.samples.setdefault(row, {}).setdefault(name, []).append(figure)


def ratio(of: list, to: list) -> float | None:
    """The median of the ratios of samples taken in one turn."""
    ratios = [a / b for a, b in zip(of, to) if a and b]
    return statistics.median(ratios) if ratios else None


def table(bench: Bench, names: list[str]) -> list[str]:
    title = "| server CPU per request, of the C server's | C, µs | " + " | ".join(names) + " |"
    lines = [title, "|---" * (2 + len(names)) + "|"]
    for (kind, size, connections), figures in bench.samples.items():
        unit = [figure for figure in figures[C] if figure]
        cells = [f"{statistics.median(unit) / 1000:.2f}" if unit else "–"]
        for name in names:
            value = ratio(figures[name], figures[C])
            cells.append("–" if value is None else f"{value:.2f}")
        plural = "" if connections == 1 else "s"
        row = f"{kind}, {size} KiB, {connections} connection{plural}"
        if size == CONNECT:
            row = f"{kind}, one connection each, {connections} at a time"
        if size == DIAL:
            row = f"{kind}, connecting and closing"
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return lines


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setup", action="store_true", help="make or refresh the environment first")
    parser.add_argument("--python", help="the interpreter, as a path or a version")
    parser.add_argument("--rounds", type=int, default=3, help="new processes in each")
    parser.add_argument("--samples", type=int, default=3, help="of each row in each round")
    parser.add_argument("--requests", type=int, default=20_000, help="per sample, of 1 KiB")
    parser.add_argument("--kinds", help=f"some of {','.join(KINDS)}")
    parser.add_argument("--sizes", type=numbers, default=SIZES, help="KiB")
    parser.add_argument("--connections", type=numbers, default=CONNECTIONS)
    parser.add_argument("--connect", type=int, default=50, help="new connections at a time; 0: none")
    parser.add_argument("--contestants", help="leave out all others")
    parser.add_argument("--output", help="the JSON file with all samples")
    options = parser.parse_args()

    try:
        environment = Environment(find_interpreter(options.python))
        if options.setup:
            environment.prepare()
        if not environment.exists():
            raise SetupError("run it with --setup first")
        environment.build_echo()
        kinds = options.kinds.split(",") if options.kinds else list(KINDS)
        if any(kind.startswith(TLS) for kind in kinds):
            environment.build_tls_echo()
    except SetupError as error:
        say(str(error))
        return 1
    # A thousand connections need more descriptors than many shells allow.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))

    wanted = options.contestants.split(",") if options.contestants else list(CONTESTANTS)
    present = output(
        environment.python,
        "-c",
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from contestants import CONTESTANTS\n"
        "print(*(c.name for c in CONTESTANTS.values() if c.present()), sep='\\n')",
    )
    names = [name for name in (present or "").split("\n") if name in wanted and name != FLOOR]
    rows = [(size, count) for size in options.sizes for count in options.connections]
    bench = Bench(environment, options)
    bench.measure(names, kinds, rows)

    print(*table(bench, [LIKE, *names]), sep="\n")
    for where, error in bench.errors.items():
        print(f"failed: {where}: {error}")
    target = options.output or str(environment.folder / "net.json")
    with open(target, "w", encoding="utf-8") as file:
        about = {"date": datetime.now(UTC).isoformat(), "cpus": os.cpu_count(), "python": sys.version}
        samples = [{"row": row, **figures} for row, figures in bench.samples.items()]
        json.dump({"about": about, "samples": samples, "errors": bench.errors}, file, indent=1)
    say(f"all samples are in {target}")
    return 1 if any(where.startswith(NATIVE) for where in bench.errors) else 0


if __name__ == "__main__":
    sys.exit(main())
