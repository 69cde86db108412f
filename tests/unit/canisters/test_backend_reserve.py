"""The reserve: what is available, what a creation needs, when admins are told."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from canister_factory.factory.funding import DEAREST_PRICES
from support.backend_world import ADMIN, OPERATOR, OWNER, SECOND_NS, TRILLION, World, failure, person
from support.reserve_figures import CREATION_BASE, FIRST_PART, RESERVE, needed


def settings(**changes: Any) -> dict[str, Any]:
    return RESERVE.model_dump() | changes


def test_available_is_the_real_balance_without_minimum_and_creations_in_flight() -> None:
    world = World(cycles=50 * TRILLION)
    world.capsule()
    world.add_memory(1_000)
    world.request()
    reserve = world.reserve()
    held = needed(1_000).total
    assert reserve["balance"] == world.backend_state.balance
    assert reserve["in_flight"] == held
    assert reserve["available"] == reserve["balance"] - 2 * TRILLION - held
    assert (reserve["alert_level"], reserve["recommended_top_up"]) == (Case("Normal"), 0)


def test_cycles_deposited_in_any_way_count() -> None:
    world = World(cycles=50 * TRILLION)
    before = world.reserve()["available"]
    world.manage("provisional_top_up_canister", {"canister_id": world.backend, "amount": TRILLION}, sender=OWNER)
    assert world.reserve()["available"] == before + TRILLION


def deposit(world: World, amount: int) -> None:
    world.manage("provisional_top_up_canister", {"canister_id": world.backend, "amount": amount}, sender=OWNER)


def test_deposits_that_no_call_told_of_are_counted_less_the_running_costs() -> None:
    world = World()
    assert world.reserve()["total_topped_up"] == 0
    deposit(world, 5 * TRILLION)
    # The first one less what the installation may have held back, which a canister can't know.
    first = world.reserve()["total_topped_up"]
    assert 3.3 * TRILLION <= first <= 5 * TRILLION
    world.ok("set_reserve_threshold", TRILLION, sender=ADMIN)
    for _ in range(2):
        deposit(world, TRILLION)
    later = world.reserve()["total_topped_up"]
    assert 1.99 * TRILLION < later - first <= 2 * TRILLION
    world.ok("set_reserve_threshold", 2 * TRILLION, sender=ADMIN)
    counted = world.reserve()["total_topped_up"]
    assert 1.9 * TRILLION < counted - first <= 2 * TRILLION
    world.upgrade_backend()
    assert 0 <= counted - world.reserve()["total_topped_up"] < TRILLION // 100  # what the upgrade cost
    world.top_up(TRILLION, sender=ADMIN)
    assert 0 <= counted + TRILLION - world.reserve()["total_topped_up"] < TRILLION // 100


def test_what_creations_take_and_give_back_is_no_deposit() -> None:
    world = World(canisters=2)
    for name in (
        "first",
        "second",
        "third",
    ):  # there is room for one besides the backend: the others get their cycles back
        owner = person(name)
        lease = world.exporting(owner)
        world.call("provision_canister", lease, sender=OPERATOR)
        world.ok("set_reserve_threshold", TRILLION, sender=ADMIN)
    assert world.reserve()["total_consumed"] == FIRST_PART
    assert world.reserve()["total_topped_up"] == 0


@pytest.mark.parametrize("together", [1, 5, 20])
def test_what_the_system_holds_back_for_calls_under_way_is_no_deposit(together: int) -> None:
    """Each call has a maximum held back until its answer comes; that much then seems to come in."""
    world = World()
    leases = []
    for number in range(together):
        owner = person(f"owner-{number}")
        world.request(owner)
        leases.append(world.claim(owner))
        world.ok("begin_export", leases[-1], False, sender=OPERATOR)
    for lease in leases:
        world.start("provision_canister", lease, sender=OPERATOR)
    # Executed in the same round, while all of them wait for the management canister.
    world.start("set_reserve_threshold", TRILLION, sender=ADMIN)
    world.run()
    assert world.reserve()["total_consumed"] == together * FIRST_PART
    assert world.reserve()["total_topped_up"] == 0
    deposit(world, TRILLION)
    assert world.reserve()["total_topped_up"] <= TRILLION


def test_running_costs_make_the_count_smaller_never_larger() -> None:
    world = World()
    given = 0
    for number in range(12):
        # What a month costs, more or less; then a deposit, or none.
        world.backend_state.balance -= number * TRILLION // 20
        if number % 3 == 0:
            world.ok("set_reserve_threshold", number, sender=ADMIN)
        deposit(world, (number % 2) * TRILLION)
        given += (number % 2) * TRILLION
        assert world.reserve()["total_topped_up"] <= given
    assert world.reserve()["total_topped_up"] > given - (12 * TRILLION // 2)


@pytest.mark.parametrize(("missing", "granted"), [(0, True), (1, False)])
def test_a_creation_is_granted_with_exactly_enough_and_refused_with_a_cycle_less(missing: int, granted: bool) -> None:
    """To an operator, who may see the reserve, and asks for a canister of its own."""
    world = World()
    world.capsule(OPERATOR)
    world.add_memory(123, OPERATOR)
    total = needed(123).total
    # What the message itself has cost when the balance is read is the same each time.
    world.backend_state.balance = 2 * TRILLION + total // 2
    seen = world.err("create_personal_canister", None, sender=OPERATOR)["available"]
    message_cost = total // 2 - seen
    world.backend_state.balance = 2 * TRILLION + message_cost + total - missing
    answer = world.call("create_personal_canister", None, sender=OPERATOR)
    assert answer.tag == ("Ok" if granted else "Err")
    if not granted:
        assert answer.value["kind"] == Case("ReserveInsufficient")
        assert (answer.value["needed"], answer.value["available"]) == (total, total - 1)
        assert str(total) in answer.value["message"]
        assert world.call("get_creation_status", sender=OPERATOR) is None


# --- who is told what the reserve has --------------------------------------------------------------------------------

SHORT = f"The reserve doesn't cover the {CREATION_BASE} cycles that this creation needs; an admin must top it up."


def test_an_owner_is_told_what_is_needed_and_admins_what_is_there_too() -> None:
    world = World(cycles=3 * TRILLION)
    world.capsule()
    for method, arguments in (("create_personal_canister", (None,)), ("migrate_capsule", ())):
        error = world.err(method, *arguments, sender=OWNER)
        assert (error["kind"], error["message"]) == (Case("ReserveInsufficient"), SHORT)
        assert (error["needed"], error["available"]) == (CREATION_BASE, None)
    [logged] = world.ok("list_errors", {}, sender=ADMIN)["items"]
    assert (logged["owner"], logged["error"]["needed"]) == (OWNER, CREATION_BASE)
    assert 0 < logged["error"]["available"] < TRILLION
    assert str(logged["error"]["available"]) in logged["error"]["message"]


def test_requests_that_are_refused_fill_no_more_than_a_line_a_minute_of_the_log() -> None:
    world = World(cycles=3 * TRILLION)
    owners = [OWNER, person("another")]
    for owner in owners:
        world.capsule(owner)
    for _ in range(3):
        for owner in owners:
            world.err("create_personal_canister", None, sender=owner)
        world.advance(30)
    assert len(world.ok("list_errors", {}, sender=ADMIN)["items"]) == 2


def test_a_creation_that_failed_for_want_of_cycles_tells_its_owner_nothing_of_the_reserve() -> None:
    """However the operator words it: what it was told itself, it may pass on."""
    world = World()
    lease = world.exporting()
    told = {
        "kind": Case("ReserveInsufficient"),
        "message": "The reserve has 424242 cycles available",
        "needed": CREATION_BASE,
        "available": 424242,
        "retry_helps": True,
    }
    seen_by_operator = world.ok("fail_creation", lease, told, sender=OPERATOR)
    seen_by_admin = world.ok("get_user_creation_status", OWNER, sender=ADMIN)
    for detailed in (seen_by_operator, seen_by_admin):
        assert (detailed["error"]["message"], detailed["error"]["available"]) == (told["message"], 424242)
    assert (world.status()["error"]["message"], world.status()["error"]["available"]) == (SHORT, None)
    assert world.call("get_creation_status", sender=OWNER)["message"] == SHORT
    for method in (
        "get_creation_status",
        "get_migration_status",
        "get_detailed_creation_status",
        "get_detailed_migration_status",
    ):
        assert "424242" not in repr(world.call(method, sender=OWNER)), method


def test_other_failures_are_told_to_the_owner_as_they_are() -> None:
    world = World()
    world.ok("fail_creation", world.exporting(), failure("InstallFailed", "the module trapped"), sender=OPERATOR)
    assert world.status()["error"]["message"] == world.status()["progress_message"] == "the module trapped"


def test_what_open_requests_hold_is_not_promised_twice() -> None:
    world = World(cycles=4 * TRILLION)
    world.request()
    other = person("second-owner")
    world.capsule(other)
    assert world.err("create_personal_canister", None, sender=other)["kind"] == Case("ReserveInsufficient")
    [logged] = world.ok("list_errors", {}, sender=ADMIN)["items"]
    assert logged["error"]["available"] < CREATION_BASE


def test_provisioning_checks_again_because_the_capsule_may_have_grown() -> None:
    world = World(cycles=5 * TRILLION)
    world.request()
    lease = world.claim()
    world.add_memory(1_000_000)
    world.ok(
        "set_reserve_settings",
        settings(prices=DEAREST_PRICES.model_copy(update={"import_byte": 10_000_000}).model_dump()),
        sender=ADMIN,
    )
    world.ok("begin_export", lease, False, sender=OPERATOR)
    error = world.err("provision_canister", lease, sender=OPERATOR)
    assert error["kind"] == Case("ReserveInsufficient")
    assert 10**13 < error["needed"] < CREATION_BASE + 1.01 * 10**13
    assert error["stage"] == Case("Exporting")
    assert world.stage() == "Exporting"
    [logged] = world.ok("list_errors", {}, sender=ADMIN)["items"]
    assert (logged["owner"], logged["error"]) == (OWNER, error)


def test_the_threshold_can_be_set_alone() -> None:
    world = World(reserve=settings(threshold=7))
    world.ok("set_reserve_threshold", 9, sender=ADMIN)
    assert world.reserve()["settings"] == settings(threshold=9)


def test_a_top_up_needs_cycles_with_the_call() -> None:
    world = World()
    assert "No cycles" in world.err("top_up_reserve", sender=ADMIN)["message"]


def test_cycles_that_come_with_a_top_up_are_accepted_and_counted() -> None:
    world = World()
    before = world.reserve()
    accepted = world.top_up(3 * TRILLION, sender=ADMIN)
    assert accepted == Case("Ok", 3 * TRILLION)
    after = world.reserve()
    assert after["total_topped_up"] == 3 * TRILLION
    assert 0 < before["available"] + 3 * TRILLION - after["available"] < TRILLION // 1_000


@pytest.mark.parametrize(
    ("times_threshold", "level"),
    [(1.01, "Normal"), (0.99, "Warning"), (0.51, "Warning"), (0.5, "Critical"), (0.1, "Critical")],
)
def test_the_alert_level_follows_what_is_available(times_threshold: float, level: str) -> None:
    world = World(cycles=50 * TRILLION)
    threshold = 10 * TRILLION
    world.ok("set_reserve_settings", settings(threshold=threshold, operating_minimum=0), sender=ADMIN)
    # Without an operating minimum the backend still keeps what it must not be frozen with.
    world.backend_state.balance = int(times_threshold * threshold) + world.reserve()["frozen"]
    reserve = world.reserve()
    assert reserve["alert_level"] == Case(level)
    if level == "Normal":
        assert reserve["recommended_top_up"] == 0
    else:
        assert reserve["available"] + reserve["recommended_top_up"] == 2 * threshold


def test_the_recommendation_makes_up_for_a_balance_under_the_operating_minimum() -> None:
    world = World(cycles=50 * TRILLION)
    world.ok("set_reserve_settings", settings(operating_minimum=60 * TRILLION), sender=ADMIN)
    reserve = world.reserve()
    assert reserve["available"] == 0
    assert reserve["balance"] + reserve["recommended_top_up"] == (60 + 2 * 5) * TRILLION


def kinds(world: World) -> list[Any]:
    return [note["kind"].tag for note in world.ok("list_notifications", {}, sender=ADMIN)["items"]]


def test_admins_are_told_once_per_change_of_the_level_not_once_per_request() -> None:
    world = World(cycles=30 * TRILLION)
    world.ok("set_reserve_threshold", 30 * TRILLION, sender=ADMIN)
    assert kinds(world) == ["ReserveWarning"]
    for number in range(3):
        world.request(person(f"owner-{number}"))
    assert kinds(world) == ["ReserveWarning"]
    world.ok("set_reserve_threshold", 60 * TRILLION, sender=ADMIN)
    assert kinds(world) == ["ReserveCritical", "ReserveWarning"]
    world.ok("set_reserve_threshold", TRILLION, sender=ADMIN)
    assert kinds(world) == ["ReserveCritical", "ReserveWarning"]
    world.ok("set_reserve_threshold", 30 * TRILLION, sender=ADMIN)
    assert kinds(world) == ["ReserveWarning", "ReserveCritical", "ReserveWarning"]


def test_a_notification_says_how_much_to_add_and_remembers_who_acknowledged_it() -> None:
    world = World(cycles=30 * TRILLION)
    world.ok("set_reserve_threshold", 30 * TRILLION, sender=ADMIN)
    [note] = world.ok("list_notifications", {}, sender=ADMIN)["items"]
    assert "Add " in note["message"]
    world.ok("acknowledge_notification", note["id"], sender=ADMIN)
    [note] = world.ok("list_notifications", {}, sender=ADMIN)["items"]
    assert note["acknowledged_by"] == ADMIN
    assert world.err("acknowledge_notification", 99, sender=ADMIN)["kind"] == Case("InvalidRequest")


def test_consumption_is_logged_newest_first_and_reported_over_a_window() -> None:
    world = World()
    _, first = world.provisioned(person("first"))
    world.advance(7_200)
    _, second = world.provisioned(person("second"))
    entries = world.ok("list_consumption", {}, sender=ADMIN)["items"]
    assert [entry["canister_id"] for entry in entries] == [second, first]
    page = world.ok("list_consumption", {"limit": 1}, sender=ADMIN)
    assert page == {"items": entries[:1], "next": entries[0]["id"]}
    rest = world.ok("list_consumption", {"after": page["next"]}, sender=ADMIN)
    assert rest == {"items": entries[1:], "next": None}
    day = world.ok("get_consumption_report", None, sender=ADMIN)
    assert (day["consumed_in_window"], day["creations_in_window"]) == (2 * FIRST_PART, 2)
    hour = world.ok("get_consumption_report", 3_600 * SECOND_NS, sender=ADMIN)
    assert (hour["consumed_in_window"], hour["creations_in_window"]) == (FIRST_PART, 1)
    assert hour["recommendation"] == "Nothing to do."
    assert hour["reserve"] == world.reserve()
