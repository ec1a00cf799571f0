#!/usr/bin/env python3
"""Each feature of the Rust crates by itself, and none at all: does it compile, without a warning?

The tests know the crates with all features and without any. What one feature needs of another that it
does not name shows only where it is alone.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rasyncio-engine", "rasyncio")


def features():
    """Pairs of a package and one of its features that a program may ask for."""
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--no-deps", "--format-version", "1"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
    )
    for package in metadata["packages"]:
        if package["name"] in PACKAGES:
            for feature in sorted(package["features"]):
                # `_` begins the names of those that only others ask for.
                if feature != "default" and not feature.startswith("_"):
                    yield package["name"], feature


def compiles(package, *arguments):
    command = ["cargo", "clippy", "--quiet", "--package", package, "--lib"]
    command += ["--no-default-features", *arguments, "--", "-D", "warnings"]
    return subprocess.run(command, cwd=ROOT).returncode == 0


def main():
    failed = [f"{package} without features" for package in PACKAGES if not compiles(package)]
    for package, feature in features():
        if not compiles(package, "--features", feature):
            failed.append(f"{package} with {feature} alone")
    if failed:
        sys.exit("check_features: " + "; ".join(failed))


if __name__ == "__main__":
    main()
