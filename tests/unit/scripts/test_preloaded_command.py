"""The command that scripts of the tests call is the installed one, but for its start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.preloaded_command import preloaded_command

INSTALLED = Path(sys.executable).parent / "canister-factory"


@pytest.fixture(scope="module")
def command() -> Iterator[Path]:
    with preloaded_command() as command:
        yield command


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["identity", "principal", "--json"], 2),
        (["call", "aaaaa-aa", "no_such_method", "--network", "http://127.0.0.1:9", "--root-key", "00"], 2),
        (["nonsense"], 2),
    ],
)
def test_both_say_the_same_and_end_alike(command: Path, tmp_path: Path, arguments: list[str], code: int) -> None:
    variables = {**os.environ, "HOME": str(tmp_path), "CANISTER_FACTORY_IDENTITY": str(tmp_path / "absent.pem")}
    ended = [
        subprocess.run([program, *arguments], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)
        for program in (command, INSTALLED)
    ]
    first, second = [(each.returncode, each.stdout, each.stderr) for each in ended]
    assert first == second
    assert first[0] == code


def test_it_works_in_the_callers_folder_with_the_callers_stdin(command: Path, tmp_path: Path) -> None:
    made = subprocess.run([command, "identity", "new", "key.pem"], cwd=tmp_path, capture_output=True, timeout=60)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "key.pem").read_text().startswith("-----BEGIN")
