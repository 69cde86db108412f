"""`scripts/test`: all tests in two processes, a choice of them in one."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

TWO_PROCESSES = ["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]


@pytest.fixture
def environment(repository: Path, tmp_path: Path) -> dict[str, str]:
    """A virtual environment that is up to date, and whose Python prints what it is asked to run."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        '#!/bin/sh\n[ "$1" = -I ] && exit 0\nprintf "%s\\n" "$@"\necho "bytecode is ${PYTHONDONTWRITEBYTECODE-kept}"\n'
    )
    python.chmod(0o755)
    wanted = (repository / "requirements" / "dev.lock").read_bytes() + (repository / "pyproject.toml").read_bytes()
    (tmp_path / f".installed-dev-{hashlib.sha256(wanted).hexdigest()}").touch()
    return {**os.environ, "CANISTER_FACTORY_VENV": str(tmp_path)}


def arguments_of_pytest(repository: Path, environment: dict[str, str], *arguments: str) -> list[str]:
    command = [str(repository / "scripts" / "test"), *arguments]
    environment = {**environment, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    module, name, *rest, bytecode = ran.stdout.splitlines()
    assert (module, name, bytecode) == ("-m", "pytest", "bytecode is kept")
    return rest


@pytest.mark.parametrize("arguments", [(), ("-q",), ("--durations=20", "-v"), ("--sweep", "--tb=short")])
def test_all_tests_run_in_two_processes(
    repository: Path, environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    assert arguments_of_pytest(repository, environment, *arguments) == [*TWO_PROCESSES, *arguments]


@pytest.mark.parametrize(
    "arguments",
    [
        ("tests/unit/factory",),
        ("-k", "tampered and certificate"),
        ("-x",),
        ("--pdb",),
        ("--lf",),
        ("-s",),
        ("-n", "3"),
        ("--co", "-q"),
    ],
)
def test_a_choice_of_tests_runs_as_pytest_runs_it(
    repository: Path, environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    assert arguments_of_pytest(repository, environment, *arguments) == list(arguments)
