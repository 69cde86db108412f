"""Commands check before they act, name what was done when a later step fails, and say what is true now."""

from __future__ import annotations

import gzip
import hashlib
import threading
from typing import Any

import pytest

import canister_factory.cli.cleanup as cleanup_command
import canister_factory.cli.deploy_steps as deploy_command
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import backend_wasm, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.errors import InstallError
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.cli_world import Cli


def delete(cli: Cli, role: str, canister: Principal | str) -> None:
    async def work(agent: Agent, backend: BackendClient) -> None:
        management = ManagementCanister(agent)
        await management.stop_canister(canister)
        await management.delete_canister(canister)

    cli.directly(role, work)


def completed(cli: Cli) -> str:
    canister: str = cli.ok("operator", "worker", "--once").lines[-1]["canister_id"]
    return canister


# --- What is true now -----------------------------------------------------------------------------------------------


def test_a_personal_canister_that_its_owner_deleted_is_not_called_ready(requested: Cli) -> None:
    canister = completed(requested)
    ready = requested.ok("owner", "status").json
    assert (ready["canister"], ready["status"]) == ("installed", "Completed")
    assert "is ready and its owner alone controls it" in ready["progress_message"]
    assert "is ready and its owner alone controls it" in requested.ok("owner", "request").json["message"]
    delete(requested, "owner", canister)
    for role, words in (("owner", ("status",)), ("admin", ("status", requested.id("owner")))):
        gone = requested.ok(role, *words).json
        assert (gone["canister"], gone["status"]) == ("deleted", "Completed")
        assert f"{canister} was completed, and then deleted by its owner" in gone["progress_message"]
        assert "ready" not in gone["progress_message"]
    asked = requested.run("owner", "request")
    assert asked.code == 1
    assert f"{canister} was completed, and then deleted by its owner" in asked.error
    assert requested.run("operator", "run", requested.id("owner")).json["canister"] == "deleted"
    # What the message says to do works.
    assert "'owner undo'" in asked.error
    assert "owner undo" in requested.run("admin", "admin", "clear", requested.id("owner"), "--yes").error
    assert requested.ok("owner", "owner", "undo", "--yes").json["status"] == "Undone"
    assert requested.ok("owner", "status").json["status"] == "Undone"
    assert requested.ok("owner", "request").json["status"] == "NotStarted"
    assert completed(requested) != canister


def test_a_personal_canister_without_a_module_is_not_called_ready(requested: Cli) -> None:
    canister = completed(requested)

    async def uninstall(agent: Agent, backend: BackendClient) -> None:
        await ManagementCanister(agent).uninstall_code(canister)

    requested.directly("owner", uninstall)
    assert "has no module any more" in requested.ok("owner", "status").json["progress_message"]
    assert "has no module any more" in requested.run("owner", "request").error


def test_who_controls_a_personal_canister_is_said_as_it_is_now(requested: Cli) -> None:
    canister = completed(requested)

    async def share(agent: Agent, backend: BackendClient) -> None:
        people = [requested.id("owner"), requested.id("stranger")]
        await ManagementCanister(agent).update_settings(canister, CanisterSettings(controllers=people))

    requested.directly("owner", share)
    told = requested.ok("owner", "status").json["progress_message"]
    assert "alone" not in told
    assert str(requested.id("stranger")) in told


def test_a_creation_whose_canister_was_deleted_is_not_retried(requested: Cli) -> None:
    canister = requested.leave_failed()
    delete(requested, "operator", canister)
    for command in ("retry", "request"):
        refused = requested.run("owner", command)
        assert refused.code == 1
        assert f"the canister {canister} of this creation was deleted" in refused.error
        assert f"'cleanup {requested.id('owner')}'" in refused.error
    state = requested.ok("owner", "status").json
    assert (state["attempts"], state["status"], state["canister"]) == (1, "Failed", "deleted")


def test_verify_of_a_canister_that_runs_something_else_is_a_failed_check(requested: Cli) -> None:
    canister = completed(requested)

    async def replace(agent: Agent, backend: BackendClient) -> None:
        await ManagementCanister(agent).install(canister, b"\0asm\x01\0\0\0", b"", mode="reinstall")

    requested.directly("owner", replace)
    found = requested.run("owner", "verify", requested.id("owner"))
    assert found.code == 1
    checks = {check["name"]: check for check in found.json["checks"]}
    assert checks["module"]["verdict"] == "fail"
    assert checks["what it says"]["verdict"] == "fail"
    assert "doesn't answer as a personal canister" in checks["what it says"]["found"]


# --- Checks before effects ------------------------------------------------------------------------------------------


def balance(cli: Cli) -> int:
    return int(cli.ok("admin", "reserve", "status").json["balance"])


def test_a_top_up_by_somebody_without_the_role_adds_nothing(deployed: Cli) -> None:
    before = balance(deployed)
    assert "Unauthorized" in deployed.run("stranger", "reserve", "top-up", "3T").error
    assert balance(deployed) <= before
    assert deployed.run("admin", "reserve", "top-up", "0").code == 2


def test_what_was_topped_up_is_shown(deployed: Cli) -> None:
    before = int(deployed.ok("admin", "reserve", "status").json["total_topped_up"])
    assert before > 16 * 10**12  # what `deploy` put there
    deployed.ok("admin", "reserve", "top-up", "3T")
    after = int(deployed.ok("admin", "reserve", "status").json["total_topped_up"])
    assert 2.8 * 10**12 < after - before <= 3 * 10**12


