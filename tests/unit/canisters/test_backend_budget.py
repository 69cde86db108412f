"""What creations may use of the reserve in a day, how often one owner may ask, and the switch that stops all of it."""

from __future__ import annotations

from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, OPERATOR, OWNER, STRANGER, TRILLION, World, failure, person
from support.reserve_figures import COMPLETION, CREATION_BASE, FIRST_PART, hide_statuses

DAY = 86_400
SLOT = 300
OWNERS = [person(f"owner-{number}") for number in range(4)]


def rich(cycles_per_day: int, **init: Any) -> World:
    """A backend whose reserve has much more than the day's budget; every owner has a capsule."""
    world = World(cycles=10**15, **init)
    budget(world, cycles_per_day)
    for owner in OWNERS:
        world.capsule(owner)
    return world


def budget(world: World, cycles_per_day: int) -> None:
    settings = world.reserve()["settings"] | {"cycles_per_day": cycles_per_day}
    world.ok("set_reserve_settings", settings, sender=ADMIN)


def refusal(world: World, owner: Principal) -> dict[str, Any]:
    error: dict[str, Any] = world.err("create_personal_canister", None, sender=owner)
    return error


def cancelled(world: World, owner: Principal = OWNER) -> None:
    """One attempt, given up by its owner."""
    world.ok("create_personal_canister", None, sender=owner)
    world.ok("cancel_personal_canister", sender=owner)


# --- the budget of a day ---------------------------------------------------------------------------------------------


def test_what_is_held_counts_to_the_budget_and_is_there_again_when_it_is_given_back() -> None:
    world = rich(2 * CREATION_BASE)
    for owner in OWNERS[:2]:
        world.request(owner)
    error = refusal(world, OWNERS[2])
    assert (error["kind"], error["retry_helps"], error["retry_at"]) == (Case("BudgetSpent"), True, None)
    assert world.reserve()["in_flight"] == 2 * CREATION_BASE
    world.ok("cancel_personal_canister", sender=OWNERS[0])
    world.request(OWNERS[2])


def test_a_day_takes_no_more_than_its_budget_and_the_refusal_says_when_there_is_room_again() -> None:
    world = rich(2 * CREATION_BASE)
    hide_statuses(world)
    world.approve()
    for owner in OWNERS[:2]:
        world.completed(owner)
        world.advance(3_600)
    reserve = world.reserve()
    assert (reserve["spent_in_day"], reserve["in_flight"]) == (2 * CREATION_BASE, 0)
    error = refusal(world, OWNERS[2])
    assert (error["kind"], error["retry_helps"], error["available"]) == (Case("BudgetSpent"), True, None)
    wait_seconds = (error["retry_at"] - world.now_ns) / 10**9
    assert DAY - 2 * 3_600 < wait_seconds <= DAY - 2 * 3_600 + SLOT
    assert str(2 * CREATION_BASE) not in error["message"]
    world.advance(wait_seconds - 1)
    assert refusal(world, OWNERS[2])["kind"] == Case("BudgetSpent")
    world.advance(1)
    world.provisioned(OWNERS[2])
    assert refusal(world, OWNERS[3])["kind"] == Case("BudgetSpent")
    assert world.reserve()["spent_in_day"] == CREATION_BASE + FIRST_PART


def test_admins_are_told_the_figures_of_the_budget_once_a_minute() -> None:
    world = rich(2 * CREATION_BASE)
    world.provisioned(OWNERS[0])
    world.request(OWNERS[1])
    for owner in OWNERS[2:]:
        refusal(world, owner)
    [entry] = world.ok("list_errors", {}, sender=ADMIN)["items"]
    assert entry["error"]["kind"] == Case("BudgetSpent")
    assert (entry["error"]["needed"], entry["error"]["available"]) == (CREATION_BASE, 0)
    for figure in (f"may use {2 * CREATION_BASE} cycles", f"used {FIRST_PART},", f"hold {CREATION_BASE + COMPLETION},"):
        assert figure in entry["error"]["message"]


def test_a_capsule_that_needs_more_than_a_day_has_is_refused_for_good() -> None:
    world = rich(CREATION_BASE - 1)
    error = refusal(world, OWNERS[0])
    assert (error["kind"], error["retry_helps"], error["retry_at"]) == (Case("BudgetSpent"), False, None)
    assert "an admin must raise it" in error["message"]


def test_cycles_that_came_back_are_not_spent() -> None:
    world = World(cycles=10**15, canisters=1)
    budget(world, CREATION_BASE)
    lease = world.exporting()
    assert world.err("provision_canister", lease, sender=OPERATOR)["kind"] == Case("CreateFailed")
    reserve = world.reserve()
    assert (reserve["spent_in_day"], reserve["in_flight"]) == (0, CREATION_BASE)
    world.ok("cancel_personal_canister", sender=OWNER)
    world.ok("create_personal_canister", None, sender=OWNER)


