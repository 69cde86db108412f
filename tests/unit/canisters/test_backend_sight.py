"""What the backend sees of canisters that are their owners': kept with the registry's entry, if the owner consents."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.contract.creation_models import MOST_LOOKED_AT
from support.backend_world import (
    ADMIN,
    OPERATOR,
    OWNER,
    STRANGER,
    TRILLION,
    World,
    encode_args,
    interface,
    person,
    wasm,
)

DAY = 86_400
DAY_NS = DAY * 10**9
AGAIN_S = 601
"""After so long what was seen is looked at again."""
MOST_AN_HOUR = 1_000


def hand_on(world: World, owner: Principal = OWNER, *, consent: bool = True) -> Principal:
    """A canister that is its owner's, and that the backend may see or not."""
    canister = world.completed(owner)
    show(world, canister, owner, consent=consent)
    return canister


def show(world: World, canister: Principal, owner: Principal = OWNER, *, consent: bool) -> None:
    """The owner says whether the backend may see the canister."""
    audience = Case("allowed_viewers", [world.backend]) if consent else Case("controllers")
    settings = {"status_visibility": audience}
    world.manage("update_settings", {"canister_id": canister, "settings": settings}, sender=owner)


def delete(world: World, canister: Principal, owner: Principal = OWNER) -> None:
    for step in ("stop_canister", "delete_canister"):
        world.manage(step, {"canister_id": canister}, sender=owner)


def a_day_later(world: World) -> None:
    """The backend looks once a day."""
    world.advance(DAY)
    world.run()


def entry(world: World, canister: Principal) -> dict[str, Any]:
    found: dict[str, Any] = world.ok("get_registry_entry", canister, sender=ADMIN)
    return found


def look(world: World, *canisters: Principal, sender: Principal = OPERATOR) -> Any:
    return world.ok("look_at_canisters", list(canisters), sender=sender)


def warnings(world: World) -> int:
    items = world.ok("list_notifications", {}, sender=ADMIN)["items"]
    return sum(item["kind"] == Case("CanisterExpires") for item in items)


def test_with_consent_the_backend_remembers_what_each_canister_had_and_burned_at_its_last_look() -> None:
    world = World()
    canister = hand_on(world)
    assert entry(world, canister)["seen"] is None
    a_day_later(world)
    seen = entry(world, canister)["seen"]
    status = world.manage("canister_status", {"canister_id": canister}, sender=OWNER)
    assert seen["at"] == world.now_ns
    assert status["cycles"] <= seen["cycles"] < status["cycles"] + TRILLION // 100
    assert seen["burned_per_day"] == status["idle_cycles_burned_per_day"] > 0
    world.state(canister).balance += TRILLION
    a_day_later(world)
    later = entry(world, canister)["seen"]
    assert later["at"] == seen["at"] + DAY_NS
    assert later["cycles"] > seen["cycles"]


def test_what_a_canister_used_up_moves_its_date_long_before_a_warning_is_due() -> None:
    world = World()
    canister = hand_on(world)
    until = entry(world, canister)["paid_until"]
    world.state(canister).balance = world.state(canister).balance * 2 // 3
    a_day_later(world)
    moved = entry(world, canister)["paid_until"]
    assert world.now_ns + 91 * DAY_NS < moved < until - 30 * DAY_NS
    assert world.status()["paid_until"] == moved


def test_the_date_goes_by_the_freezing_threshold_that_the_owner_chose() -> None:
    world = World()
    canister = hand_on(world)
    a_day_later(world)
    until = entry(world, canister)["paid_until"]
    longer = {"canister_id": canister, "settings": {"freezing_threshold": 190 * DAY}}
    world.manage("update_settings", longer, sender=OWNER)
    a_day_later(world)
    assert entry(world, canister)["paid_until"] == pytest.approx(until - 100 * DAY_NS, abs=DAY_NS)


def test_without_consent_nothing_is_seen_and_what_was_seen_is_forgotten_when_the_owner_takes_it_back() -> None:
    world = World()
    hidden = hand_on(world, person("hidden"), consent=False)
    shown = hand_on(world)
    a_day_later(world)
    assert entry(world, hidden)["seen"] is None
    assert entry(world, shown)["seen"] is not None
    show(world, shown, consent=False)
    until = entry(world, shown)["paid_until"]
    a_day_later(world)
    assert (entry(world, shown)["seen"], entry(world, shown)["paid_until"]) == (None, until)


@pytest.mark.parametrize("consent", [True, False], ids=["shown", "hidden"])
def test_a_deleted_canister_is_known_as_such_and_nobody_is_warned_of_it(consent: bool) -> None:
    world = World()
    canister = hand_on(world, consent=consent)
    until = entry(world, canister)["paid_until"]
    assert entry(world, canister)["found_deleted_at"] is None
    delete(world, canister)
    a_day_later(world)
    found = entry(world, canister)
    assert (found["found_deleted_at"], found["paid_until"], found["seen"]) == (world.now_ns, None, None)
    assert (world.status()["paid_until"], world.status()["expires_within_days"]) == (None, None)
    world.now_ns = until - 89 * DAY_NS
    a_day_later(world)
    assert warnings(world) == 0
    assert entry(world, canister)["found_deleted_at"] == found["found_deleted_at"]


