#!/usr/bin/env python3
"""Finds the Pythons that rasyncio supports, and provides those that the machine does not have.

    scripts/pythons.py                  one line each: version, then the interpreter
    scripts/pythons.py --provide        fetches 3.13 to 3.15 from Debian sid if need be
    scripts/pythons.py --require-all    fails, naming what is missing, unless all are there

Looked for on PATH and among pyenv's versions; a version counts only with test.test_asyncio.
Notes about missing ones go to standard error.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
#: Those that Debian sid has.
FROM_SID = ("3.13", "3.14", "3.15")

ROOT = Path(__file__).resolve().parent.parent
SID = ROOT / "scripts" / "sid"
SID_LAUNCHERS = ROOT / ".cache" / "pythons"

CHECK = """
import sys, sysconfig, importlib.util as u
assert "%d.%d" % sys.version_info[:2] == sys.argv[1], "it is another version"
assert not sysconfig.get_config_var("Py_GIL_DISABLED"), "it is a free-threaded build"
assert u.find_spec("test") and u.find_spec("test.test_asyncio"), "it has no test.test_asyncio"
"""


def candidates(version):
    name = f"python{version}"
    on_path = [
        str(Path(folder, name))
        for folder in os.environ.get("PATH", "").split(os.pathsep)
        if shutil.which(name, path=folder)
    ]
    # A pyenv shim answers only for the versions that are switched on.
    yield from (path for path in on_path if ".pyenv/shims" not in path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    patches = pyenv.glob(f"{version}.*/bin/{name}")
    yield from map(str, sorted(patches, key=lambda path: path.stat().st_mtime, reverse=True))
    launcher = SID_LAUNCHERS / name
    if launcher.exists():
        yield str(launcher)


def find(version):
    """The interpreter for `version`, and why the ones that were looked at do not serve."""
    refused = []
    for path in candidates(version):
        done = subprocess.run([path, "-I", "-c", CHECK, version], capture_output=True, text=True)
        if done.returncode == 0:
            return path, refused
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        refused.append(f"{path}: {reason[0].removeprefix('AssertionError: ')}")
    return None, refused


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--provide", action="store_true")
    parser.add_argument("--require-all", action="store_true")
    parser.add_argument("versions", nargs="*", default=VERSIONS)
    options = parser.parse_args()

    found = {version: find(version) for version in options.versions}
    wanted = [version for version in FROM_SID if version in found and found[version][0] is None]
    if options.provide and wanted:
        # What goes wrong is said by the script, and shows as a missing version below.
        subprocess.run([SID, *wanted], stdout=sys.stderr)
        found.update((version, find(version)) for version in wanted)

    missing = []
    for version, (path, refused) in found.items():
        if path:
            print(version, path)
        else:
            missing.append(version)
            why = "; ".join(refused) or "not found on PATH or in pyenv"
            print(f"Python {version} is missing ({why})", file=sys.stderr)
    if missing and options.require_all:
        sys.exit(f"required, and missing: Python {', '.join(missing)}")


if __name__ == "__main__":
    main()
