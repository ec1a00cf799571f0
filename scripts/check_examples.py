#!/usr/bin/env python3
"""Lists what is public in crates/rasyncio and has no example in its documentation.

    scripts/check_examples.py            # one line for each; exit code 1 if there are any
    scripts/check_examples.py --counts   # how many there are in each module

Functions, methods, types, traits and macros want one of their own; fields, variants and methods of traits do
not. What needs none is in EXCUSED, with the reason.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What needs none: modules in which one example on top shows how all of it goes together, and types that a
# function answers and nobody names, whose example is the function's.
EXCUSED = {
    "streams::reader": "a state; the face is StreamReader",
    "streams::buffer": "a state; the face is StreamReader",
    "streams::search": "a state; the face is StreamReader",
    "queues::state": "a state; the face is Queue",
    "queues::Store": "of that state",
    "locks::states": "states; the faces are Lock and the others",
    "locks::line": "a state; the faces are Lock and the others",
    "scheduler::state": "a state; the face is Scheduler",
    "taskgroups::state": "a state; the face is TaskGroup",
    "transports::stream": "a state; the face is Transport",
    "transports::datagram": "a state; the face is DatagramTransport",
    "transports::chunks": "a state; the face is Transport",
    "transports::flow": "a state; the face is Transport",
    "tls": "states, and their faces in the making",
    "scope": "for hosts; the module's example is a whole one",
    "taskgroups::JoinChild": "the answer of `child.await`",
    "taskgroups::Running": "the answer of TaskGroup::run",
    "tasks::Next": "the answer of AsCompleted::next",
    "tasks::Gatherable": "a bound of gather",
    "tasks::Gathered": "a bound of gather",
    "tasks::Join": "the answer of `task.await`",
    "tasks::JoinMut": "the answer of `(&mut task).await`",
    "tasks::Shield": "the answer of shield",
    "tasks::Shieldable": "a bound of shield",
    "timeouts::Within": "the answer of timeout",
}


EXPECTED = ("struct", "enum", "union", "function", "trait", "macro")


def is_excused(path):
    return any(path == name or path.startswith(f"{name}::") for name in EXCUSED)


def documentation():
    """rustdoc's own description of the crate."""
    command = ["cargo", "rustdoc", "--quiet", "--package", "rasyncio", "--all-features", "--lib"]
    options = ["--", "-Z", "unstable-options", "--output-format", "json"]
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1"}
    subprocess.run([*command, *options], cwd=ROOT, check=True, env=environment)
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps"]
    found = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    target = Path(json.loads(found)["target_directory"])
    return json.loads((target / "doc" / "rasyncio.json").read_text(encoding="utf-8"))


def without_example(crate):
    """The paths of what has none, each once, in order."""
    index = crate["index"]
    seen = set()

    def walk(number, path):
        item = index.get(str(number))
        if item is None or number in seen or item["visibility"] not in ("public", "default"):
            return
        seen.add(number)
        kind, inner = next(iter(item["inner"].items()))
        if kind == "use":
            if inner.get("id") is not None and not inner["is_glob"]:
                yield from walk(inner["id"], path)
            return
        path = [*path, item["name"]]
        if kind == "module":
            for child in inner["items"]:
                yield from walk(child, path)
        if kind in EXPECTED and "```" not in (item["docs"] or ""):
            yield "::".join(path)
        if kind in ("struct", "enum"):
            blocks = [index.get(str(number)) for number in inner["impls"]]
            own = [block["inner"]["impl"] for block in blocks if block]
            for block in own:
                if block["trait"] is None:
                    for method in block["items"]:
                        yield from walk(method, path)

    for child in index[str(crate["root"])]["inner"]["module"]["items"]:
        yield from walk(child, [])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", action="store_true", help="how many there are in each module")
    arguments = parser.parse_args()
    missing = [
        path
        for path in without_example(documentation())
        if not is_excused(path)
    ]
    if arguments.counts:
        counts = collections.Counter(path.partition("::")[0] for path in missing)
        missing = [f"{count:4} {module}" for module, count in counts.most_common()]
    print("\n".join(missing) or "everything public has an example")
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
