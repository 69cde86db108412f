"""A creation belongs to the operator that had its canister created, until it's handed on or the owner names another."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    OPERATOR,
    OTHER_OPERATOR,
    OWNER,
    SECOND_NS,
    STRANGER,
    World,
    failure,
    person,
)

NEW = person("new operator")
LEASE_SECONDS = 60


@pytest.fixture
def world() -> World:
    return World()


def listed(world: World) -> dict[str, Any]:
    """The one open request, as operators see it."""
    (request,) = world.ok("list_open_requests", {}, sender=OTHER_OPERATOR)["items"]
    assert isinstance(request, dict)
    return request


def operator(world: World) -> Principal | None:
    """Whom the creation belongs to."""
    operators = world.status()["operators"]
    return operators[-1] if operators else None


def refused_claim(world: World, operator: Principal) -> dict[str, Any]:
    error = world.err("claim_creation", {"owner": OWNER, "worker": "w"}, sender=operator)
    assert isinstance(error, dict)
    return error


def test_until_there_is_a_canister_any_operator_goes_on(world: World) -> None:
    world.ok("release_lease", world.exporting(), sender=OPERATOR)
    assert listed(world)["operator"] is None
    world.claim(operator=OTHER_OPERATOR)


def test_with_its_canister_it_belongs_to_who_had_it_created_and_others_are_told_whose_it_is(world: World) -> None:
    lease, canister = world.provisioned()
    world.ok("release_lease", lease, sender=OPERATOR)
    assert listed(world)["operator"] == operator(world) == OPERATOR
    assert world.status()["next_operator"] is None
    error = refused_claim(world, OTHER_OPERATOR)
    assert (error["kind"], error["retry_helps"], error["canister_id"]) == (Case("Busy"), False, canister)
    assert str(OPERATOR) in error["message"]
    assert "hand-on" in error["message"]
    world.claim()


def test_while_the_canister_is_being_created_nobody_else_gets_hold_of_the_creation(world: World) -> None:
    lease = world.exporting()
    call = world.start("provision_canister", lease, sender=OPERATOR)
    world.subnet.execute_round()
    assert world.status()["status"] == Case("Creating")
    world.advance(LEASE_SECONDS)
    late = world.start("claim_creation", {"owner": OWNER, "worker": "w"}, sender=OTHER_OPERATOR)
    world.run()
    assert world.finish("claim_creation", late).value["kind"] == Case("Busy")
    canister = world.finish("provision_canister", call).value["canister_id"]
    assert world.controllers(canister) == {OPERATOR, OWNER}


def test_a_canister_that_could_not_be_created_is_nobodys() -> None:
    world = World(canisters=1)
    lease = world.exporting()
    assert world.err("provision_canister", lease, sender=OPERATOR)["kind"] == Case("CreateFailed")
    assert operator(world) is None
    world.ok("release_lease", lease, sender=OPERATOR)
    world.claim(operator=OTHER_OPERATOR)


def test_another_canister_may_be_another_operators(world: World) -> None:
    lease, canister = world.provisioned()
    world.manage("uninstall_code", {"canister_id": canister}, sender=OWNER)
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("HistoryFailed")
    world.request()
    assert operator(world) is None
    lease = world.claim(operator=OTHER_OPERATOR)
    other = world.ok("provision_canister", lease, sender=OTHER_OPERATOR)["canister_id"]
    assert (operator(world), world.controllers(other)) == (OTHER_OPERATOR, {OTHER_OPERATOR, OWNER})


# --- handing on ------------------------------------------------------------------------------------------------------


def test_who_was_handed_a_creation_goes_on_and_who_handed_it_on_does_nothing_more(world: World) -> None:
    lease, _ = world.provisioned()
    world.ok("hand_on_creation", lease, OTHER_OPERATOR, sender=OPERATOR)
    assert listed(world)["operator"] == OTHER_OPERATOR
    assert world.err("renew_lease", lease, sender=OPERATOR)["kind"] == Case("Busy")
    assert str(OTHER_OPERATOR) in refused_claim(world, OPERATOR)["message"]
    world.ok("renew_lease", world.claim(operator=OTHER_OPERATOR), sender=OTHER_OPERATOR)


@pytest.mark.parametrize("to", [STRANGER, OWNER, NEW])
def test_only_an_operator_is_handed_a_creation(world: World, to: Principal) -> None:
    lease, _ = world.provisioned()
    error = world.err("hand_on_creation", lease, to, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("InvalidRequest"), False)
    assert operator(world) == OPERATOR


def test_only_who_holds_the_lease_hands_on(world: World) -> None:
    lease, _ = world.provisioned()
    assert world.err("hand_on_creation", lease, OTHER_OPERATOR, sender=OTHER_OPERATOR)["kind"] == Case("Busy")
    assert world.err("hand_on_creation", lease, OTHER_OPERATOR, sender=OWNER)["kind"] == Case("Unauthorized")
    assert operator(world) == OPERATOR


def test_a_creation_is_not_handed_on_for_ever(world: World) -> None:
    lease, _ = world.provisioned()
    operators = [OPERATOR, *(person(f"operator {number}") for number in range(10))]
    for one, next_one in pairwise(operators[:10]):
        world.ok("add_operator", next_one, sender=ADMIN)
        world.ok("hand_on_creation", lease, next_one, sender=one)
        lease = world.claim(operator=next_one)
    assert world.status()["operators"] == operators[:10]
    world.ok("add_operator", operators[10], sender=ADMIN)
    error = world.err("hand_on_creation", lease, operators[10], sender=operators[9])
    assert "too often" in error["message"]


def test_without_a_canister_there_is_nothing_to_hand_on(world: World) -> None:
    error = world.err("hand_on_creation", world.exporting(), OTHER_OPERATOR, sender=OPERATOR)
    assert error["kind"] == Case("InvalidRequest")


def test_nothing_is_handed_on_while_the_handoff_may_be_under_way(world: World) -> None:
    lease, _ = world.verified()
    assert world.err("hand_on_creation", lease, OTHER_OPERATOR, sender=OPERATOR)["kind"] == Case("Busy")
    assert operator(world) == OPERATOR


def test_what_was_handed_on_is_completed_by_the_other_operator(world: World) -> None:
    world.approve()
    lease, canister = world.copied()
    world.finalize(canister)
    settings = {"controllers": [OTHER_OPERATOR, OWNER]}
    world.manage("update_settings", {"canister_id": canister, "settings": settings}, sender=OPERATOR)
    world.ok("hand_on_creation", lease, OTHER_OPERATOR, sender=OPERATOR)
    lease = world.claim(operator=OTHER_OPERATOR)
    assert world.ok("verify_creation", lease, sender=OTHER_OPERATOR)["matches"] is True
    settings = {"controllers": [OWNER]}
    world.manage("update_settings", {"canister_id": canister, "settings": settings}, sender=OTHER_OPERATOR)
    assert world.ok("complete_creation", lease, sender=OTHER_OPERATOR)["status"] == Case("Completed")


# --- an operator that is none any more -------------------------------------------------------------------------------


def lose_key(world: World) -> None:
    """The operator's key is lost: an admin removes it and adds another one."""
    world.ok("remove_operator", OPERATOR, sender=ADMIN)
    world.ok("add_operator", NEW, sender=ADMIN)


