"""Runs pytest as this repository sets it up on a test module of the test's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def run_pytest(directory: Path, module: str, *arguments: str) -> str:
    """Writes `module` into the directory and runs it with the settings and the conftest of the repository.

    Returns:
        What pytest said on both streams.
    """
    path = directory / "test_inner.py"
    path.write_text(module)
    (directory / "conftest.py").write_text((REPOSITORY / "tests" / "conftest.py").read_text())
    settings = ["-c", str(REPOSITORY / "pyproject.toml"), "--rootdir", str(directory), "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, *arguments, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        timeout=120,
        check=False,
    )
    return ran.stdout
