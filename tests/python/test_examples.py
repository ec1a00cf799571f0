"""Every example prints on rasyncio what it prints on stock asyncio, whichever way rasyncio comes in."""

import pytest
from _compare import MODULE, ROOT, check_program, normal_program_output, program_param

EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "tour.py")
NATIVE = sorted((ROOT / "examples" / "native").glob("*.py"))


def name(path):
    return path.stem


@pytest.mark.parametrize("way", ["loop", "import", "module"])
@pytest.mark.parametrize("path", [program_param(path, id=path.stem) for path in EXAMPLES])
def test_example_prints_the_same(path, way):
    check_program(path, way)


@pytest.mark.skipif(MODULE == "asyncio", reason="these need rasyncio")
@pytest.mark.parametrize("path", NATIVE, ids=name)
def test_native_example_prints_what_stands_beside_it(path):
    expected = path.with_suffix(".txt").read_text(encoding="utf-8")
    assert normal_program_output(path) == expected.rstrip() + "\n--- exit 0"
