"""Every case under `cases/` prints on rasyncio what it prints on stock asyncio."""

import functools

import pytest
from _compare import HERE, Cases, case_names, program_param
from _program import WAYS

FILES = sorted((HERE / "cases").glob("*.py"))


@functools.cache
def cases_of(path):
    return Cases(path)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("path", "case"),
    [
        program_param(path, case, id=f"{path.stem}-{case.removeprefix('case_')}")
        for path in FILES
        for case in case_names(path)
    ],
)
def test_case_behaves_as_on_stock(path, case, way):
    cases_of(path).check(way, case)
