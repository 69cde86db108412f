"""`replica check|repair|export|import`: what a person and a program are told of a state directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canister_factory.cli import main
from support.cli_settings import run_alone
from support.store_history import make_state


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The default state directory, with a canister that counted to 1, and nothing running."""
    run_alone(monkeypatch)
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "home" / "replica"
    make_state(directory)
    return directory


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def as_json(*args: str) -> tuple[int, dict[str, object]]:
    result = run(*args, "--json")
    return result.exit_code, json.loads(result.stdout)


def damaged(state: Path) -> str:
    """Damages a file of it; its name."""
    (image,) = state.glob("images/*-main-*")
    image.write_bytes(b"?" + image.read_bytes()[1:])
    return f"images/{image.name}"


def test_a_whole_state_is_said_to_be_whole(state: Path) -> None:
    result = run("replica", "check", str(state))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"The state in {state} is whole: 1 canisters in ")
    code, fields = as_json("replica", "check", str(state))
    assert (code, fields["status"], fields["canisters"], fields["damages"]) == (0, "whole", 1, [])


def test_damage_is_listed_and_the_exit_code_says_so(state: Path) -> None:
    name = damaged(state)
    result = run("replica", "check", str(state))
    assert result.exit_code == 1
    assert name in result.stdout
    assert f"replica repair {state} --accept-loss" in result.stderr.replace("\n", " ")
    code, fields = as_json("replica", "check", str(state))
    error = fields["error"]
    assert isinstance(error, dict)
    assert code == 1
    assert error["context"]["damages"][0]["file"] == name
    assert error["context"]["damages"][0]["damage"] == "is damaged at byte 0"


def test_a_repair_needs_its_loss_accepted(state: Path) -> None:
    damaged(state)
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    result = run("replica", "repair", str(state))
    assert result.exit_code == 1
    assert "nothing was changed. --accept-loss gives up code and memories of" in result.stderr.replace("\n", " ")
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before
    code, fields = as_json("replica", "repair", str(state), "--accept-loss")
    assert (code, fields["status"], fields["aside"]) == (0, "mended", str(state / "damaged-1"))
    assert run("replica", "check", str(state)).exit_code == 0
    assert run("replica", "repair", str(state)).stdout.endswith("is whole; nothing was changed.\n")


def test_what_can_not_be_mended_is_said(state: Path) -> None:
    (file,) = state.glob("state-*")
    file.unlink()
    result = run("replica", "repair", str(state), "--accept-loss")
    assert result.exit_code == 1
    assert "can't be mended" in result.stderr
    assert "can't be mended" in run("replica", "check", str(state)).stderr


def test_a_network_is_exported_and_imported(state: Path, tmp_path: Path) -> None:
    code, fields = as_json("replica", "export", "network.export")
    assert (code, fields["file"]) == (0, "network.export")
    assert fields["size"] == (tmp_path / "network.export").stat().st_size
    result = run("replica", "import", "network.export", "--state-dir", "other")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path / 'other'} has the network of network.export: 1 canisters in")
    assert run("replica", "check", "other").exit_code == 0
    again = run("replica", "import", "network.export", "--state-dir", "other")
    assert (again.exit_code, "other isn't empty" in again.stderr.replace("\n", " ")) == (1, True)


@pytest.mark.parametrize("command", [("check", "none"), ("repair", "none"), ("export", "file", "--state-dir", "none")])
def test_a_directory_that_is_not_there_is_not_made(state: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    result = run("replica", *command)
    assert result.exit_code == 1
    assert f"there is no state directory {tmp_path / 'none'}" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "none").exists()


def test_a_file_that_is_no_export_is_refused(state: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no export")
    result = run("replica", "import", "notes.txt", "--state-dir", "other")
    assert result.exit_code == 1
    assert "notes.txt is no export of a replica" in result.stderr
    assert "is a directory" in run("replica", "import", str(tmp_path)).stderr
    assert run("replica", "import", "missing").exit_code == 1
    assert not (tmp_path / "other").exists()
