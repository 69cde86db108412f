"""The commands around a creation, on a real network: deploy, roles, reserve, worker, verify, clean-up, upgrade."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import BackendInit
from canister_factory.contract.artifacts import backend_interface, backend_wasm, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from support.cli_world import Cli

# --- deploy and upgrade ---------------------------------------------------------------------------------------------


def test_deploy_makes_a_backend_that_is_ready_for_creations(cli: Cli) -> None:
    people = ("--operator", cli.id("operator"), "--admin", cli.id("owner"))
    made = cli.ok("admin", "deploy", *people, "--reserve", "7T", backend=False).json
    cli.backend_id = Principal.from_str(made["backend_id"])
    assert made["installed"] is True
    assert made["module_hash"] == backend_wasm().module_hash.hex()
    assert made["personal_module_hash"] == personal_wasm().module_hash.hex()
    assert made["operators"] == [str(cli.id("operator"))]
    assert set(made["admins"]) == {str(cli.id("admin")), str(cli.id("owner"))}
    assert made["creation_enabled"] is True
    assert 6.99e12 < made["reserve"] <= 7e12
    releases = cli.ok("stranger", "admin", "releases").json["releases"]
    assert [release["module_hash"] for release in releases] == [personal_wasm().module_hash.hex()]


def test_a_new_backend_warns_of_nothing(deployed: Cli) -> None:
    assert deployed.ok("admin", "admin", "notifications").lines == []


def test_deploy_again_adds_only_what_is_missing(deployed: Cli) -> None:
    people = ("--operator", deployed.id("operator"), "--operator", deployed.id("stranger"))
    again = deployed.ok("admin", "deploy", "--canister", deployed.backend_id, *people, "--disabled", backend=False).json
    assert again["installed"] is False
    assert set(again["operators"]) == {str(deployed.id("operator")), str(deployed.id("stranger"))}
    assert again["creation_enabled"] is False
    assert len(deployed.ok("admin", "admin", "releases").json["releases"]) == 1


def test_deploy_never_installs_over_another_module(cli: Cli) -> None:
    async def occupied() -> Principal:
        async with Agent(cli.identities["admin"], cli.network) as agent:
            management = ManagementCanister(agent)
            canister = await management.provisional_create_canister_with_cycles(3 * 10**12)
            await management.install(canister, b"\0asm\x01\0\0\0", b"")
            return canister

    canister = asyncio.run(occupied())
    refused = cli.run("admin", "deploy", "--canister", canister, backend=False)
    assert refused.code == 1
    assert "would destroy its data" in refused.error
    refused = cli.run("admin", "upgrade", canister, backend=False)
    assert refused.code == 1
    assert "is not a backend, by its certified interface" in refused.error
    refused = cli.run("stranger", "deploy", "--canister", canister, backend=False)
    assert refused.code == 1
    assert "not controlled by" in refused.error


@pytest.mark.usefixtures("quick_upgrades")
def test_upgrade_replaces_an_older_module_and_keeps_the_data(cli: Cli) -> None:
    # An older build: the same code under another hash, by a custom section at its end.
    older = gzip.compress(gzip.decompress(backend_wasm().wasm) + b"\0\x06\x05older", mtime=0)

    async def deploy_older() -> Principal:
        async with Agent(cli.identities["admin"], cli.network) as agent:
            management = ManagementCanister(agent)
            canister = await management.provisional_create_canister_with_cycles(5 * 10**12)
            init = BackendInit(operators=[cli.id("operator")])
            argument = encode(backend_interface().init_args, [to_candid(BackendInit | None, init)])
            await management.install(canister, older, argument)
            return canister

    cli.backend_id = asyncio.run(deploy_older())
    cli.give_capsule()
    done = cli.ok("admin", "upgrade", cli.backend_id, "--no-release", backend=False).json
    assert done["changed"] is True
    assert done["module_hash_before"] != done["module_hash"] == backend_wasm().module_hash.hex()
    assert done["releases"] == []
    again = cli.ok("admin", "upgrade", cli.backend_id, backend=False).json
    assert again["changed"] is False
    assert again["releases"] == [personal_wasm().module_hash.hex()]
    assert cli.ok("admin", "admin", "operators").json == {"operators": [str(cli.id("operator"))]}

    async def capsules(agent: Agent, backend: BackendClient) -> int:
        return len(await backend.list_my_capsules())

    assert cli.directly("owner", capsules) == 1


# --- admin ----------------------------------------------------------------------------------------------------------


def test_the_switch_decides_whether_requests_are_accepted(deployed: Cli) -> None:
    deployed.give_capsule()
    assert deployed.ok("admin", "admin", "disable").json == {"creation_enabled": False}
    refused = deployed.run("owner", "request")
    assert refused.code == 1
    assert "Disabled" in refused.error
    deployed.ok("admin", "admin", "enable")
    asked = deployed.ok("owner", "request").json
    assert (asked["success"], asked["status"], asked["attempts"]) == (True, "NotStarted", 1)
    assert deployed.ok("admin", "admin", "status").json["creations"] == {"NotStarted": 1}


def test_an_admin_limits_how_many_creations_there_are(deployed: Cli) -> None:
    defaults = {"max_in_progress": 100, "max_per_hour": 1_000}
    assert deployed.ok("operator", "admin", "limits").json == defaults
    assert deployed.run("operator", "admin", "limits", "--per-hour", 1).code == 1
    assert deployed.ok("admin", "admin", "limits", "--in-progress", 5).json == {**defaults, "max_in_progress": 5}
    changed = {"max_in_progress": 5, "max_per_hour": 1}
    assert deployed.ok("admin", "admin", "limits", "--per-hour", 1).json == changed
    assert deployed.ok("admin", "admin", "limits").json == changed
    assert deployed.run("admin", "admin", "limits", "--in-progress", 0).code == 2
    assert "at most 10000" in deployed.run("admin", "admin", "limits", "--per-hour", 10_001).error
    deployed.give_capsule()
    deployed.ok("owner", "request")
    deployed.leave_failed()
    refused = deployed.run("owner", "request")
    assert refused.code == 1
    assert "max_per_hour" in refused.error


def test_only_admins_change_roles(deployed: Cli) -> None:
    stranger = deployed.id("stranger")
    refused = deployed.run("stranger", "admin", "operators", "add", stranger)
    assert refused.code == 1
    added = deployed.ok("admin", "admin", "admins", "add", stranger).json["admins"]
    assert str(stranger) in added
    assert str(stranger) in deployed.ok("stranger", "admin", "operators", "add", stranger).json["operators"]
    assert str(stranger) not in deployed.ok("admin", "admin", "operators", "remove", stranger).json["operators"]
    assert str(stranger) not in deployed.ok("admin", "admin", "admins", "remove", stranger).json["admins"]


def test_releases_are_registered_and_revoked(deployed: Cli) -> None:
    other = "ab" * 32
    deployed.ok("admin", "admin", "releases", "register", other, "--note", "mine", "--api-version", "1.2.3")
    releases = {r["module_hash"]: r for r in deployed.ok("admin", "admin", "releases").json["releases"]}
    assert (releases[other]["note"], releases[other]["api_version"]) == ("mine", "1.2.3")
    deployed.ok("admin", "admin", "releases", "revoke", personal_wasm().module_hash.hex())
    left = deployed.ok("admin", "admin", "releases", "revoke", other).json["releases"]
    assert left == []
    again = deployed.ok("admin", "admin", "releases", "register").json["releases"]
    assert [(r["module_hash"], r["note"]) for r in again] == [(personal_wasm().module_hash.hex(), "personal")]


def test_a_failure_is_on_record_and_acknowledged(requested: Cli) -> None:
    canister = requested.leave_failed()
    (entry,) = requested.ok("admin", "admin", "errors").lines
    assert entry["error"]["message"] == "the disk was full"
    assert entry["owner"] == str(requested.id("owner"))
    rate = requested.ok("admin", "admin", "error-rate", "--window", "1h").json
    assert (rate["attempts"], rate["failures"], rate["window_ns"]) == ("1", "1", str(3_600 * 10**9))
    notices = requested.ok("admin", "admin", "notifications").lines
    (failed,) = [notice for notice in notices if notice["kind"] == "CreationFailed"]
    requested.ok("admin", "admin", "ack", failed["id"])
    (seen,) = [n for n in requested.ok("admin", "admin", "notifications").lines if n["id"] == failed["id"]]
    assert seen["acknowledged_by"] == str(requested.id("admin"))
    (registered,) = requested.ok("admin", "admin", "registry").lines
    assert registered == requested.ok("admin", "admin", "registry", canister).json
    assert (registered["canister_id"], registered["status"]) == (str(canister), "Failed")
    (state,) = requested.ok("admin", "list", "--status", "Failed").lines
    assert {**state, "canister": "empty"} == requested.ok("admin", "status", requested.id("owner")).json
    assert requested.ok("operator", "list", "--limit", 1).lines == [state]
    assert requested.ok("operator", "list", "--status", "Completed").lines == []
    assert requested.ok("admin", "admin", "stats").json["total_failures"] == "1"


# --- reserve --------------------------------------------------------------------------------------------------------


def test_the_reserve_is_topped_up_and_watched(deployed: Cli) -> None:
    before = deployed.ok("admin", "reserve", "status").json
    added = deployed.ok("admin", "reserve", "top-up", "1.5T").json
    assert added["added"] == 1_500_000_000_000
    assert added["available"] > int(before["available"]) + 1.4e12
    deployed.ok("admin", "reserve", "settings", "--threshold", "90T")
    low = deployed.ok("admin", "reserve", "status").json
    assert low["settings"]["threshold"] == str(90 * 10**12)
    assert low["alert_level"] == "Critical"
    assert "Add" in deployed.ok("admin", "reserve", "report", "--window", "7d").json["recommendation"]
    changed = deployed.ok("admin", "reserve", "settings", "--threshold", "1T", "--funded-days", "730").json
    assert (changed["threshold"], changed["funded_days"]) == (str(10**12), "730")
    assert changed["prices"] == before["settings"]["prices"]
    assert deployed.ok("admin", "reserve", "settings").json == changed


def test_strangers_see_nothing_of_the_reserve(deployed: Cli) -> None:
    refused = deployed.run("stranger", "reserve", "status")
    assert refused.code == 1
    assert "Unauthorized" in refused.error


def test_the_audit_log_says_who_changed_what(deployed: Cli) -> None:
    deployed.ok("admin", "admin", "disable")
    newest = deployed.ok("operator", "admin", "audit", "--limit", "1").lines
    assert [(act["by"], act["method"], act["what"]) for act in newest] == [
        (str(deployed.id("admin")), "set_personal_canister_creation_enabled", "false")
    ]
    assert "needs the role" in deployed.run("stranger", "admin", "audit").error
