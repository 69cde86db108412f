"""With two processes no file that takes long is left for the end."""

from __future__ import annotations

from pathlib import Path

from support.inner_pytest import run_pytest

SHORT = """
def test_a_short_one():
    assert True
"""
LONG = """
import pytest

pytestmark = pytest.mark.begins_first

@pytest.mark.parametrize("case", ["first", "second"])
def test_a_long_one(case):
    assert case
"""


def test_in_a_worker_the_tests_of_long_files_come_first(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text(SHORT)
    others = [str(tmp_path / name) for name in ("test_a.py", "test_b.py")]
    said = run_pytest(tmp_path, LONG, "-v", "-n", "1", "--dist=loadfile", "--no-loadscope-reorder", *others)
    passed = [line.split("PASSED ")[1].strip() for line in said.splitlines() if "PASSED " in line]
    assert passed == [
        "test_inner.py::test_a_long_one[first]",
        "test_inner.py::test_a_long_one[second]",
        "test_a.py::test_a_short_one",
        "test_b.py::test_a_short_one",
    ]
