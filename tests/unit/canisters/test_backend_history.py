"""What was done to a canister before it is its owner's, as the backend finds out, and what follows from it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    OPERATOR,
    OWNER,
    STRANGER,
    World,
    another_build,
    encode_args,
    failure,
    interface,
    wasm,
)
from support.reserve_figures import FIRST_PART


@pytest.mark.parametrize(
    ("controllers", "problem"),
    [((STRANGER,), "is no operator"), ((OWNER, STRANGER), "is no operator"), ((), "without a controller")],
)
def test_controllers_that_no_creation_sets_end_the_creation(controllers: tuple[Any, ...], problem: str) -> None:
    world = World()
    lease, canister = world.verified()
    world.hand_over(canister, *controllers)
    error = world.err("complete_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["canister_id"], error["stage"]) == (Case("HistoryFailed"), canister, Case("Verifying"))
    assert "change 3 of 3, controllers_change by " in error["message"]
    assert problem in error["message"]
    assert world.stage() == "Failed"
    assert world.call("get_my_personal_canister_id", sender=OWNER) is None


def test_a_module_that_is_no_approved_release_ends_the_creation() -> None:
    world = World()
    lease, canister = world.copied()
    world.ok("begin_export", lease, True, sender=OPERATOR)
    world.finalize(canister)
    error = world.err("verify_creation", lease, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("HistoryFailed"), True)
    assert hashlib.sha256(wasm("personal")).hexdigest() in error["message"]
    status = world.status()
    assert (status["status"], status["error"], status["lost_canisters"]) == (Case("Failed"), error, [canister])


def test_a_release_that_was_revoked_after_verification_is_completed_since_the_owner_has_it_already() -> None:
    world = World()
    lease, canister = world.verified()
    world.ok("revoke_release", hashlib.sha256(wasm("personal")).digest(), sender=ADMIN)
    world.hand_over(canister, OWNER)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert world.stage() == "Completed"


def test_an_operator_that_exchanges_the_module_after_verification_is_found_out() -> None:
    world = World()
    lease, canister = world.verified()
    init = encode_args(interface("personal").init_args, [{"owner": OWNER, "backend": world.backend}])
    world.install(canister, another_build("personal"), init, OPERATOR, Case("upgrade", None))
    world.hand_over(canister, OWNER)
    assert world.err("complete_creation", lease, sender=OPERATOR)["kind"] == Case("HistoryFailed")


def test_what_the_owner_does_after_the_handoff_does_not_hinder_the_completion() -> None:
    world = World()
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    init = encode_args(interface("personal").init_args, [{"owner": OWNER, "backend": world.backend}])
    world.install(canister, another_build("personal"), init, OWNER, Case("reinstall"))
    settings = {"controllers": [STRANGER, OWNER]}
    world.manage("update_settings", {"canister_id": canister, "settings": settings}, sender=OWNER)
    world.manage("uninstall_code", {"canister_id": canister}, sender=STRANGER)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert world.stage() == "Completed"


def test_a_canister_that_failed_otherwise_stays_that_of_its_creation() -> None:
    world = World()
    lease, canister = world.verified()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    assert world.request()["canister_id"] == canister
    assert world.status()["lost_canisters"] == []


def test_a_lost_canister_is_replaced_and_stays_on_the_books_until_too_many_are_lost() -> None:
    world = World()
    lost = []
    for attempt in range(3):
        lease, canister = world.verified()
        world.hand_over(canister, OWNER, STRANGER)
        error = world.err("complete_creation", lease, sender=OPERATOR)
        lost.append(canister)
        status = world.status()
        assert (status["canister_id"], status["lost_canisters"]) == (None, lost)
        assert status["cycles_consumed"] == (attempt + 1) * FIRST_PART == world.reserve()["total_consumed"]
        assert world.reserve()["in_flight"] == 0
        entry = world.ok("get_registry_entry", canister, sender=ADMIN)
        assert (entry["status"], entry["cycles_consumed"]) == (Case("Failed"), FIRST_PART)
    refusal = world.err("create_personal_canister", None, sender=OWNER)
    assert (refusal["kind"], refusal["retry_helps"]) == (error["kind"], False)
    assert "clear_creation_state" in refusal["message"]
    assert world.reserve()["in_flight"] == 0
    world.ok("clear_creation_state", OWNER, sender=ADMIN)
    assert world.completed() not in lost
