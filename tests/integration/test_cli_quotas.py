"""Quotas, switches and settings by the commands: what admins set, what owners see, what the network keeps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.memory_models import BlobKind, BlobRef, MemoryData, MemoryType, NewMemory
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import EffectiveSettings
from support.cli_world import Cli

DAY_S = 86_400
GIB = 2**30


def add(cli: Cli, size: int) -> str:
    """Adds a memory as the owner; its id."""

    async def work(agent: Agent, backend: BackendClient) -> str:
        data = MemoryData(blob_ref=BlobRef(kind=BlobKind.ICPCapsule, locator=""), data=bytes(size))
        memory = NewMemory(memory_type=MemoryType.Note, name="note", content_type="text/plain")
        return await backend.add_memory_to_capsule(data, memory)

    return cli.directly("owner", work)


def refused(cli: Cli, size: int) -> CapsuleRefused:
    with pytest.raises(CapsuleRefused) as problem:
        add(cli, size)
    return problem.value


def settings_of(cli: Cli, canister: Principal, who: str = "admin") -> EffectiveSettings:
    async def look() -> EffectiveSettings:
        async with Agent(cli.identities[who], cli.network) as agent:
            return (await ManagementCanister(agent).canister_status(canister)).settings

    return asyncio.run(look())


# --- quotas ----------------------------------------------------------------------------------------------------------


def test_an_admin_limits_what_a_principal_keeps_and_the_owner_sees_how_much_is_left(deployed: Cli) -> None:
    deployed.give_capsule()
    changed = deployed.ok("admin", "admin", "quotas", "--person-memories", 1, "--person-content", "1kB").json
    assert changed["quotas"]["person"]["memories"] == "1"
    assert changed["quotas"]["person"]["content_bytes"] == "1000"
    assert changed["quotas"]["total"]["content_bytes"] == str(60 * 10**9)
    add(deployed, 500)
    error = refused(deployed, 1)
    assert (error.kind, "memories of a principal" in str(error)) == ("LimitExceeded", True)
    seen = deployed.ok("owner", "quota").json
    assert (seen["used"]["memories"], seen["used"]["content_bytes"]) == ("1", "512")
    assert seen["limits"] == changed["quotas"]["person"]
    assert deployed.ok("operator", "admin", "quotas", "--user", deployed.id("owner")).json == seen
    everything = deployed.ok("operator", "admin", "quotas").json
    assert (everything["used"]["memories"], everything["people"]) == ("1", "1")


def test_only_admins_change_quotas_and_none_that_no_canister_could_hold(deployed: Cli) -> None:
    assert deployed.run("operator", "admin", "quotas", "--total-nonces", 5).code == 1
    assert deployed.run("stranger", "admin", "quotas").code == 1
    too_much = deployed.run("admin", "admin", "quotas", "--person-content", "61GB")
    assert "at most 60000000000" in too_much.error
    assert deployed.run("admin", "admin", "quotas", "--heap", "a lot").code == 2
    assert deployed.ok("stranger", "quota").json["used"]["memories"] == "0"


@pytest.mark.parametrize("limit", [("--person-memories", 0), ("--heap", "1GB")])
def test_a_limit_for_one_principal_alone_is_refused(deployed: Cli, limit: tuple[str, Any]) -> None:
    ran = deployed.run("admin", "admin", "quotas", "--user", deployed.id("owner"), *limit)
    assert (ran.code, "quotas are the same for all principals" in ran.error) == (2, True)


def test_a_heap_limit_below_the_use_lets_people_read_and_delete_only(deployed: Cli) -> None:
    deployed.give_capsule()
    memory_id = add(deployed, 500)
    deployed.ok("admin", "admin", "quotas", "--heap", "1MB")
    error = refused(deployed, 1)
    assert (error.kind, "this canister's heap" in str(error)) == ("LimitExceeded", True)

    async def read_and_delete(agent: Agent, backend: BackendClient) -> bytes:
        found = await backend.read_memory_chunk(memory_id, 0)
        await backend.delete_memory_from_capsule(memory_id)
        return found

    assert deployed.directly("owner", read_and_delete) == bytes(500)
    found = {check["name"]: check for check in deployed.ok("admin", "doctor").json["checks"]}
    assert (found["quotas"]["verdict"], "of heap" in found["quotas"]["found"]) == ("warn", True)


# --- switches --------------------------------------------------------------------------------------------------------


def test_an_admin_stops_writes_with_a_message_while_creations_go_on(deployed: Cli) -> None:
    deployed.give_capsule()
    add(deployed, 500)
    stopped = deployed.ok("admin", "admin", "capsules", "--no-writes", "--message", "We move on Sunday.").json
    assert stopped == {"new_capsules": True, "writes": False, "message": "We move on Sunday."}
    error = refused(deployed, 1)
    assert (error.kind, "We move on Sunday." in str(error)) == ("Locked", True)
    assert "note: We move on Sunday." in deployed.ok("owner", "quota").err
    found = {check["name"]: check for check in deployed.ok("admin", "doctor").json["checks"]}
    assert found["capsules"]["verdict"] == "warn"
    assert found["capsules"]["found"].endswith("We move on Sunday.")
    deployed.ok("owner", "request")
    assert deployed.ok("operator", "worker", "--once").lines[-1]["canister_id"]
    assert deployed.ok("owner", "status").json["status"] == "Completed"
    again = deployed.ok("admin", "admin", "capsules", "--writes", "--message", "").json
    assert again == {"new_capsules": True, "writes": True, "message": None}


def test_an_admin_closes_the_backend_for_new_capsules(deployed: Cli) -> None:
    deployed.ok("admin", "admin", "capsules", "--no-new")
    with pytest.raises(CapsuleRefused, match="takes no new capsules"):
        deployed.give_capsule()
    assert deployed.run("operator", "admin", "capsules", "--new").code == 1
    deployed.ok("admin", "admin", "capsules", "--new")
    deployed.give_capsule()


# --- what canisters are set to ---------------------------------------------------------------------------------------


def deploy(cli: Cli, *options: Any) -> Principal:
    made = cli.ok("admin", "deploy", "--operator", cli.id("operator"), *options, backend=False).json
    cli.backend_id = Principal.from_str(made["backend_id"])
    return cli.backend_id


def test_a_deployed_backend_and_a_new_personal_canister_are_set_for_90_days(cli: Cli) -> None:
    settings = settings_of(cli, deploy(cli))
    assert (settings.freezing_threshold, settings.wasm_memory_limit) == (90 * DAY_S, 4 * GIB)
    found = {check["name"]: check for check in cli.ok("admin", "doctor").json["checks"]}
    assert found["settings"]["verdict"] == "ok"
    cli.give_capsule()
    cli.ok("owner", "request")
    completed = cli.ok("operator", "worker", "--once").lines
    canister = next(Principal.from_str(line["canister_id"]) for line in completed if line.get("canister_id"))
    settings = settings_of(cli, canister, "owner")
    assert (settings.freezing_threshold, settings.wasm_memory_limit) == (90 * DAY_S, 3 * GIB)


def test_other_settings_are_given_at_deployment_or_later(cli: Cli) -> None:
    backend = deploy(cli, "--freezing-threshold", "30d", "--wasm-memory-limit", "2GiB")
    settings = settings_of(cli, backend)
    assert (settings.freezing_threshold, settings.wasm_memory_limit) == (30 * DAY_S, 2 * GIB)
    assert cli.ok("operator", "admin", "canisters").json == {
        "freezing_threshold": str(30 * DAY_S),
        "wasm_memory_limit": str(3 * GIB),
    }
    found = {check["name"]: check for check in cli.ok("admin", "doctor").json["checks"]}
    assert (found["settings"]["verdict"], "too little" in found["settings"]["advice"]) == ("warn", True)
    changed = cli.ok("admin", "admin", "canisters", "--wasm-memory-limit", "1GiB").json
    assert changed == {"freezing_threshold": str(30 * DAY_S), "wasm_memory_limit": str(GIB)}
    too_long = cli.run("admin", "admin", "canisters", "--freezing-threshold", "99000d")
    assert "together they may be 36525 days at most" in too_long.error


def test_a_canister_of_ones_own_is_set_when_the_backend_is_installed_and_not_again(cli: Cli) -> None:
    async def empty() -> Principal:
        async with Agent(cli.identities["admin"], cli.network) as agent:
            return await ManagementCanister(agent).provisional_create_canister_with_cycles(5 * 10**12)

    canister = asyncio.run(empty())
    assert settings_of(cli, canister).freezing_threshold == 30 * DAY_S
    deploy(cli, "--canister", canister)
    settings = settings_of(cli, canister)
    assert (settings.freezing_threshold, settings.wasm_memory_limit) == (90 * DAY_S, 4 * GIB)
    deploy(cli, "--canister", canister, "--wasm-memory-limit", "5GiB")
    deploy(cli, "--canister", canister)
    settings = settings_of(cli, canister)
    assert (settings.freezing_threshold, settings.wasm_memory_limit) == (90 * DAY_S, 5 * GIB)