def test_deploy_names_the_canister_that_it_made_when_a_later_step_fails(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(agent: Agent, canister_id: Principal, init: Any) -> bool:
        raise InstallError("the network is full", canister_id=canister_id)

    with monkeypatch.context() as broken:
        broken.setattr(deploy_command, "install_backend", refuse)
        failed = cli.run("admin", "deploy", backend=False)
    assert failed.code == 1
    [canister] = {word.strip("';.") for word in failed.error.split() if word.strip("';.").endswith("-cai")}
    assert f"The canister {canister} was created. 'deploy --canister {canister}' continues" in failed.error

    async def no_cycles(agent: Agent, canister_id: Principal, available: int) -> int:
        raise InstallError("no cycles", canister_id=canister_id)

    with monkeypatch.context() as broken:
        broken.setattr(deploy_command, "fill_reserve", no_cycles)
        failed = cli.run("admin", "deploy", "--canister", canister, backend=False)
    assert f"The canister {canister} has the backend" in failed.error
    made = cli.ok("admin", "deploy", "--canister", canister, backend=False).json
    assert (made["backend_id"], made["installed"]) == (canister, False)


@pytest.mark.parametrize(("who", "name"), [("2vxsx-fae", "anonymous principal"), ("aaaaa-aa", "management canister")])
def test_nobody_gives_a_role_to_what_can_hold_none(deployed: Cli, who: str, name: str) -> None:
    for command in (("deploy", "--operator", who), ("deploy", "--admin", who)):
        refused = deployed.run("admin", *command, backend=False)
        assert refused.code == 2
        assert name in refused.error
        assert "created canister" not in refused.err
    for role in ("admins", "operators"):
        assert deployed.run("admin", "admin", role, "add", who).code == 2


def test_a_role_for_a_canister_is_given_and_noted(deployed: Cli) -> None:
    given = deployed.ok("admin", "admin", "operators", "add", deployed.backend_id)
    assert str(deployed.backend_id) in given.json["operators"]
    assert "is the id of a canister, not of a person's key" in given.err
    assert "note:" not in deployed.ok("admin", "admin", "operators", "add", deployed.id("stranger")).err
    assert "was no admin" in deployed.ok("admin", "admin", "admins", "remove", deployed.id("stranger")).err
    assert "was no operator" in deployed.ok("admin", "admin", "operators", "remove", deployed.id("owner")).err


def test_too_few_cycles_to_install_with_are_refused_before_a_canister_is_made(cli: Cli) -> None:
    refused = cli.run("admin", "deploy", "--cycles", "699B", backend=False)
    assert refused.code == 2
    assert "at least 700B" in refused.error
    assert cli.ok("admin", "deploy", "--cycles", "700B", "--reserve", "0", backend=False).json["installed"] is True


def test_a_hash_that_is_known_to_be_no_personal_canister_is_not_approved(deployed: Cli) -> None:
    unzipped = hashlib.sha256(gzip.decompress(personal_wasm().wasm)).hexdigest()
    nothing = {
        backend_wasm().module_hash.hex(): "the module of the backend",
        hashlib.sha256(b"").hexdigest(): "the hash of nothing",
        "00" * 32: "no hash of anything",
        unzipped: "the hash of the unzipped module",
    }
    for digest, why in nothing.items():
        refused = deployed.run("admin", "admin", "releases", "register", digest)
        assert refused.code == 1
        assert why in refused.error
    releases = deployed.ok("admin", "admin", "releases").json["releases"]
    assert [release["module_hash"] for release in releases] == [personal_wasm().module_hash.hex()]
    assert "this is not the bundled module" in deployed.ok("admin", "admin", "releases", "register", "ab" * 32).err
    assert "was not approved" in deployed.ok("admin", "admin", "releases", "revoke", "cd" * 32).err


def test_what_a_setting_of_the_reserve_leads_to_is_said(deployed: Cli) -> None:
    assert deployed.run("admin", "reserve", "settings", "--threshold", str(2**128)).code == 2
    high = deployed.ok("admin", "reserve", "settings", "--threshold", "1000T")
    assert high.json["threshold"] == str(10**15)
    assert "the reserve is below its threshold (Critical)" in high.err
    assert "no creation is possible now" in deployed.ok("admin", "reserve", "settings", "--funded-days", "36000").err
    assert "no creation" not in deployed.ok("admin", "reserve", "settings", "--funded-days", "10").err


def test_cleanup_deletes_nothing_when_the_owner_retried_while_it_asked(
    requested: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    canister = requested.leave_failed()

    def retry_meanwhile(question: str, yes: bool) -> None:
        async def retry(agent: Agent, backend: BackendClient) -> None:
            await backend.create_personal_canister()

        # In a thread: the command that asks runs in an event loop of its own.
        thread = threading.Thread(target=lambda: requested.directly("owner", retry))
        thread.start()
        thread.join()

    monkeypatch.setattr(cleanup_command, "confirm", retry_meanwhile)
    admin = ("--admin-identity", requested.pem("admin"))
    refused = requested.run("operator", "cleanup", requested.id("owner"), *admin)
    assert refused.code == 1
    assert "Only a failed creation can be cleaned up" in refused.error
    monkeypatch.undo()
    assert completed(requested) == str(canister)


def test_clearing_says_what_stays_and_refuses_what_isnt_there(requested: Cli) -> None:
    owner = requested.id("owner")
    assert "nothing to clear" in requested.run("admin", "admin", "clear", requested.id("stranger"), "--yes").error
    canister = requested.leave_failed()
    unasked = requested.run("admin", "admin", "clear", owner)
    assert f"which is Failed? Canister {canister} remains" in unasked.error
    assert requested.ok("owner", "status").json["status"] == "Failed"
