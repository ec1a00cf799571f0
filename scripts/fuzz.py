#!/usr/bin/env python3
"""Fuzzes what fuzz/targets holds, each for its share of the time, under AddressSanitizer.

    scripts/fuzz.py --seconds 60
    scripts/fuzz.py --target stream_reader --seconds 600
    scripts/fuzz.py --target stream_reader --input build/fuzz/stream_reader/crash-…

What was found before (build/fuzz/TARGET/corpus) is where the next run begins. Instrumentation needs the
compiler's unstable flags, which RUSTC_BOOTSTRAP=1 allows on the stable one.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"

FLAGS = [
    "-Zsanitizer=address",
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
]


def targets():
    with open(ROOT / "fuzz" / "Cargo.toml", "rb") as file:
        return [binary["name"] for binary in tomllib.load(file)["bin"]]


def build():
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "fuzz"
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(folder),
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": " ".join(FLAGS),
    }
    command = ["cargo", "build", "--quiet", "--manifest-path", ROOT / "fuzz" / "Cargo.toml"]
    if subprocess.run([*command, "--target", TARGET], env=environment).returncode:
        sys.exit("fuzz: the targets do not build")
    return folder / TARGET / "debug"


def fuzz(program, seconds):
    folder = ROOT / "build" / "fuzz" / program.name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-max_len=1024", "-print_final_stats=1", "-verbosity=0"]
    # All lengths from the beginning: in a minute it would not come to programs of twenty bytes by itself.
    options.append("-len_control=0")
    done = subprocess.run(
        [program, corpus, *options, f"-artifact_prefix={folder}/"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if done.returncode:
        print(done.stderr)
        sys.exit(f"fuzz: {program.name} failed; the input is in {folder}")
    executed = next((line.split()[-1] for line in done.stderr.splitlines() if "executed_units" in line), "?")
    print(f"{program.name}: {executed} programs in {seconds} s, nothing found", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="in all")
    parser.add_argument("--target", choices=targets(), action="append")
    parser.add_argument("--input", help="run this one alone")
    options = parser.parse_args()
    chosen = options.target or targets()
    programs = build()
    for name in chosen:
        if options.input:
            sys.exit(subprocess.run([programs / name, options.input]).returncode)
        fuzz(programs / name, max(options.seconds // len(chosen), 1))


if __name__ == "__main__":
    main()
