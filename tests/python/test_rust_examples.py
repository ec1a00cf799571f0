"""Every example in Rust prints what the one of the same name in Python prints on stock asyncio.

What the two languages spell differently (True and true, the quotes of a string) counts as the same.
"""

import re
import shutil
import subprocess

import pytest
from _compare import ROOT, normal_program_output

CRATE = ROOT / "crates" / "rasyncio"
EXAMPLES = sorted(
    path.stem
    for path in (CRATE / "examples").glob("*.rs")
    if (ROOT / "examples" / f"{path.stem}.py").exists()
)

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not here")


@pytest.fixture(scope="module")
def programs():
    """The folder of the built programs."""
    command = ["cargo", "build", "--package", "rasyncio", "--examples", "--message-format=short"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    found = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    target = re.search(r'"target_directory":"([^"]+)"', found).group(1)
    return f"{target}/debug/examples"


def in_rust(text):
    """Python's output, spelled as Rust spells it."""
    text = re.sub(r"\b(True|False)\b", lambda word: word.group().lower(), text)
    return text.replace("'", '"')


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_prints_the_same_in_rust(name, programs):
    done = subprocess.run([f"{programs}/{name}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert in_rust(done.stdout) == in_rust(python_output(name))


def python_output(name):
    path = ROOT / "examples" / f"{name}.py"
    return normal_program_output(path).removesuffix("\n--- exit 0") + "\n"
