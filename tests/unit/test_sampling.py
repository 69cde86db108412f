"""Tests of many cases run a seeded sample of them, and all with --sweep."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.inner_pytest import REPOSITORY, run_pytest

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


def test_a_test_of_ours_takes_its_sample() -> None:
    file, test = "tests/unit/ic/test_ic_outcome.py", "test_when_no_answer_can_be_trusted_the_outcome_is_unknown"
    cases_of_it = f"{file}::{test}_and_nothing_else"
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", cases_of_it],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert listed.count(f"{cases_of_it}[") == 12
    assert "12/30 tests collected (18 deselected)" in listed
