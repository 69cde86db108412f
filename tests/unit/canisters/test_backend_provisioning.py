"""The backend creates the canister: cycles really leave, are counted once, and no canister is lost."""

from __future__ import annotations

from canister_factory.candid.values import Case
from support.backend_world import ADMIN, OPERATOR, OTHER_OPERATOR, OWNER, TRILLION, World, failure
from support.reserve_figures import CREATION_BASE, CREATION_FEE, FIRST_PART, needed


def test_the_new_canister_belongs_to_operator_and_owner_and_is_paid_by_the_reserve() -> None:
    world = World()
    world.capsule()
    world.add_memory(1_000)
    parts = needed(1_000)
    first = parts.first
    lease = world.exporting()
    before, burnt_before = world.backend_state.balance, world.subnet.consumed_cycles
    result = world.ok("provision_canister", lease, sender=OPERATOR)
    paid, burnt = before - world.backend_state.balance, world.subnet.consumed_cycles - burnt_before
    canister = result["canister_id"]
    assert (result["cycles"], result["is_new"]) == (first, True)
    assert world.controllers(canister) == {OPERATOR, OWNER}
    assert world.state(canister).balance == first - CREATION_FEE
    # The balance pays what the books say, besides the price of the messages (well under 0.1 %).
    assert first <= paid < first + TRILLION // 1_000
    assert paid == world.state(canister).balance + burnt
    reserve = world.reserve()
    assert (reserve["total_consumed"], reserve["in_flight"]) == (first, parts.rest)
    assert world.status()["cycles_consumed"] == first
    [entry] = world.ok("list_consumption", {}, sender=ADMIN)["items"]
    assert (entry["canister_id"], entry["attached"], entry["refunded"]) == (canister, first, 0)


def test_an_owner_who_operates_the_factory_is_the_only_controller() -> None:
    world = World()
    lease = world.exporting(OPERATOR)
    canister = world.ok("provision_canister", lease, sender=OPERATOR)["canister_id"]
    assert world.controllers(canister) == {OPERATOR}


def test_provisioning_again_gives_the_same_canister_and_costs_nothing() -> None:
    world = World()
    lease, canister = world.provisioned()
    balance, consumed = world.backend_state.balance, world.reserve()["total_consumed"]
    again = world.ok("provision_canister", lease, sender=OPERATOR)
    assert again == {"canister_id": canister, "cycles": consumed, "is_new": False}
    assert balance - world.backend_state.balance < TRILLION // 1_000
    assert len(world.subnet.canisters) == 2


def test_the_manifest_of_the_claim_is_all_that_provisioning_needs() -> None:
    world = World()
    world.capsule()
    world.add_memory(1_000)
    world.request()
    result = world.ok("provision_canister", world.claim(), sender=OPERATOR)
    assert (result["cycles"], result["is_new"]) == (needed(1_000).first, True)
    status = world.status()
    assert (status["status"], status["canister_id"]) == (Case("Creating"), result["canister_id"])
    assert status["source_manifest"]["content_size"] == 1_000


def test_before_the_claim_nothing_is_provisioned() -> None:
    world = World()
    world.request()
    error = world.err("provision_canister", {"owner": OWNER, "lease": 0}, sender=OPERATOR)
    assert (error["kind"], error["stage"]) == (Case("Busy"), Case("NotStarted"))
    assert len(world.subnet.canisters) == 1


def test_two_at_a_time_create_one_canister() -> None:
    world = World()
    lease = world.exporting()
    first = world.start("provision_canister", lease, sender=OPERATOR)
    second = world.start("provision_canister", lease, sender=OPERATOR)
    world.run()
    created = world.finish("provision_canister", first)
    assert created.tag == "Ok"
    assert world.finish("provision_canister", second).value["kind"] == Case("Busy")
    assert len(world.subnet.canisters) == 2
    assert world.ok("provision_canister", lease, sender=OPERATOR)["canister_id"] == created.value["canister_id"]


def test_while_the_canister_is_being_created_the_creation_can_be_neither_failed_nor_cleared() -> None:
    world = World()
    lease = world.exporting()
    provisioning = world.start("provision_canister", lease, sender=OPERATOR)
    failing = world.start("fail_creation", lease, failure(), sender=OPERATOR)
    clearing = world.start("clear_creation_state", OWNER, sender=ADMIN)
    world.run()
    assert world.finish("fail_creation", failing).value["kind"] == Case("Busy")
    assert world.finish("clear_creation_state", clearing).value["kind"] == Case("InvalidRequest")
    assert world.status()["canister_id"] == world.finish("provision_canister", provisioning).value["canister_id"]


def test_a_canister_that_is_answered_after_the_lease_was_taken_over_is_kept_all_the_same() -> None:
    world = World()
    world.request()
    lease = world.claim(worker="a")
    world.ok("begin_export", lease, False, sender=OPERATOR)
    provisioning = world.start("provision_canister", lease, sender=OPERATOR)
    claiming = world.start("claim_creation", {"owner": OWNER, "worker": "a"}, sender=OPERATOR)
    world.run()
    canister = world.finish("provision_canister", provisioning).value["canister_id"]
    newer = {"owner": OWNER, "lease": world.finish("claim_creation", claiming).value["lease"]}
    found = world.ok("provision_canister", newer, sender=OPERATOR)
    assert (found["canister_id"], found["is_new"]) == (canister, False)
    assert world.err("provision_canister", lease, sender=OPERATOR)["kind"] == Case("Busy")


def test_a_rejected_creation_gives_the_cycles_back_and_can_be_tried_again() -> None:
    world = World(canisters=1)  # room for the backend alone
    lease = world.exporting()
    before = world.backend_state.balance
    error = world.err("provision_canister", lease, sender=OPERATOR)
    assert (error["kind"], error["stage"], error["retry_helps"]) == (Case("CreateFailed"), Case("Creating"), True)
    assert "canister ids of this subnet are used" in error["message"]
    assert before - world.backend_state.balance < TRILLION // 1_000
    reserve = world.reserve()
    assert (reserve["total_consumed"], reserve["in_flight"]) == (0, CREATION_BASE)
    [entry] = world.ok("list_consumption", {}, sender=ADMIN)["items"]
    assert (entry["canister_id"], entry["attached"], entry["refunded"]) == (None, FIRST_PART, FIRST_PART)
    status = world.status()
    assert (status["status"], status["canister_id"], status["error"]) == (Case("Creating"), None, error)

    world.ok("fail_creation", lease, error, sender=OPERATOR)
    assert world.reserve()["in_flight"] == 0
    world.subnet.state.last_canister_id = b"\xff" * 8 + b"\x01\x01"
    world.ok("create_personal_canister", None, sender=OWNER)
    lease = world.claim(operator=OTHER_OPERATOR)
    world.ok("begin_export", lease, False, sender=OTHER_OPERATOR)
    created = world.ok("provision_canister", lease, sender=OTHER_OPERATOR)
    assert created["is_new"] is True
    assert world.status()["cycles_consumed"] == world.reserve()["total_consumed"] == FIRST_PART
    assert world.controllers(created["canister_id"]) == {OTHER_OPERATOR, OWNER}
