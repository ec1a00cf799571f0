#!/usr/bin/env python3
"""Builds the extension for one or more Pythons and runs all that tests it from there.

    scripts/test_python.py                      the interpreter that runs this
    scripts/test_python.py --all                every supported version that can be had
    scripts/test_python.py --all --require-all  and fail unless all of them can
    scripts/test_python.py --python python3.13 --only pytest -- -k gather

For each: pytest over tests/python, and CPython's own tests (tests/conformance). Needs .venv, for its
pip (scripts/setup.py --venv).
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from pathlib import Path

import build_extension

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("pytest", "conformance")


def supported(require_all):
    command = [sys.executable, ROOT / "scripts" / "pythons.py", "--provide"]
    done = subprocess.run(
        [*command, *["--require-all"] * require_all], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(done.returncode)
    return [line.split(maxsplit=1)[1] for line in done.stdout.splitlines()]


def version_of(python):
    command = [python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def dependencies(group):
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["dependency-groups"][group]


def fill(folder, packages, *command):
    """Lets pip fill a folder below `build/test-packages`, unless it holds these packages already."""
    folder = ROOT / "build" / "test-packages" / folder
    stamp = folder / ".holds"
    identity = hashlib.sha256(repr((packages, command)).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != identity:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        pip = [ROOT / ".venv" / "bin" / "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *command, *packages], cwd=folder, check=True)
        stamp.write_text(identity)
    return folder


def test_packages(version, group="test"):
    """A folder with the packages of a group for `version`, which need not have pip."""
    folder = version if group == "test" else f"{version}-{group}"
    where = ["--target", ".", "--python-version", version, "--implementation", "cp"]
    return fill(folder, dependencies(group), "install", *where, "--only-binary=:all:")


def aiojobs_source():
    """A folder with the sources of aiojobs, its tests among them."""
    packages = [name for name in dependencies("test") if name.startswith("aiojobs")]
    folder = fill("aiojobs", packages, "download", "--no-deps", "--no-binary=:all:")
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
        archive.unlink()
    return next(folder.glob("aiojobs-*"))


def run_pytest(python, version, package, arguments):
    path = os.pathsep.join([str(package), str(test_packages(version))])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        # For tests/python/test_aiojobs.py: its tests, and what they need.
        "RASYNCIO_TEST_AIOJOBS": f"{aiojobs_source()}:{test_packages(version, 'test-aiojobs')}",
    }
    cache = f"cache_dir={ROOT / 'build' / 'pytest-cache' / version}"
    command = [python, "-m", "pytest", "-q", "-o", cache, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def run_conformance(python, version, package, arguments):
    script = ROOT / "tests" / "conformance" / "run.py"
    command = [sys.executable, script, "--python", python, "--package", package, *arguments]
    return subprocess.run(command, cwd=ROOT).returncode


def run_step(step, python, version, package, arguments):
    print(f"=== Python {version}: {step}", flush=True)
    start = time.monotonic()
    runners = {"pytest": run_pytest, "conformance": run_conformance}
    status = runners[step](python, version, package, arguments)
    print(f"=== Python {version}: {step} took {time.monotonic() - start:.0f} s", flush=True)
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--require-all", action="store_true")
    parser.add_argument("--profile", choices=build_extension.PROFILES, default="dev")
    parser.add_argument("--only", choices=STEPS)
    parser.add_argument("arguments", nargs="*", help="for the step that --only names, after --")
    options = parser.parse_args()
    if options.arguments and not options.only:
        parser.error("arguments go with --only")

    pythons = supported(options.require_all) if options.all else options.python or [sys.executable]
    failed = []
    for name in pythons:
        python = shutil.which(name)
        if python is None:
            sys.exit(f"there is no interpreter {name}")
        python = os.path.abspath(python)
        version = version_of(python)
        print(f"=== Python {version}: build", flush=True)
        try:
            package = build_extension.build(python, options.profile)
        except subprocess.CalledProcessError:
            failed.append(f"{version} build")
            continue
        for step in [options.only] if options.only else STEPS:
            if run_step(step, python, version, package, options.arguments):
                failed.append(f"{version} {step}")
    if failed:
        sys.exit(f"test_python: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
