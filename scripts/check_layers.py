#!/usr/bin/env python3
"""Checks that each floor knows nothing of the ones above it.

The engine depends on neither rasyncio nor PyO3, rasyncio on no PyO3: asked of cargo, for all
platforms and features, through every level of dependencies.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FORBIDDEN = {
    "rasyncio-engine": ("rasyncio", "rasyncio-macros", "rasyncio-python", "pyo3", "pyo3-ffi"),
    "rasyncio": ("rasyncio-python", "pyo3", "pyo3-ffi"),
}


def dependencies(package):
    command = ["cargo", "tree", "--package", package, "--edges", "normal,build", "--prefix", "none"]
    command += ["--target", "all", "--all-features", "--format", "{p}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return {line.split()[0] for line in done.stdout.splitlines() if line.strip()} - {package}


def main():
    wrong = [
        f"{package} depends on {', '.join(sorted(found))}"
        for package, names in FORBIDDEN.items()
        if (found := dependencies(package).intersection(names))
    ]
    if wrong:
        sys.exit("check_layers: " + "; ".join(wrong))
    print("check_layers: engine <- rasyncio <- python, and nothing the other way")


if __name__ == "__main__":
    main()
