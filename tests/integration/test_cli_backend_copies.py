"""A controller's commands about copies of a backend, until it runs in another canister."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from canister_factory.candid.principal import Principal
from canister_factory.cli import main
from support.cli_world import Cli
from support.creation_contents import fill


def test_a_backend_is_copied_checked_and_restored_and_its_open_creations_are_listed(
    requested: Cli, tmp_path: Path
) -> None:
    requested.directly("owner", lambda _agent, backend: fill(backend))
    copy = tmp_path / "copy"
    refused = requested.run("operator", "backend", "backup", copy)
    assert refused.code == 1
    taken = requested.ok("admin", "backend", "backup", copy).json
    assert (taken["canister_id"], taken["is_exact"]) == (str(requested.backend_id), True)
    assert taken["inventory"]["open_creations"] == "1"

    checked = CliRunner().invoke(main, ["backend", "check", str(copy), "--json"])
    assert json.loads(checked.stdout)["ok"] is True
    present = requested.run("admin", "backend", "restore", copy, "--canister", requested.backend_id, backend=False)
    assert "--yes" in present.error

    restored = requested.ok("admin", "backend", "restore", copy, "--new", backend=False).json
    assert restored["inventory"] == taken["inventory"]
    assert restored["is_compared"] is True
    [creation] = restored["open_creations"]
    assert (creation["owner"], creation["fate"]) == (str(requested.id("owner")), "Begins")

    requested.backend_id = Principal.from_str(restored["canister_id"])
    assert requested.ok("operator", "run", requested.id("owner")).json["status"] == "Completed"
    assert requested.ok("owner", "verify", requested.id("owner")).json["ok"] is True

    later = requested.ok("admin", "backend", "backup", copy).json
    assert later["canister_id"] == restored["canister_id"], "it is the same backend's directory"
    assert later["inventory"]["canisters"] == "1"

    for piece in (copy / "chunks").glob("*/*"):  # some are of the first state alone
        piece.write_bytes(b"damaged")
    damaged = requested.run("admin", "backend", "restore", copy, "--new", backend=False)
    assert "is damaged, nothing was sent" in damaged.error
    foreign = requested.run("owner", "owner", "restore", copy, "--new", "--yes", backend=False)
    assert "canister-factory-backend-backup-1" in foreign.error


def test_staff_learn_how_long_the_backend_lives(requested: Cli) -> None:
    told = requested.ok("admin", "reserve", "status").json
    reckoned = requested.ok("operator", "reserve", "status").json
    for answer in (told, reckoned):
        assert int(answer["cycles_burned_per_day"]) > 0
        assert answer["days_left"] > 30
    checks = {check["name"]: check for check in requested.run("operator", "doctor").json["checks"]}
    assert checks["backend's cycles"]["verdict"] == "ok"
    strangers = {check["name"]: check for check in requested.run("stranger", "doctor").json["checks"]}
    assert strangers["backend's cycles"]["verdict"] == "skip"
