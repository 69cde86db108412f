"""`owner upgrade` and `upgrade` as people use them: the plan, the upgrade, what is refused, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.contract.artifacts import backend_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.upgrade_checks import upgrade_mode
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from support.cli_world import Cli
from support.creation_contents import fill
from support.upgrade_world import OLD, good, misreading, trapping, without_a_method

pytestmark = pytest.mark.usefixtures("quick_upgrades")


@pytest.fixture
def created(requested: Cli) -> tuple[Cli, str, dict[str, bytes]]:
    """An owner's canister in use, and what it has."""
    contents = requested.directly("owner", lambda _agent, backend: fill(backend))
    canister = requested.ok("operator", "run", requested.id("owner")).json["canister_id"]
    return requested, canister, contents


def file_of(tmp_path: Path, wasm: bytes) -> Path:
    path = tmp_path / "module.wasm.gz"
    path.write_bytes(wasm)
    return path


def test_an_owner_plans_an_upgrade_and_does_it(created: tuple[Cli, str, dict[str, bytes]], tmp_path: Path) -> None:
    cli, canister, _ = created
    module = good()
    file = file_of(tmp_path, module.wasm)
    unneeded = cli.said("owner", "owner", "upgrade", "--plan")
    assert "not needed: the canister has this module already" in unneeded
    assert "steps" not in unneeded
    assert "snapshot" not in unneeded
    assert "steps stop, snapshot, new module" in cli.said("owner", "owner", "upgrade", "--module", file, "--plan")
    same = cli.ok("owner", "owner", "upgrade", "--yes").json
    assert (same["changed"], same["module_hash"]) == (False, OLD.hex())

    plan = cli.ok("owner", "owner", "upgrade", "--module", file, "--plan").json
    assert (plan["changes"], plan["problem"], plan["module_hash"]) == (True, None, module.module_hash.hex())
    assert plan["module_hash_before"] == OLD.hex()
    assert int(plan["cycles"]) > int(plan["cycles_needed"]) > 300 * 10**9
    assert cli.ok("owner", "owner", "status", "--days", "0").json["module_hash"] == OLD.hex()

    unasked = cli.run("owner", "owner", "upgrade", "--module", file)
    assert unasked.code == 2
    assert "repeat the command with --yes" in unasked.error
    before = cli.ok("owner", "owner", "status", "--days", "0").json
    done = cli.ok("owner", "owner", "upgrade", "--module", file, "--keep-snapshot", "7", "--yes").json
    assert (done["changed"], done["module_hash"], done["canister_id"]) == (True, module.module_hash.hex(), canister)
    assert done["snapshot_id"] is not None
    after = cli.ok("owner", "owner", "status", "--days", "0").json
    assert (after["memories"], after["content_size"]) == (before["memories"], before["content_size"])
    assert after["memory_size"] > before["memory_size"] * 1.4, "the snapshot is there"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (trapping, "was taken back"),
        (misreading, "was taken back"),
        (lambda: without_a_method(b"get_manifest"), "is no subtype of the present one"),
        (lambda: good("backend"), "the canister writes its heap over an upgrade, the module keeps it"),
    ],
    ids=["traps", "reads another root", "incompatible", "another canister's"],
)
def test_a_bad_module_leaves_everything_as_it_was(
    created: tuple[Cli, str, dict[str, bytes]], tmp_path: Path, make: object, why: str
) -> None:
    cli, _, _ = created
    before = cli.ok("owner", "owner", "status", "--days", "0").json
    refused = cli.run("owner", "owner", "upgrade", "--module", file_of(tmp_path, make().wasm), "--yes")  # type: ignore[operator]
    assert refused.code == 1
    assert why in refused.error
    after = cli.ok("owner", "owner", "status", "--days", "0").json
    same = ("state", "module_hash", "memories", "content_size", "controllers")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}


def test_what_is_no_release_and_no_module_is_refused(
    created: tuple[Cli, str, dict[str, bytes]], tmp_path: Path
) -> None:
    cli, canister, _ = created
    unknown = cli.run("owner", "owner", "upgrade", "--release", "ab" * 32, "--yes")
    assert "is no release that the backend" in unknown.error
    broken = cli.run("owner", "owner", "upgrade", "--module", file_of(tmp_path, b"no module"), "--yes")
    assert "this is no Wasm module" in broken.error
    foreign = cli.run("stranger", "owner", "upgrade", "--canister", canister, "--yes")
    assert "IC0512" in foreign.error
    assert cli.ok("owner", "owner", "status", "--days", "0").json["module_hash"] == OLD.hex()


def test_a_backend_is_upgraded_with_an_open_creation_that_goes_on(requested: Cli) -> None:
    async def older(agent: Agent, backend: BackendClient) -> None:
        module = good("backend")
        await ManagementCanister(agent).install(
            backend.canister_id, module.wasm, b"DIDL\0\0", mode=upgrade_mode(module)
        )

    owner = requested.id("owner")
    requested.directly("admin", older)
    plan = requested.ok("admin", "upgrade", requested.backend_id, "--plan", backend=False).json
    assert (plan["changes"], plan["problem"]) == (True, None)
    assert plan["module_hash_before"] == good("backend").module_hash.hex()
    done = requested.ok("admin", "upgrade", requested.backend_id, backend=False).json
    assert (done["changed"], done["module_hash"]) == (True, backend_wasm().module_hash.hex())
    again = requested.ok("admin", "upgrade", requested.backend_id, backend=False).json
    assert (again["changed"], again["module_hash"]) == (False, done["module_hash"])
    assert requested.ok("operator", "run", owner).json["status"] == "Completed"
