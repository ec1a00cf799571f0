#!/usr/bin/env python3
"""Looks whether the machine has what building and testing need, and says what is missing.

    scripts/setup.py                 Rust and a C compiler
    scripts/setup.py --venv          also .venv, with the tools that pyproject.toml names
    scripts/setup.py --openssl       also OpenSSL's headers, for the benchmark of TLS
    scripts/setup.py --tests         also test.test_asyncio of the interpreter that runs this, and iproute2
    scripts/setup.py --fuzz          also a C++ compiler

On Debian, as root, missing packages are installed; otherwise the command to type is printed.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VERSION = "%d.%d" % sys.version_info[:2]


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"setup: failed: {' '.join(map(str, command))}")


def install_debian(packages, purpose):
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(f"setup: {purpose} is missing. On Debian, as root: {' '.join(command)}")
    print(f"setup: installing {' '.join(packages)} for {purpose}", flush=True)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NOWARNINGS": "yes"}
    if subprocess.run(command, env=environment, **quiet).returncode == 0:
        return
    # Most often the package lists are absent or old.
    subprocess.run(["apt-get", "update"], **quiet)
    if subprocess.run(command, env=environment, **quiet).returncode:
        sys.exit(f"setup: {purpose} is missing, and this failed: {' '.join(command)}")


def look_at_rust():
    if shutil.which("cargo") is None:
        sys.exit("setup: cargo is missing: install Rust and its cargo")
    with open(ROOT / "Cargo.toml", "rb") as file:
        wanted = tomllib.load(file)["workspace"]["package"]["rust-version"]
    said = subprocess.run(["cargo", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\d+\.\d+", said)
    if found is None or as_numbers(found[0]) < as_numbers(wanted):
        sys.exit(f"setup: Rust {wanted} or newer is needed, and there is {said.strip() or 'none'}")
    for component in ("fmt", "clippy"):
        if subprocess.run(["cargo", component, "--version"], capture_output=True).returncode:
            package = {"fmt": "rustfmt"}.get(component, component)
            if shutil.which("rustup") is None:
                sys.exit(f"setup: cargo {component} is missing: install {package}")
            run("rustup", "component", "add", package)


def as_numbers(version):
    return tuple(int(number) for number in version.split("."))


def look_at_compiler():
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        install_debian(["gcc", "libc6-dev"], "a C compiler, with which Rust links,")


def look_at_openssl():
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")))
    seen = subprocess.run(
        [compiler, "-E", "-x", "c", "-"], input=b"#include <openssl/ssl.h>\n", capture_output=True
    )
    if seen.returncode:
        install_debian(["libssl-dev"], "OpenSSL's headers (openssl/ssl.h)")


def make_venv():
    with open(ROOT / "pyproject.toml", "rb") as file:
        tools = tomllib.load(file)["dependency-groups"]["tools"]
    stamp = VENV / ".made-for"
    identity = hashlib.sha256(repr((sys.version, sys.base_prefix, tools)).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == identity:
        return
    # Debian's Python has venv and lacks ensurepip, without which venv makes none.
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        install_debian([f"python{VERSION}-venv"], f"Python {VERSION}'s venv")
    print(f"setup: making .venv for Python {VERSION}", flush=True)
    run(sys.executable, "-m", "venv", "--clear", VENV)
    run(VENV / "bin" / "pip", "--quiet", "--disable-pip-version-check", "install", *tools)
    stamp.write_text(identity)


def look_at_test_suite():
    if importlib.util.find_spec("test") and importlib.util.find_spec("test.test_asyncio"):
        return
    install_debian([f"libpython{VERSION}-testsuite"], f"Python {VERSION}'s test.test_asyncio")


def look_at_network_tools():
    # Tests over bad networks make namespaces, which needs root; without it they are skipped.
    if not all(map(shutil.which, ("ip", "tc"))) and os.geteuid() == 0 and shutil.which("apt-get"):
        install_debian(["iproute2"], "ip and tc")


def look_at_cxx_compiler():
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        install_debian(["g++"], "a C++ compiler, which libFuzzer needs,")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--venv", action="store_true")
    parser.add_argument("--openssl", action="store_true")
    parser.add_argument("--tests", action="store_true")
    parser.add_argument("--fuzz", action="store_true")
    options = parser.parse_args()
    look_at_rust()
    look_at_compiler()
    if options.openssl:
        look_at_openssl()
    if options.venv:
        make_venv()
    if options.tests:
        look_at_test_suite()
        look_at_network_tools()
    if options.fuzz:
        look_at_cxx_compiler()


if __name__ == "__main__":
    main()
