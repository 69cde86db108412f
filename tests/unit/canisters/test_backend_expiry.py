"""Warnings before the cycles of a personal canister end: at their dates, once each, to admins and to the owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, OPERATOR, OWNER, TRILLION, World, person

DAY = 86_400
DAY_NS = DAY * 10**9


def completed(world: World, owner: Principal = OWNER) -> tuple[Principal, int]:
    """A personal canister that is its owner's, and the date until which it is paid (nanoseconds since 1970). Its status
    is shown to nobody else, as after a handoff without the owner's consent.
    """
    lease, canister = world.verified(owner)
    world.hand_over(canister, owner)
    hidden = {"status_visibility": Case("controllers")}
    world.manage("update_settings", {"canister_id": canister, "settings": hidden}, sender=owner)
    world.ok("complete_creation", {"owner": owner, "lease": lease["lease"]}, sender=OPERATOR)
    world.run()
    until = world.status(owner)["paid_until"]
    assert until is not None
    return canister, until


def go_to(world: World, moment_ns: int) -> None:
    """Time passes until then, and the backend looks: each jump of a day fires its daily timer once."""
    while world.now_ns < moment_ns:
        world.now_ns = min(world.now_ns + DAY_NS, moment_ns)
        world.run()


def warnings(world: World) -> list[tuple[Principal | None, int | None]]:
    """What admins were warned of, the oldest first: canister and date."""
    items: Sequence[dict[str, Any]] = world.ok("list_notifications", {}, sender=ADMIN)["items"]
    found = [item for item in items if item["kind"] == Case("CanisterExpires")]
    return [(item["subject"], item["until"]) for item in reversed(found)]


def test_admins_are_warned_90_30_and_7_days_before_the_date_once_each() -> None:
    world = World()
    canister, until = completed(world)
    counts = []
    for days in (92, 88, 32, 28, 9, 5, 1):
        go_to(world, until - days * DAY_NS)
        counts.append(len(warnings(world)))
    assert counts == [0, 1, 1, 2, 2, 3, 3]
    assert warnings(world) == [(canister, until)] * 3
    (message, *_) = [item["message"] for item in world.ok("list_notifications", {}, sender=ADMIN)["items"]]
    assert str(canister) in message
    assert str(OWNER) in message
    assert "7 days are left at most" in message


def test_the_owner_sees_the_mark_and_nobody_else_than_staff() -> None:
    world = World()
    _, until = completed(world)
    seen = []
    for days in (91, 89, 29, 6):
        world.now_ns = until - days * DAY_NS
        seen.append(world.call("get_detailed_creation_status", sender=OWNER)["expires_within_days"])
    assert seen == [None, 90, 30, 7]
    assert world.status()["expires_within_days"] == 7


def show_status(world: World, canister: Principal) -> None:
    """The owner lets the backend see the canister's status."""
    viewers = {"status_visibility": Case("allowed_viewers", [world.backend])}
    world.manage("update_settings", {"canister_id": canister, "settings": viewers}, sender=OWNER)


def test_a_top_up_that_the_backend_may_see_moves_the_date_before_anybody_is_warned() -> None:
    world = World()
    canister, until = completed(world)
    show_status(world, canister)
    world.state(canister).balance += 50 * TRILLION
    go_to(world, until - 88 * DAY_NS)
    status = world.status()
    assert warnings(world) == []
    assert status["expires_within_days"] is None
    assert status["paid_until"] > until + 365 * DAY_NS
    assert world.ok("get_registry_entry", canister, sender=ADMIN)["paid_until"] == status["paid_until"]


@pytest.mark.parametrize("days", [88, 5, -20], ids=["after the first", "after the last", "after the date"])
def test_a_top_up_after_a_warning_moves_the_date_too_and_warnings_come_anew(days: int) -> None:
    world = World()
    canister, until = completed(world)
    show_status(world, canister)
    go_to(world, until - days * DAY_NS)
    warned = len(warnings(world))
    world.state(canister).balance += 50 * TRILLION
    go_to(world, world.now_ns + DAY_NS)
    moved = world.status()["paid_until"]
    assert moved > until + 365 * DAY_NS
    assert world.status()["expires_within_days"] is None
    assert len(warnings(world)) == warned
    world.now_ns = moved - 92 * DAY_NS
    go_to(world, moved - 85 * DAY_NS)
    assert len(warnings(world)) == warned + 1


def test_what_use_takes_from_a_canister_repeats_no_warning() -> None:
    world = World()
    canister, until = completed(world)
    show_status(world, canister)
    go_to(world, until - 88 * DAY_NS)
    for _ in range(5):
        world.state(canister).balance -= world.state(canister).balance // 100
        go_to(world, world.now_ns + DAY_NS)
    assert len(warnings(world)) == 1


def test_a_top_up_that_it_may_not_see_leaves_the_date_that_it_knows() -> None:
    world = World()
    canister, until = completed(world)
    world.state(canister).balance += 50 * TRILLION
    go_to(world, until - 88 * DAY_NS)
    assert warnings(world) == [(canister, until)]
    assert world.status()["paid_until"] == until


def test_an_upgrade_neither_repeats_nor_forgets_a_warning() -> None:
    world = World()
    canister, until = completed(world)
    go_to(world, until - 88 * DAY_NS)
    world.upgrade_backend()
    go_to(world, world.now_ns + 2 * DAY_NS)
    assert len(warnings(world)) == 1
    world.now_ns = until - 29 * DAY_NS
    world.upgrade_backend()
    world.advance(61)
    world.run()
    assert warnings(world) == [(canister, until)] * 2, "it looks a minute after an upgrade, not a day"


def test_what_is_not_its_owners_yet_is_not_warned_of() -> None:
    world = World()
    world.verified()
    go_to(world, world.now_ns + 3 * 365 * DAY_NS)
    assert warnings(world) == []


@pytest.mark.parametrize("count", [3])
def test_each_canister_is_warned_of_by_name(count: int) -> None:
    world = World()
    dates = dict(completed(world, person(f"owner-{number}")) for number in range(count))
    go_to(world, max(dates.values()) - 89 * DAY_NS)
    assert dict(warnings(world)) == dates
