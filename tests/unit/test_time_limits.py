"""Every test has a limit of time: one that hangs fails, says where, and the run goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.inner_pytest import run_pytest

HANGING = """
import asyncio, threading

async def test_that_waits_for_what_never_comes():
    await asyncio.Event().wait()

def test_that_waits_for_a_thread_that_never_was():
    threading.Event().wait()

def test_that_is_all_right():
    assert True
"""


@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["in this process", "in a worker"])
def test_a_test_that_hangs_fails_and_the_run_goes_on(tmp_path: Path, processes: tuple[str, ...]) -> None:
    said = run_pytest(tmp_path, HANGING, "-o", "timeout=0.5", *processes)
    assert "2 failed, 1 passed" in said
    told = re.findall(r"^E +Failed: Timeout \(>0.5s\) from pytest-timeout", said, re.MULTILINE)
    assert len(told) == 2, said
    for place in ("await asyncio.Event().wait()", "threading.Event().wait()"):
        assert place in said, "it shows where"


def test_the_limit_is_set_for_all_tests(pytestconfig: pytest.Config) -> None:
    assert 60 <= float(str(pytestconfig.getini("timeout"))) <= 300
    assert pytestconfig.getini("timeout_method") == "signal"
