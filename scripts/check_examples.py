#!/usr/bin/env python3
"""Lists what is public in crates/rasyncio and has no example in its documentation.

    scripts/check_examples.py            # one line for each; exit code 1 if there are any
    scripts/check_examples.py --counts   # how many there are in each module

Functions, methods, types, traits and macros want one of their own; fields, variants and methods of traits do
not. What needs none is in EXCUSED, with the reason. An entry there that excuses nothing is an error.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
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
    "transports::stream": "a state; the face is Transport",
    "transports::datagram": "a state; the face is DatagramTransport",
    "transports::chunks": "a state; the face is Transport",
    "transports::flow": "a state; the face is Transport",
    "tls::session": "of a state; the faces are Transport and the streams",
    "tls::state": "a state; the faces are Transport and the streams",
    "tls::TlsInfo": "the answer of tls_info",
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
    "threads::SpawnError": "the engine's; the answer of a pool that takes no more",
    "threads::WorkerPool": "the engine's; run_in_executor's example makes one",
    "timeouts::Within": "the answer of timeout",
}


EXPECTED = ("struct", "enum", "union", "function", "trait", "macro", "proc_macro")


def documentation():
    """rustdoc's own description of the crate.

    Stable compilers give it to those who ask as if they were not stable. Only rustdoc is asked so: build
    scripts that look whether the compiler is a nightly one would have everything built anew.
    """
    rustdoc = os.environ.get("RUSTDOC") or shutil.which("rustdoc")
    if rustdoc is None:
        sys.exit("check_examples: rustdoc is missing: it comes with Rust")
    command = ["cargo", "rustdoc", "--quiet", "--package", "rasyncio", "--all-features", "--lib"]
    options = ["--", "-Z", "unstable-options", "--output-format", "json"]
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "rustdoc"
        wrapper.write_text(f'#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec "{rustdoc}" "$@"\n', encoding="utf-8")
        wrapper.chmod(0o700)
        environment = {**os.environ, "RUSTDOC": str(wrapper)}
        subprocess.run([*command, *options], cwd=ROOT, check=True, env=environment)
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps"]
    found = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    target = Path(json.loads(found)["target_directory"])
    return json.loads((target / "doc" / "rasyncio.json").read_text(encoding="utf-8"))


class Items:
    """What is public and wants an example: under which paths, and whether one of these has an example.

    What is hidden from the documentation is not in its description. What is exported again may be documented
    where it is or where it is exported, and has several paths.
    """

    def __init__(self, crate):
        self.index = crate["index"]
        self.elsewhere = crate["paths"]
        self.paths = collections.defaultdict(list)
        self.shown = set()
        self.module(crate["root"], [])

    def module(self, number, path):
        for child in self.index[str(number)]["inner"]["module"]["items"]:
            self.look(child, path)

    def look(self, number, path):
        item = self.index.get(str(number))
        if item is None or item["visibility"] not in ("public", "default"):
            return
        kind, inner = next(iter(item["inner"].items()))
        if kind == "use":
            self.exported(item, inner, path)
            return
        path = [*path, item["name"]]
        if kind == "module":
            self.module(number, path)
        if kind in EXPECTED:
            self.note(number, path, item["docs"])
        for block in inner["impls"] if kind in ("struct", "enum", "union") else ():
            self.block(block, path)

    def block(self, number, path):
        block = self.index.get(str(number))
        if block and block["inner"]["impl"]["trait"] is None:
            for method in block["inner"]["impl"]["items"]:
                self.look(method, path)

    def exported(self, item, use, path):
        number = use["id"]
        if use["is_glob"]:
            target = self.index.get(str(number))
            # Of an enum's variants none is expected.
            if target and "module" in target["inner"]:
                self.module(number, path)
        elif str(number) in self.index:
            before = len(self.paths.get(number, ()))
            self.look(number, path)
            if len(self.paths.get(number, ())) > before:
                # Under the name that it is exported by.
                self.paths[number][-1] = "::".join([*path, use["name"]])
                self.note(number, None, item["docs"])
        elif number is not None and self.kind_elsewhere(number) in (*EXPECTED, "proc_attribute"):
            self.note(number, [*path, use["name"]], item["docs"])

    def kind_elsewhere(self, number):
        return self.elsewhere.get(str(number), {}).get("kind")

    def note(self, number, path, docs):
        if path is not None:
            self.paths[number].append("::".join(path))
        if "```" in (docs or ""):
            self.shown.add(number)

    def without_example(self):
        """The paths of each that has none."""
        return [paths for number, paths in self.paths.items() if number not in self.shown]


def excuse(paths):
    """The entry of EXCUSED that excuses what has these paths."""
    for name in EXCUSED:
        if any(path == name or path.startswith(f"{name}::") for path in paths):
            return name
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", action="store_true", help="how many there are in each module")
    arguments = parser.parse_args()
    missing, used = [], set()
    for paths in Items(documentation()).without_example():
        reason = excuse(paths)
        if reason is None:
            missing.append(min(paths, key=len))
        used.add(reason)
    if idle := sorted(EXCUSED.keys() - used):
        sys.exit(f"check_examples: excused, though nothing there lacks an example: {', '.join(idle)}")
    if arguments.counts:
        counts = collections.Counter(path.partition("::")[0] for path in missing)
        missing = [f"{count:4} {module}" for module, count in counts.most_common()]
    print("\n".join(missing) or "check_examples: everything public has an example")
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
