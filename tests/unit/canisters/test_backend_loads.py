"""A backend that was put back to an earlier state pays no second time what it has paid since."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from support.backend_world import ADMIN, OPERATOR, OWNER, World
from support.loaded_backend import got, later, owed, snapshot, switch
from support.reserve_figures import COMPLETION, CREATION_BASE, FIRST_PART, hide_statuses

SEALED_S = 200


def notices(world: World) -> list[str]:
    items = world.ok("list_notifications", {}, sender=ADMIN)["items"]
    return [item["message"] for item in items if item["kind"] == Case("DepositUnknown")]


def show_status(world: World, canister: Principal) -> None:
    """The owner lets the backend see the canister's status."""
    viewers = {"status_visibility": Case("allowed_viewers", [world.backend])}
    world.manage("update_settings", {"canister_id": canister, "settings": viewers}, sender=OWNER)


@pytest.mark.parametrize("is_paid", [True, False])
def test_what_was_owed_in_the_state_that_was_loaded_is_paid_at_an_admins_word_only(is_paid: bool) -> None:
    world = World()
    hide_statuses(world)
    canister = owed(world)
    load = snapshot(world)
    if is_paid:
        switch(world, True)
        later(world)
    before = got(world, canister)
    assert before == (CREATION_BASE if is_paid else FIRST_PART)
    load()
    switch(world, True)
    for _ in range(3):
        later(world)
    assert (got(world, canister), world.reserve()["in_flight"]) == (before, 0)
    [notice] = notices(world)
    assert f"{canister} of {OWNER} may have got the {COMPLETION} cycles" in notice
    assert "admin pay-rest" in notice

    if not is_paid:
        world.ok("pay_rest", OWNER, sender=ADMIN)
        assert (got(world, canister), world.reserve()["in_flight"]) == (CREATION_BASE, 0)
        acts = world.ok("list_audit_log", {}, sender=ADMIN)["items"]
        assert ("pay_rest", str(OWNER)) in [(act["method"], act["what"]) for act in acts]
        refused = world.err("pay_rest", OWNER, sender=ADMIN)
        assert "Nothing of it waits" in refused["message"]
        later(world)
        assert got(world, canister) == CREATION_BASE


@pytest.mark.parametrize("is_paid", [True, False])
def test_where_the_backend_sees_what_the_canister_has_it_pays_what_lacks(is_paid: bool) -> None:
    world = World()
    canister = owed(world)
    show_status(world, canister)
    load = snapshot(world)
    if is_paid:
        switch(world, True)
        later(world)
        assert got(world, canister) > FIRST_PART
    before = got(world, canister)
    load()
    switch(world, True)
    later(world)
    assert (notices(world), world.reserve()["in_flight"]) == ([], 0)
    more = got(world, canister) - before
    assert (more < COMPLETION // 100) if is_paid else (more > COMPLETION // 2)
    assert abs(world.status()["paid_until"] - world.now_ns - 365 * 86_400 * 10**9) < 86_400 * 10**9


@pytest.mark.parametrize("is_paid", [True, False])
def test_an_admins_word_pays_no_more_than_what_the_backend_sees_to_be_lacking(is_paid: bool) -> None:
    """The owner lets it see that only after it was asked for the first time, as when it has another id."""
    world = World()
    canister = owed(world)
    load = snapshot(world)
    if is_paid:
        switch(world, True)
        later(world)
    hidden = {"status_visibility": Case("controllers")}
    world.manage("update_settings", {"canister_id": canister, "settings": hidden}, sender=OWNER)
    load()
    switch(world, True)
    later(world)
    assert len(notices(world)) == 1
    before = got(world, canister)
    show_status(world, canister)
    world.ok("pay_rest", OWNER, sender=ADMIN)
    more = got(world, canister) - before
    assert (more < COMPLETION // 100) if is_paid else (COMPLETION // 2 < more < COMPLETION)
    assert world.reserve()["in_flight"] == 0
    assert "Nothing of it waits" in world.err("pay_rest", OWNER, sender=ADMIN)["message"]


def test_a_creation_that_was_open_in_that_state_is_completed_again_and_not_paid_again() -> None:
    world = World()
    hide_statuses(world)
    lease, canister = world.verified()
    load = snapshot(world)
    world.hand_over(canister, OWNER)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert got(world, canister) == CREATION_BASE
    load()
    later(world, SEALED_S)
    later(world)
    assert (world.stage(), got(world, canister)) == ("Completed", CREATION_BASE)
    assert len(notices(world)) == 1


def test_a_canister_that_is_handed_over_afterwards_gets_its_cycles_as_ever() -> None:
    world = World()
    hide_statuses(world)
    lease, canister = world.verified()
    load = snapshot(world)
    load()
    world.advance(1)
    world.hand_over(canister, OWNER)
    world.ok("complete_creation", lease, sender=OPERATOR)
    later(world)
    assert (got(world, canister), notices(world)) == (CREATION_BASE, [])
    assert "Nothing of it waits" in world.err("pay_rest", OWNER, sender=ADMIN)["message"]


def test_nothing_is_paid_before_the_network_has_told_what_was_loaded() -> None:
    world = World()
    hide_statuses(world)
    canister = owed(world)
    methods = world.subnet._management._methods
    usual = methods["canister_info"]
    asked: list[int] = []

    def silent(request: Any, argument: Any) -> Any:
        if Principal(argument["canister_id"].bytes) == world.backend:
            asked.append(world.now_ns)
            raise CanisterError(RejectCode.SYS_TRANSIENT, "a test's")
        return usual(request, argument)

    methods["canister_info"] = silent
    world.upgrade_backend()
    switch(world, True)
    asked.clear()
    later(world)
    assert (got(world, canister), len(asked)) == (FIRST_PART, 1), "once a minute, whatever is owed"
    methods["canister_info"] = usual
    later(world)
    assert (got(world, canister), notices(world)) == (CREATION_BASE, [])


def test_a_canister_that_was_deleted_meanwhile_leaves_nothing_to_decide() -> None:
    world = World()
    canister = owed(world)
    load = snapshot(world)
    for method in ("stop_canister", "delete_canister"):
        world.manage(method, {"canister_id": canister}, sender=OWNER)
    load()
    switch(world, True)
    later(world)
    assert (notices(world), world.reserve()["in_flight"]) == ([], 0)
    assert world.ok("get_registry_entry", canister, sender=ADMIN)["found_deleted_at"] is not None
    assert "Nothing of it waits" in world.err("pay_rest", OWNER, sender=ADMIN)["message"]


def test_where_nobody_answers_the_backend_looks_again() -> None:
    world = World()
    canister = owed(world)
    show_status(world, canister)
    snapshot(world)()
    methods = world.subnet._management._methods
    usual = methods["canister_status"]

    def silent(_request: Any, _argument: Any) -> Any:
        raise CanisterError(RejectCode.SYS_TRANSIENT, "a test's")

    methods["canister_status"] = silent
    switch(world, True)
    later(world)
    assert (got(world, canister), notices(world)) == (FIRST_PART, [])
    assert world.reserve()["in_flight"] > 0
    methods["canister_status"] = usual
    later(world)
    assert got(world, canister) > FIRST_PART
