#!/usr/bin/env python3
"""Lists what is public in crates/rasyncio and has no example in its documentation.

    scripts/check_examples.py            # one line for each; exit code 1 if there are any
    scripts/check_examples.py --counts   # how many there are in each module

An example of a type counts for its constructors, getters and plain methods only if they have one of their
own. What is excused: fields, variants, methods of traits, and items that only other crates' states use
(EXCUSED, with the reason).
"""

import argparse
import collections
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Modules in which one example on top shows how all of it goes together.
EXCUSED = {
    "streams::reader": "a state; the face is StreamReader",
    "streams::buffer": "a state; the face is StreamReader",
    "streams::search": "a state; the face is StreamReader",
    "queues::state": "a state; the face is Queue",
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
}


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
        name = "::".join([*path, item["name"] or ""])
        has_example = "```" in (item["docs"] or "")
        match kind:
            case "module":
                for child in inner["items"]:
                    below = index.get(str(child), {}).get("name")
                    yield from walk(child, path if number == crate["root"] or below is None else [*path, item["name"]])
            case "use":
                if inner.get("id") is not None and not inner["is_glob"]:
                    yield from walk(inner["id"], path)
            case "struct" | "enum" | "union":
                if not has_example:
                    yield name
                for implementation in inner["impls"]:
                    block = index.get(str(implementation))
                    if block and block["inner"]["impl"]["trait"] is None:
                        for method in block["inner"]["impl"]["items"]:
                            yield from walk(method, [*path, item["name"]])
            case "function" | "trait" | "macro":
                if not has_example:
                    yield name

    root = index[str(crate["root"])]
    for child in root["inner"]["module"]["items"]:
        item = index.get(str(child))
        is_module = item and "module" in item["inner"]
        yield from walk_module(walk, index, child, []) if is_module else walk(child, [])


def walk_module(walk, index, number, path):
    item = index[str(number)]
    path = [*path, item["name"]]
    for child in item["inner"]["module"]["items"]:
        below = index.get(str(child))
        if below and "module" in below["inner"]:
            yield from walk_module(walk, index, child, path)
        else:
            yield from walk(child, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", action="store_true", help="how many there are in each module")
    arguments = parser.parse_args()
    missing = [
        path
        for path in without_example(documentation())
        if not any(path.startswith(f"{module}::") for module in EXCUSED)
    ]
    if arguments.counts:
        counts = collections.Counter(path.partition("::")[0] for path in missing)
        missing = [f"{count:4} {module}" for module, count in counts.most_common()]
    print("\n".join(missing) or "everything public has an example")
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
