"""Tests of many cases run a seeded sample of them, and all with --sweep."""

from __future__ import annotations

import re
from pathlib import Path

from support.inner_pytest import run_pytest

MODULE = """
import pytest
from hypothesis import given, strategies as st

calls = []

@pytest.mark.sample(3)
@pytest.mark.parametrize("case", range(20), ids="case-{}".format)
def test_of_many_cases(case):
    assert case >= 0

@pytest.mark.parametrize("case", range(4))
def test_of_few_cases(case):
    assert case >= 0

@given(st.integers())
def test_of_a_property(number):
    calls.append(number)

def test_how_many_examples_there_were(sweep):
    assert (len(calls) > 500) == sweep
"""


def cases(said: str) -> list[str]:
    return re.findall(r"test_of_many_cases\[case-(\d+)\] PASSED", said)


def test_a_sample_is_the_same_each_time_and_the_rest_is_counted(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, MODULE, "-v")
    assert "9 passed, 17 deselected" in said
    assert cases(said) == ["0", "9", "18"]


def test_a_sweep_runs_all_cases_and_more_examples(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, MODULE, "-v", "--sweep")
    assert "26 passed" in said
    assert "deselected" not in said


def test_a_case_that_is_asked_for_by_name_runs(tmp_path: Path) -> None:
    said = run_pytest(tmp_path, MODULE, "-v", "-k", "case-5 or case-11 or case-16")
    assert cases(said) == ["5", "11", "16"]