def test_what_was_admitted_waits_when_the_budget_is_lowered_and_goes_on_when_it_is_raised() -> None:
    world = rich(2 * CREATION_BASE)
    lease = world.exporting(OWNERS[0])
    budget(world, CREATION_BASE - 1)
    error = world.err("provision_canister", lease, sender=OPERATOR)
    assert error["kind"] == Case("BudgetSpent")
    assert world.stage(OWNERS[0]) == "Exporting"
    budget(world, CREATION_BASE)
    world.ok("provision_canister", lease, sender=OPERATOR)


def test_an_upgrade_forgets_nothing_of_what_a_day_has_taken() -> None:
    world = rich(CREATION_BASE)
    world.provisioned(OWNERS[0])
    world.upgrade_backend()
    assert refusal(world, OWNERS[1])["kind"] == Case("BudgetSpent")


def test_a_retry_with_the_canister_that_is_there_needs_no_budget() -> None:
    world = rich(CREATION_BASE)
    lease, canister = world.provisioned(OWNERS[0])
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    assert world.ok("create_personal_canister", None, sender=OWNERS[0])["canister_id"] == canister


# --- one owner's part ------------------------------------------------------------------------------------------------


def test_after_five_failures_in_a_row_each_further_one_doubles_the_pause() -> None:
    world = World()
    world.capsule()
    for _ in range(5):
        cancelled(world)
    for pause in (60, 120, 240, 480):
        cancelled(world)
        error = refusal(world, OWNER)
        assert (error["kind"], error["retry_helps"]) == (Case("Busy"), True)
        assert error["retry_at"] == world.now_ns + pause * 10**9
        assert f"try again in {pause} s." in error["message"]
        world.advance(pause - 1)
        assert "try again in 1 s." in refusal(world, OWNER)["message"]
        world.advance(1)


def test_a_pause_is_a_day_at_most_and_a_longer_time_without_failures_makes_an_end_of_the_row() -> None:
    world = World()
    world.capsule()
    for _ in range(18):
        cancelled(world)
        world.advance(DAY)
    cancelled(world)
    error = refusal(world, OWNER)
    assert "The last 19 attempts failed" in error["message"]
    assert error["retry_at"] == world.now_ns + DAY * 10**9
    world.advance(DAY + 1)
    cancelled(world)
    cancelled(world)


def test_one_owner_takes_a_tenth_of_an_hour_and_leaves_the_rest_to_others() -> None:
    world = rich(10**15, limits={"max_in_progress": 100, "max_per_hour": 20})
    for _ in range(2):
        cancelled(world, OWNERS[0])
    error = refusal(world, OWNERS[0])
    assert (error["kind"], error["retry_at"]) == (Case("Busy"), world.now_ns + 3_600 * 10**9)
    assert "one owner's share of max_per_hour is 2" in error["message"]
    world.request(OWNERS[1])
    world.advance(3_600)
    world.request(OWNERS[0])


def test_an_owner_who_is_declined_again_and_again_has_to_wait_too() -> None:
    world = World(admission=Case("Approval"))
    world.capsule()
    for _ in range(6):
        world.ok("create_personal_canister", None, sender=OWNER)
        world.ok("decline_creation", OWNER, "no", sender=ADMIN)
    assert "try again in 60 s." in refusal(world, OWNER)["message"]


# --- the switch ------------------------------------------------------------------------------------------------------


def test_the_switch_stops_all_that_uses_cycles_and_what_is_open_goes_on_later() -> None:
    world = World()
    lease = world.exporting()
    waiting = world.request(STRANGER)
    assert waiting["success"] is True
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    for method, argument in (
        ("renew_lease", lease),
        ("provision_canister", lease),
        ("start_over", lease),
        ("claim_creation", {"owner": STRANGER, "worker": "w"}),
    ):
        error = world.err(method, argument, sender=OPERATOR)
        assert (error["kind"], error["retry_helps"]) == (Case("Disabled"), True), method
        assert "goes on when an admin enables it again" in error["message"]
    assert refusal(world, OWNER)["kind"] == Case("Disabled")
    assert (world.stage(), world.reserve()["total_consumed"]) == ("Exporting", 0)
    world.ok("release_lease", lease, sender=OPERATOR)
    world.ok("set_personal_canister_creation_enabled", True, sender=ADMIN)
    world.ok("provision_canister", world.claim(), sender=OPERATOR)
    assert world.reserve()["total_consumed"] == FIRST_PART


def test_what_is_verified_ends_though_the_switch_is_off() -> None:
    world = World()
    lease, canister = world.verified()
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    world.hand_over(canister, OWNER)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert world.stage() == "Completed"


def test_owners_and_admins_can_end_what_is_stopped() -> None:
    world = World()
    world.exporting()
    world.request(STRANGER)
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    world.ok("cancel_personal_canister", sender=OWNER)
    world.ok("abort_creation", STRANGER, "no more", sender=ADMIN)
    assert world.reserve()["in_flight"] == 0
    assert world.reserve()["balance"] > 90 * TRILLION
