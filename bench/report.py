"""From samples to ratios, and from ratios to a table.

Every ratio is taken between samples of the same turn, made within a second of each
other, and only then is the median taken: a machine that changes its speed during
the run changes both sides alike.
"""

import statistics

from contestants import CONTESTANTS, FLOOR, LOOP, NATIVE
from rows import ROWS

MEMORY = "memory"
OURS = [LOOP, NATIVE]
# Rows that floor.py has a floor for.  (It cannot be asked: it needs the built module.)
FLOORED = {
    "sleep0-1",
    "sleep0-1000",
    "create-task",
    "gather",
    "taskgroup",
    "call-soon-chained",
    "call-soon-burst",
}


def quotients(above: list, below: list) -> list[float]:
    return [a / b for a, b in zip(above, below) if a is not None and b is not None]


def middle(values: list[float]) -> dict | None:
    """The median, and the quartiles that half of the values lie between."""
    if not values:
        return None
    if len(values) < 4:
        low, high = min(values), max(values)
    else:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": statistics.median(values), "low": low, "high": high}


def evaluate(about: dict, names: list[str], rows: list[str], bench) -> dict:
    results = {"about": about, "contestants": names, "rows": {}}
    for row in rows:
        if row == MEMORY:
            costs = {name: [bench.memory[name]] for name in names if name in bench.memory}
            title = f"memory per sleeping task, {about['tasks']} of them"
        else:
            costs = {
                name: bench.samples[row, name] for name in names if (row, name) in bench.samples
            }
            title = ROWS[row].title
        results["rows"][row] = evaluate_row(title, "bytes" if row == MEMORY else "ns", costs)
    results["errors"] = [
        {"row": row, "contestant": name, "error": error}
        for (row, name), error in bench.errors.items()
    ]
    return results


def evaluate_row(title: str, unit: str, costs: dict[str, list]) -> dict:
    """`costs` are what one operation takes, so less is better and the peer's over ours is a speed."""
    medians = {}
    for name, samples in costs.items():
        known = [sample for sample in samples if sample is not None]
        if known:
            medians[name] = statistics.median(known)
    peers = [name for name in medians if CONTESTANTS[name].peer]
    best = best_of({name: costs[name] for name in peers})
    row = {"title": title, "unit": unit, "best_peer": best, "contestants": {}}
    for name in medians:
        row["contestants"][name] = {
            "cost": medians[name],
            "to_best_peer": middle(quotients(costs[best], costs[name]))
            if best and name != FLOOR
            else None,
            "of_floor": middle(quotients(costs[FLOOR], costs[name]))
            if FLOOR in medians and name != FLOOR
            else None,
            "samples": costs[name],
        }
    return row


def best_of(costs: dict[str, list]) -> str | None:
    """The one that none of the others is faster than, compared turn by turn."""

    def behind(name: str) -> float:
        return max(
            statistics.median(quotients(costs[name], other) or [1]) for other in costs.values()
        )

    return min(costs, key=behind, default=None)


def figure(entry: dict | None, key: str) -> str:
    if entry is None:
        return "failed"
    value = entry[key]
    return "-" if value is None else f"{value['median']:.2f}"


def spread(entry: dict | None) -> str:
    value = entry and entry["to_best_peer"]
    return f"{value['low']:.2f}-{value['high']:.2f}" if value else ""


def grid(lines: list[list[str]]) -> str:
    """Columns of equal width, the first to the left, under a ruled heading."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    out = []
    for number, line in enumerate(lines):
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:])),
        ]
        out.append("  ".join(cells).rstrip())
        if not number:
            out.append("  ".join("-" * width for width in widths))
    return "\n".join(out)


def heading(about: dict) -> str:
    versions = ", ".join(f"{module} {version}" for module, version in about["versions"].items())
    return (
        f"{about['interpreter']}; {versions or 'no peers'}\n"
        f"{about['machine']}, {about['processors']} processors, load {about['load']} at the start; "
        f"{about['rounds']} rounds of {about['samples']} samples by {about['clock']} clock"
    )


def table(results: dict) -> str:
    names = [name for name in results["contestants"] if name != FLOOR]
    ours = [name for name in names if name in OURS]
    floored = FLOOR in results["contestants"]
    titles = ["", *names]
    titles += [f"spread of {name}" for name in ours[-1:]]
    titles += [f"of floor: {name}" for name in ["best peer", *ours]] if floored else []
    lines = [titles]
    for row in results["rows"].values():
        entries = row["contestants"]
        line = [row["title"], *(figure(entries.get(name), "to_best_peer") for name in names)]
        line += [spread(entries.get(name)) for name in ours[-1:]]
        if floored:
            line += [figure(entries.get(name), "of_floor") for name in [row["best_peer"], *ours]]
        lines.append(line)
    text = [
        "",
        heading(results["about"]),
        "",
        "Speed, the best peer of each row being 1.00 (memory: thrift)",
        grid(lines),
    ]
    for error in results["errors"]:
        text.append(f"\n{error['row']} failed on {error['contestant']}: {error['error'].strip()}")
    return "\n".join(text)


def absolute_table(results: dict) -> str:
    """Thousand operations per second: for comparison with figures from the same machine only."""
    names = results["contestants"]
    lines = [["", *names]]
    for row in results["rows"].values():
        line = [row["title"]]
        for name in names:
            entry = row["contestants"].get(name)
            scale = (
                (lambda cost: f"{cost:.0f}")
                if row["unit"] == "bytes"
                else (lambda cost: f"{1e6 / cost:.0f}")
            )
            line.append(scale(entry["cost"]) if entry else "-")
        lines.append(line)
    return "\nThousand operations per second here and now (memory: bytes per task)\n" + grid(lines)
