"""The type stubs: a type checker understands a program that uses the package."""

import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
PACKAGE = HERE.parents[2] / "python"
VERSIONS = ["3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize("version", VERSIONS)
def test_mypy_accepts_a_program(version, tmp_path):
    pytest.importorskip("mypy")
    arguments = ["--strict", "--python-version", version, "--cache-dir", str(tmp_path)]
    check = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments, str(HERE / "sample.py")],
        env={"MYPYPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stdout + check.stderr
