"""`admin operators hand-on`, and `retry` after a key was lost: another operator completes the creation."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import ClaimRequest, LeaseRef
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.cli_world import Cli


@pytest.fixture
def provisioned(requested: Cli) -> Cli:
    """The owner's creation has a canister, and no worker; the role `successor` is an operator, too."""
    successor = Identity.generate()
    requested.become({**requested.identities, "successor": successor})
    requested.ok("admin", "admin", "operators", "add", successor.sender())

    async def provision(agent: Agent, backend: BackendClient) -> None:
        claimed = await backend.claim_creation(ClaimRequest(owner=requested.id("owner"), worker="test"))
        lease = LeaseRef(owner=requested.id("owner"), lease=claimed.lease)
        await backend.provision_canister(lease)
        await backend.release_lease(lease)

    requested.directly("operator", provision)
    return requested


def canister(cli: Cli) -> Principal:
    return Principal.from_str(cli.ok("owner", "status").json["canister_id"])


def controllers(cli: Cli) -> set[Principal]:
    """Of the creation's canister, certified."""
    canister_id = canister(cli)

    async def look(agent: Agent, backend: BackendClient) -> set[Principal]:
        return set((await agent.canister_info(canister_id)).controllers)

    return cli.directly("stranger", look)


def hand_on(cli: Cli, *, to: str = "successor", by: str = "operator") -> Any:
    return cli.run(by, "admin", "operators", "hand-on", cli.id(to))


def completes(cli: Cli, role: str) -> None:
    """That operator's worker completes the creation with the canister that it has."""
    before = canister(cli)
    assert cli.ok(role, "worker", "--once").lines[-1]["event"] == "Completed"
    assert canister(cli) == before
    assert controllers(cli) == {cli.id("owner")}


def test_an_operator_hands_its_creations_on_and_the_other_completes_them(provisioned: Cli) -> None:
    assert provisioned.ok("successor", "worker", "--once").lines == []
    ran = hand_on(provisioned)
    owner = str(provisioned.id("owner"))
    assert (ran.code, ran.json) == (
        0,
        {"operator": str(provisioned.id("successor")), "handed_on": [owner], "left": []},
    )
    assert "1 of 1: the creation of" in ran.err
    assert controllers(provisioned) == {provisioned.id("successor"), provisioned.id("owner")}
    assert provisioned.ok("operator", "worker", "--once").lines == []
    provisioned.ok("admin", "admin", "operators", "remove", provisioned.id("operator"))
    completes(provisioned, "successor")
    assert provisioned.ok("owner", "verify", owner).json["ok"] is True


def test_nothing_to_hand_on_is_no_failure(provisioned: Cli) -> None:
    hand_on(provisioned)
    ran = hand_on(provisioned)
    assert (ran.code, ran.json["handed_on"], ran.json["left"]) == (0, [], [])
    said = provisioned.said("operator", "admin", "operators", "hand-on", provisioned.id("successor"))
    assert said.startswith("There is nothing to hand on: ")


@pytest.mark.parametrize(("to", "why"), [("stranger", "is no operator"), ("operator", "is the operator that hands on")])
def test_who_is_no_other_operator_is_refused_before_anything_is_changed(provisioned: Cli, to: str, why: str) -> None:
    ran = hand_on(provisioned, to=to)
    assert why in ran.error
    assert "nothing was changed" in ran.error
    assert controllers(provisioned) == {provisioned.id("operator"), provisioned.id("owner")}


def test_only_an_operator_hands_on(provisioned: Cli) -> None:
    assert "needs the role operator" in hand_on(provisioned, by="owner").error


def test_what_a_worker_is_at_is_left_to_it(provisioned: Cli) -> None:
    async def claim(agent: Agent, backend: BackendClient) -> None:
        await backend.claim_creation(ClaimRequest(owner=provisioned.id("owner"), worker="busy"))

    provisioned.directly("operator", claim)
    ran = hand_on(provisioned)
    ((left,), handed_on) = ran.json["left"], ran.json["handed_on"]
    assert (ran.code, handed_on) == (1, [])
    assert "Worker busy" in left["reason"]
    assert controllers(provisioned) == {provisioned.id("operator"), provisioned.id("owner")}


def test_a_canister_that_others_control_is_left_as_it_is(provisioned: Cli) -> None:
    canister_id = canister(provisioned)
    others = [provisioned.id(role) for role in ("operator", "owner", "stranger")]

    async def share(agent: Agent, backend: BackendClient) -> None:
        await ManagementCanister(agent).update_settings(canister_id, CanisterSettings(controllers=others))

    provisioned.directly("operator", share)
    ran = hand_on(provisioned)
    assert ran.code == 1
    assert "is controlled by" in ran.json["left"][0]["reason"]
    assert controllers(provisioned) == set(others)


# --- a lost key ------------------------------------------------------------------------------------------------------


def lose_key(cli: Cli) -> None:
    cli.ok("admin", "admin", "operators", "remove", cli.id("operator"))


@pytest.mark.parametrize("failed", [True, False], ids=["failed", "open"])
def test_the_owners_retry_puts_another_operator_in_the_place_of_one_whose_key_was_lost(
    provisioned: Cli, failed: bool
) -> None:
    lose_key(provisioned)
    refused = provisioned.run("successor", "run", provisioned.id("owner"))
    assert str(provisioned.id("operator")) in refused.error
    assert "a retry by the owner" in refused.error
    if failed:
        abort(provisioned)
    ran = provisioned.ok("owner", "retry")
    assert f"controls canister {canister(provisioned)} now" in ran.err
    assert controllers(provisioned) == {provisioned.id("successor"), provisioned.id("owner")}
    completes(provisioned, "successor")
    assert provisioned.ok("owner", "verify", provisioned.id("owner")).json["ok"] is True


def abort(cli: Cli) -> None:
    async def work(agent: Agent, backend: BackendClient) -> None:
        await backend.abort_creation(cli.id("owner"), "its key was lost")

    cli.directly("admin", work)


def test_a_retry_that_was_killed_in_between_is_repeated(provisioned: Cli) -> None:
    """The owner's request alone names another operator on record, who doesn't control the canister yet."""
    lose_key(provisioned)

    async def request(agent: Agent, backend: BackendClient) -> None:
        await backend.create_personal_canister(None)

    provisioned.directly("owner", request)
    assert controllers(provisioned) == {provisioned.id("operator"), provisioned.id("owner")}
    provisioned.ok("owner", "retry")
    completes(provisioned, "successor")


def test_a_run_before_the_owner_has_set_the_controllers_fails_and_a_retry_puts_that_right(provisioned: Cli) -> None:
    lose_key(provisioned)

    async def request(agent: Agent, backend: BackendClient) -> None:
        await backend.create_personal_canister(None)

    provisioned.directly("owner", request)
    (*_, failed) = provisioned.run("successor", "worker", "--once").lines
    assert (failed["event"], failed["retry_helps"]) == ("Failed", True)
    assert "a retry by the owner puts this operator in its place" in failed["message"]
    provisioned.ok("owner", "retry")
    completes(provisioned, "successor")


def test_an_owner_whose_operator_still_is_one_has_nothing_to_retry(provisioned: Cli) -> None:
    assert "there is nothing to retry" in provisioned.run("owner", "retry").error
    assert controllers(provisioned) == {provisioned.id("operator"), provisioned.id("owner")}