def test_a_canister_that_was_deleted_after_a_warning_is_not_warned_of_again() -> None:
    world = World()
    canister = hand_on(world, consent=False)
    world.now_ns = entry(world, canister)["paid_until"] - 89 * DAY_NS
    a_day_later(world)
    delete(world, canister)
    a_day_later(world)
    world.advance(60 * DAY)
    a_day_later(world)
    assert warnings(world) == 1


@pytest.mark.parametrize("consent", [True, False], ids=["shown", "hidden"])
def test_a_canister_whose_cycles_are_used_up_is_known_to_be_empty_until_something_is_in_it_again(consent: bool) -> None:
    world = World()
    canister = hand_on(world, consent=consent)
    world.now_ns = entry(world, canister)["paid_until"] + DAY_NS
    world.state(canister).balance = 1
    a_day_later(world)
    assert world.state(canister).module is None, "the network has taken all"
    a_day_later(world)
    found = entry(world, canister)
    assert found["found_deleted_at"] is not None
    assert (found["paid_until"], found["seen"]) == (None, None)
    warned = warnings(world)
    a_day_later(world)
    assert entry(world, canister) == found
    assert warnings(world) == warned
    world.manage("provisional_top_up_canister", {"canister_id": canister, "amount": 10 * TRILLION}, sender=OWNER)
    arg = encode_args(interface("personal").init_args, [{"owner": OWNER, "backend": world.backend}])
    world.install(canister, wasm("personal"), arg, OWNER)
    a_day_later(world)
    again = entry(world, canister)
    assert again["found_deleted_at"] is None
    assert (again["seen"] is not None) == (again["paid_until"] is not None) == consent


def test_an_owner_who_asks_about_the_old_side_of_a_deleted_canister_has_the_registry_know_it() -> None:
    world = World()
    canister = hand_on(world)
    delete(world, canister)
    assert "deleted" in world.err("request_erasure", None, sender=OWNER)["message"]
    found = entry(world, canister)
    assert (found["found_deleted_at"], found["paid_until"]) == (world.now_ns, None)


@pytest.mark.parametrize("staff", [ADMIN, OPERATOR], ids=["admin", "operator"])
def test_the_staff_have_some_canisters_looked_at_now(staff: Principal) -> None:
    world = World()
    owners = [person(f"owner-{number}") for number in range(3)]
    shown, hidden, gone = (hand_on(world, owner, consent=owner != owners[1]) for owner in owners)
    delete(world, gone, owners[2])
    found = look(world, gone, hidden, shown, person("unknown"), sender=staff)
    assert [each["canister_id"] for each in found] == [gone, hidden, shown]
    assert found == [entry(world, each) for each in (gone, hidden, shown)]
    assert [each["found_deleted_at"] for each in found] == [world.now_ns, None, None]
    assert [each["seen"] and each["seen"]["at"] for each in found] == [None, None, world.now_ns]


def test_what_was_seen_some_minutes_ago_is_not_looked_at_again() -> None:
    world = World()
    canister = hand_on(world)
    [first] = look(world, canister)
    world.state(canister).balance += TRILLION
    assert look(world, canister) == [first]
    world.advance(AGAIN_S)
    [later] = look(world, canister)
    assert later["seen"]["at"] == world.now_ns
    assert later["seen"]["cycles"] > first["seen"]["cycles"]


def test_the_staff_can_not_have_the_backend_pay_for_more_than_so_many_looks_an_hour() -> None:
    world = World()
    canister = hand_on(world, consent=False)
    for _ in range(MOST_AN_HOUR // MOST_LOOKED_AT):
        look(world, *[canister] * MOST_LOOKED_AT)
    show(world, canister, consent=True)
    [refused] = look(world, canister)
    assert refused["seen"] is None
    world.advance(3_601)
    [again] = look(world, canister)
    assert again["seen"]["at"] == world.now_ns


def test_a_message_names_few_canisters_and_only_the_staff_send_it() -> None:
    world = World()
    canister = hand_on(world)
    refused = world.err("look_at_canisters", [canister] * (MOST_LOOKED_AT + 1), sender=ADMIN)
    assert (refused["kind"], refused["retry_helps"]) == (Case("InvalidRequest"), False)
    for other in (OWNER, STRANGER):
        assert world.err("look_at_canisters", [canister], sender=other)["kind"] == Case("Unauthorized")
    assert entry(world, canister)["seen"] is None


def test_what_is_not_its_owners_is_not_looked_at() -> None:
    world = World()
    _, canister = world.verified()
    [found] = look(world, canister)
    assert (found["status"], found["seen"]) == (Case("Verifying"), None)
    a_day_later(world)
    assert entry(world, canister)["seen"] is None


def test_an_upgrade_keeps_what_was_seen() -> None:
    world = World()
    canister, gone = hand_on(world), hand_on(world, person("another"))
    delete(world, gone, person("another"))
    a_day_later(world)
    before = [entry(world, each) for each in (canister, gone)]
    world.upgrade_backend()
    assert [entry(world, each) for each in (canister, gone)] == before
