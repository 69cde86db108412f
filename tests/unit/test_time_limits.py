"""Every test has a limit of time: one that hangs fails, says where, and the run goes on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HANGING = """
import asyncio, threading

async def test_that_waits_for_what_never_comes():
    await asyncio.Event().wait()

def test_that_waits_for_a_thread_that_never_was():
    threading.Event().wait()

def test_that_is_all_right():
    assert True
"""


def test_a_test_that_hangs_fails_and_the_run_goes_on(repository: Path, tmp_path: Path) -> None:
    module = tmp_path / "test_hanging.py"
    module.write_text(HANGING)
    (tmp_path / "conftest.py").write_text((repository / "tests" / "conftest.py").read_text())
    settings = ["-c", str(repository / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "-o", "timeout=0.5", str(module)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert "2 failed, 1 passed" in result.stdout, result.stdout + result.stderr
    told = re.findall(r"^E +Failed: Timeout \(>0.5s\) from pytest-timeout", result.stdout, re.MULTILINE)
    assert len(told) == 2, result.stdout
    for place in ("await asyncio.Event().wait()", "threading.Event().wait()"):
        assert place in result.stdout, "it shows where"


def test_the_limit_is_set_for_all_tests(pytestconfig: pytest.Config) -> None:
    assert 60 <= float(str(pytestconfig.getini("timeout"))) <= 300
    assert pytestconfig.getini("timeout_method") == "signal"
