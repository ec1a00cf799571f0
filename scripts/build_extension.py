#!/usr/bin/env python3
"""Builds the package for one interpreter into a folder that PYTHONPATH can name, and prints it.

    PYTHONPATH=$(scripts/build_extension.py --python python3.13) python3.13 -c 'import rasyncio'

The folder (build/PROFILE/VERSION) holds links to python/rasyncio and the compiled module, so changes
of Python files need no new build. Needs neither pip nor a virtual environment; to install rasyncio,
use pip or maturin.

Each interpreter has a cargo target folder of its own: PyO3 is compiled for one interpreter, and
sharing a folder would compile it anew at every change of interpreter.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "python" / "rasyncio"

PROBE = """
import json, sys, sysconfig
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "suffix": sysconfig.get_config_var("EXT_SUFFIX"),
    "implementation": sys.implementation.name,
}))
"""

#: Arguments for cargo, the folder cargo builds into, and what the environment adds.
PROFILES = {
    "dev": ([], "debug", {}),
    "release": (["--release"], "release", {}),
    # RUSTC_BOOTSTRAP: sanitizers are an unstable flag of a stable compiler. --target keeps them out
    # of build scripts and procedural macros.
    "asan": (
        ["--target", "x86_64-unknown-linux-gnu"],
        "x86_64-unknown-linux-gnu/debug",
        {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": "-Zsanitizer=address"},
    ),
}


def build(python, profile):
    """Compile for `python`, an absolute path, and lay the package out; returns its folder."""
    found = json.loads(
        subprocess.run([python, "-I", "-c", PROBE], check=True, capture_output=True).stdout
    )
    if found["implementation"] != "cpython":
        sys.exit(f"{python} is {found['implementation']}; rasyncio needs CPython")
    arguments, produced, environment = PROFILES[profile]
    name = f"py{found['version']}" + ("-asan" if profile == "asan" else "")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / name
    subprocess.run(
        ["cargo", "build", "--quiet", "--package", "rasyncio-python", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            **environment,
            "CARGO_TARGET_DIR": str(target),
            "PYO3_PYTHON": python,
        },
        check=True,
    )
    folder = ROOT / "build" / profile / found["version"]
    package = folder / "rasyncio"
    package.mkdir(parents=True, exist_ok=True)
    link_sources(package)
    module = package / f"_rasyncio{found['suffix']}"
    # Put in place by renaming: a process that has the former one loaded keeps it. Two may build at once.
    partial = package / f".{module.name}.{os.getpid()}"
    shutil.copy2(target / produced / "lib_rasyncio.so", partial)
    partial.replace(module)
    return folder


def link_sources(package):
    wanted = {
        item.name: item
        for item in SOURCES.iterdir()
        if item.name != "__pycache__" and item.suffix != ".so"
    }
    for item in package.iterdir():
        if item.is_symlink() and item.name not in wanted:
            item.unlink(missing_ok=True)
    for name, item in wanted.items():
        link = package / name
        if not link.is_symlink():
            with contextlib.suppress(FileExistsError):
                link.symlink_to(os.path.relpath(item, package))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--profile", choices=PROFILES, default="dev")
    options = parser.parse_args()
    python = shutil.which(options.python)
    if python is None:
        sys.exit(f"there is no interpreter {options.python}")
    if shutil.which("cargo") is None:
        sys.exit("cargo is missing: install Rust and its cargo")
    try:
        print(build(os.path.abspath(python), options.profile))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