def test_the_newest_operator_is_named_for_the_place_of_one_that_is_none_any_more(world: World) -> None:
    world.provisioned()
    assert world.status()["next_operator"] is None
    lose_key(world)
    assert (operator(world), world.status()["next_operator"]) == (OPERATOR, NEW)
    world.advance(LEASE_SECONDS)
    for another in (NEW, OTHER_OPERATOR):
        error = refused_claim(world, another)
        assert (error["kind"], error["retry_helps"]) == (Case("Busy"), False)
        assert str(NEW) in error["message"]
        assert "retry" in error["message"]


def test_a_newest_operator_that_was_removed_is_not_named(world: World) -> None:
    world.provisioned()
    lose_key(world)
    world.ok("remove_operator", NEW, sender=ADMIN)
    assert world.status()["next_operator"] == OTHER_OPERATOR
    world.ok("remove_operator", OTHER_OPERATOR, sender=ADMIN)
    assert world.status()["next_operator"] is None


@pytest.mark.parametrize("failed", [True, False], ids=["failed", "open"])
def test_the_owners_request_puts_the_other_operator_in_its_place(world: World, failed: bool) -> None:
    lease, canister = world.provisioned()
    if failed:
        world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    lose_key(world)
    attempts = world.status()["attempts"]
    world.request()
    found = world.status()
    assert (found["operators"][-1], found["next_operator"], found["canister_id"]) == (NEW, None, canister)
    assert found["attempts"] == attempts + (1 if failed else 0)
    assert world.ok("claim_creation", {"owner": OWNER, "worker": "w"}, sender=NEW)["creation"]["operators"] == [
        OPERATOR,
        NEW,
    ]
    assert str(NEW) in refused_claim(world, OTHER_OPERATOR)["message"]


def test_an_owner_replaces_no_operator_that_still_is_one(world: World) -> None:
    lease, _ = world.provisioned()
    world.ok("add_operator", NEW, sender=ADMIN)
    world.request()
    assert operator(world) == OPERATOR
    assert world.ok("renew_lease", lease, sender=OPERATOR) == world.now_ns + LEASE_SECONDS * SECOND_NS


def test_an_operator_that_is_added_again_goes_on_with_what_it_had(world: World) -> None:
    lease, _ = world.provisioned()
    world.ok("release_lease", lease, sender=OPERATOR)
    lose_key(world)
    world.ok("add_operator", OPERATOR, sender=ADMIN)
    assert world.status()["next_operator"] is None
    world.claim()
