#!/usr/bin/env python3
"""The tests under AddressSanitizer: those of the Rust crates, and CPython's own on the extension.

The extension is loaded into an ordinary interpreter, so the sanitizer's runtime comes first by
LD_PRELOAD: GCC's, which serves what LLVM has instrumented. The interpreter allocates with malloc, for
the sanitizer knows nothing of its own allocator's blocks. Leaks are not looked for: an interpreter
leaves many at its exit, and tests/python measures ours.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import build_extension

ROOT = Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"


def run(command, **more):
    status = subprocess.run(command, cwd=ROOT, **more).returncode
    if status:
        sys.exit(f"test_asan: failed: {' '.join(map(str, command))}")


def test_crates():
    flags = "-Zsanitizer=address"
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "asan"
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(target),
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": flags,
        "RUSTDOCFLAGS": flags,
    }
    # Two commands: together, the features of one were those of the other, and the engine would test its
    # portable poller instead of epoll.
    for tested in (["rasyncio-engine"], ["rasyncio", "--all-features"]):
        run(["cargo", "test", "--quiet", "--target", TARGET, "--package", *tested], env=environment)


def runtime():
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not os.path.isabs(found):
        sys.exit("test_asan: GCC's libasan is missing: install gcc with its libraries")
    return os.path.realpath(found)


def test_extension():
    try:
        package = build_extension.build(sys.executable, "asan")
    except subprocess.CalledProcessError:
        sys.exit("test_asan: the extension does not build")
    settings = {
        "LD_PRELOAD": runtime(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, ROOT / "tests" / "conformance" / "run.py", "--package", package]
    for name, value in settings.items():
        command += ["--env", f"{name}={value}"]
    run([*command, "--test-limit", "300"])


if __name__ == "__main__":
    # Where this runs in the background of a script it is ignored, and tests of Ctrl-C would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    test_crates()
    test_extension()
