"""An owner's commands about their own canister, from its making to its copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from canister_factory.cli import main
from canister_factory.ic.network import MAINNET_ROOT_KEY
from support.cli_world import Cli
from support.creation_contents import fill


def check(copy: Path, *options: str) -> Any:
    """What `owner check`, which needs no network, says of a copy."""
    return json.loads(CliRunner().invoke(main, ["owner", "check", str(copy), *options, "--json"]).stdout)


def test_an_owner_looks_copies_checks_and_restores(requested: Cli, tmp_path: Path) -> None:
    before = requested.run("owner", "owner", "status")
    assert "you have no personal canister" in before.error
    owner = requested.id("owner")
    contents = requested.directly("owner", lambda _agent, backend: fill(backend))
    canister = requested.ok("operator", "run", owner).json["canister_id"]

    life = requested.ok("owner", "owner", "status", "--days", "1").json
    assert (life["canister_id"], life["state"], life["controllers"]) == (canister, "running", [str(owner)])
    assert life["stops"] < life["deleted"]
    near = requested.run("owner", "owner", "status", "--days", "100000")
    assert near.code == 4
    assert near.json["days_left"] < 100_000

    copy = tmp_path / "copy"
    taken = requested.ok("owner", "owner", "backup", copy).json
    assert taken["is_new"] is True
    again = requested.ok("owner", "owner", "backup", copy).json
    assert (again["is_new"], again["state"], again["fetched_chunks"]) == (False, taken["state"], 0)
    checked = check(copy)
    assert (checked["state"], checked["ok"], checked["damages"]) == (taken["state"], True, [])
    assert (checked["certified"], checked["is_trusted"], checked["canister_id"]) == (True, False, canister)
    assert check(copy, "--root-key", requested.network.root_key.hex())["is_trusted"] is True
    assert "isn't by the network" in check(copy, "--root-key", MAINNET_ROOT_KEY.hex())["error"]["message"]

    ran = requested.ok("owner", "owner", "restore", copy, "--new", "--yes", backend=False)
    assert "gets the settings that the backup names, which nothing certifies: freezing threshold 90 days;" in ran.err
    restored = ran.json
    assert restored["manifest_hash"] == taken["manifest_hash"]
    assert restored["settings"]["freezing_threshold"] == str(90 * 86_400)
    assert restored["canister_id"] != canister
    there = requested.ok("owner", "owner", "status", "--canister", restored["canister_id"], "--days", "0").json
    assert there["memories"] == taken["memories"]

    files = tmp_path / "files"
    got = requested.ok("owner", "owner", "download", files, "--canister", restored["canister_id"]).json
    assert sorted(Path(file).read_bytes() for file in got["written"]) == sorted(contents.values())


def test_what_an_owner_is_refused_is_one_line_with_the_way_on(requested: Cli, tmp_path: Path) -> None:
    requested.ok("operator", "run", requested.id("owner"))
    canister = requested.ok("owner", "owner", "status", "--days", "0").json["canister_id"]
    copy = tmp_path / "copy"
    foreign = requested.run("stranger", "owner", "backup", copy, "--canister", canister)
    assert "belongs to" in foreign.error
    assert not copy.exists()

    assert "is no backup" in check(copy)["error"]["message"]
    assert "give --canister ID, or --new" in requested.run("owner", "owner", "restore", copy, backend=False).error
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("mine")
    assert "isn't empty and no backup" in requested.run("owner", "owner", "backup", tmp_path / "full").error

    requested.ok("owner", "owner", "backup", copy)
    assert copy.stat().st_mode & 0o777 == 0o700
    into = requested.run("owner", "owner", "restore", copy, "--canister", requested.backend_id, "--yes", backend=False)
    assert "a canister that its owner alone controls" in into.error

    state = next((copy / "states").iterdir())
    state.write_text(state.read_text().replace('"size":"', '"size":"1', 1))
    damaged = requested.run("owner", "owner", "restore", copy, "--new", "--yes", backend=False)
    assert "is damaged: its entries don't amount to its manifest" in damaged.error
    (copy / "backup.json").write_text('{"format": "another"}')
    assert "a backup of the format 'another'" in requested.run("owner", "owner", "backup", copy).error


def test_an_owner_decides_about_the_copy_on_the_backend(requested: Cli, tmp_path: Path) -> None:
    assert "the creation is NotStarted" in requested.run("owner", "owner", "undo", "--yes").error
    requested.ok("operator", "run", requested.id("owner"))
    canister = requested.ok("owner", "status").json["canister_id"]

    assert "--yes" in requested.run("owner", "owner", "erase").error
    assert "no erasure was asked for" in requested.run("owner", "owner", "erase", "--cancel").error
    asked = requested.ok("owner", "owner", "erase", "--days", "2", "--yes").json
    assert asked["erasure"]["stage"] == "Waiting"
    assert requested.ok("owner", "status").json["erasure"] == asked["erasure"]
    receipt = tmp_path / "receipt.json"
    assert "nothing is erased yet" in requested.run("owner", "owner", "erase", "--receipt", receipt).error
    assert not receipt.exists()
    assert "cancel that first" in requested.run("owner", "owner", "undo", "--yes").error
    assert requested.ok("owner", "owner", "erase", "--cancel").json["erasure"] is None

    (tmp_path / "late.txt").write_text("written there")
    requested.ok("owner", "owner", "add", tmp_path / "late.txt")
    assert "owner move-back" in requested.run("owner", "owner", "undo", "--yes").error
    unasked = requested.run("owner", "owner", "move-back")
    assert f"Bring back from {canister}: 1 added?" in unasked.error
    moved = requested.ok("owner", "owner", "move-back", "--yes").json
    assert (moved["status"], moved["added"], moved["deleted"], moved["left"]) == ("Undone", 1, 0, [])
    assert requested.ok("owner", "status").json["status"] == "Undone"
    assert "the creation is Undone" in requested.run("owner", "owner", "undo", "--yes").error
    assert "of an undone creation" in requested.run("owner", "owner", "status").error
    kept = requested.ok("owner", "owner", "status", "--days", "0", "--canister", canister).json
    assert kept["canister_id"] == canister
    assert "'request' asks for another canister" in requested.run("owner", "retry").error
    assert requested.ok("owner", "request").json["status"] == "NotStarted"
