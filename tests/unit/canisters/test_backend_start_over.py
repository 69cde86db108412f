"""Starting a copy over: in the same canister while its history can be told whole, in another one after that."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, OPERATOR, OTHER_OPERATOR, OWNER, STRANGER, World, encode_args, interface, wasm
from support.reserve_figures import needed


def reinstall(world: World, canister: Principal, times: int) -> None:
    init = encode_args(interface("personal").init_args, [{"owner": OWNER, "backend": world.backend}])
    for _ in range(times):
        world.install(canister, wasm("personal"), init, OPERATOR, "reinstall")


def final() -> tuple[World, dict[str, Any], Principal]:
    """A creation whose copy is final: three changes, with the creation of its canister."""
    world = World()
    world.approve()
    world.capsule()
    world.add_memory(100)
    lease, canister = world.copied()
    world.finalize(canister)
    return world, lease, canister


def test_a_canister_with_a_short_history_is_installed_anew() -> None:
    world, lease, canister = final()
    reinstall(world, canister, 12)  # 14 changes
    assert world.ok("start_over", lease, sender=OPERATOR) is True
    assert world.status()["canister_id"] == canister
    reinstall(world, canister, 1)
    world.copy(lease, canister)
    world.finalize(canister)
    world.ok("begin_export", lease, True, sender=OPERATOR)
    assert world.ok("verify_creation", lease, sender=OPERATOR)["matches"] is True


def test_a_canister_with_a_long_history_is_given_up_for_another_within_the_same_attempt() -> None:
    world, lease, canister = final()
    reinstall(world, canister, 13)  # 15 changes
    assert world.ok("start_over", lease, sender=OPERATOR) is False
    status = world.status()
    assert (status["status"], status["canister_id"], status["lost_canisters"]) == (Case("Importing"), None, [canister])
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("InvalidRequest")
    parts = needed(100)
    assert world.reserve()["in_flight"] == parts.total
    made = world.ok("provision_canister", lease, sender=OPERATOR)
    assert made["is_new"]
    assert made["canister_id"] != canister
    first = parts.first
    assert made["cycles"] == first
    assert world.status()["cycles_consumed"] == 2 * first == world.reserve()["total_consumed"]
    assert world.reserve()["in_flight"] == parts.rest
    entries = {entry["canister_id"]: entry for entry in world.ok("list_registry", {}, sender=ADMIN)["items"]}
    assert [entries[each]["cycles_consumed"] for each in (canister, made["canister_id"])] == [first, first]
    assert [entries[each]["status"].tag for each in (canister, made["canister_id"])] == ["Failed", "Importing"]
    again = world.ok("provision_canister", lease, sender=OPERATOR)
    assert again == {**made, "is_new": False}
    assert world.status()["attempts"] == 1


def test_what_was_done_to_the_canister_ends_the_creation_here_too() -> None:
    world, lease, canister = final()
    world.hand_over(canister, OPERATOR, OWNER, STRANGER)
    error = world.err("start_over", lease, sender=OPERATOR)
    assert error["kind"] == Case("HistoryFailed")
    assert world.status()["lost_canisters"] == [canister]
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("InvalidRequest")


def test_a_canister_that_is_its_owners_already_is_never_started_over() -> None:
    world, lease, canister = final()
    world.hand_over(canister, OWNER)
    error = world.err("start_over", lease, sender=OPERATOR)
    assert (error["kind"], "owner's already" in error["message"]) == (Case("InvalidRequest"), True)
    assert world.status()["canister_id"] == canister


@pytest.mark.parametrize("sender", [OWNER, STRANGER, OTHER_OPERATOR])
def test_only_who_holds_the_lease_starts_over(sender: Principal) -> None:
    world, lease, canister = final()
    kind = "Busy" if sender == OTHER_OPERATOR else "Unauthorized"
    assert world.err("start_over", lease, sender=sender)["kind"] == Case(kind)
    assert world.status()["canister_id"] == canister


def test_there_is_nothing_to_start_over_without_a_canister() -> None:
    world = World()
    lease = world.exporting()
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("InvalidRequest")
