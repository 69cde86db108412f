"""The audit log: every change that an admin makes is in it once, with who, when and what."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import ADMIN, CONTROLLER, OPERATOR, OWNER, STRANGER, World, failure, method_of
from support.doors import doors
from support.loaded_backend import doubted
from support.role_calls import ADMIN_ONLY

CHANGES = [door.method for door in doors() if door.backend == "admin"]


def acts(world: World, **page: Any) -> list[dict[str, Any]]:
    """What is in the log, newest first."""
    items: list[dict[str, Any]] = world.ok("list_audit_log", page, sender=ADMIN)["items"]
    return items


def prepared() -> World:
    """A backend with a creation that failed, and so with a notification."""
    world = World()
    lease = world.exporting()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    return world


def test_the_methods_of_admins_are_those_that_change_something() -> None:
    updates = {name for name in ADMIN_ONLY if "query" not in method_of("backend", name).modes}
    assert set(CHANGES) == updates


@pytest.mark.parametrize("method", CHANGES)
def test_a_change_is_in_the_log_once_and_a_refused_one_is_not(method: str) -> None:
    world = prepared()
    before = acts(world)
    for caller in (STRANGER, OPERATOR, OWNER):
        world.err(method, *ADMIN_ONLY[method], sender=caller)
    assert acts(world) == before
    if method == "abort_creation":
        world.request()  # another attempt, since only what is in progress can be aborted
    if method == "pay_rest":
        doubted(world := World())
        before = acts(world)
    if method in ("approve_creation", "decline_creation"):
        world.ok("set_admission", Case("Approval"), sender=ADMIN)
        world.request()
        before = acts(world)
    if method == "top_up_reserve":
        world.top_up(10**12, ADMIN)
    else:
        world.ok(method, *ADMIN_ONLY[method], sender=ADMIN)
    newest, *older = acts(world)
    assert older == before
    assert (newest["method"], newest["by"], newest["at"]) == (method, ADMIN, world.now_ns)
    assert newest["what"]


def test_what_was_done_says_to_whom_and_with_what() -> None:
    world = World()
    world.ok("add_operator", STRANGER, sender=CONTROLLER)
    world.ok("set_creation_limits", {"max_in_progress": 7, "max_per_hour": 11}, sender=ADMIN)
    limits, operator = acts(world)[:2]
    assert (operator["by"], operator["what"]) == (CONTROLLER, STRANGER.to_str())
    assert "max_in_progress = 7" in limits["what"]


def test_an_abortion_says_whose_creation_and_why() -> None:
    world = World()
    world.request()
    world.ok("abort_creation", OWNER, "asked by mail", sender=ADMIN)
    assert acts(world)[0]["what"] == f'{OWNER.to_str()}, "asked by mail"'


def test_a_change_that_makes_no_sense_is_not_in_the_log() -> None:
    world = prepared()
    before = acts(world)
    world.err("abort_creation", OWNER, "it has failed already", sender=ADMIN)
    world.err("set_creation_limits", {"max_in_progress": 0, "max_per_hour": 0}, sender=ADMIN)
    world.err("top_up_reserve", sender=ADMIN)
    assert acts(world) == before


def test_the_log_is_read_in_pages_by_the_staff_alone_and_survives_an_upgrade() -> None:
    world = World()
    for number in range(5):
        world.ok("set_reserve_threshold", number, sender=ADMIN)
    first = world.ok("list_audit_log", {"limit": 2}, sender=OPERATOR)
    second = world.ok("list_audit_log", {"limit": 2, "after": first["next"]}, sender=OPERATOR)
    assert [act["what"] for act in first["items"] + second["items"]] == ["4", "3", "2", "1"]
    assert world.err("list_audit_log", {}, sender=OWNER)["kind"] == Case("Unauthorized")
    whole = acts(world)
    world.upgrade_backend()
    assert acts(world) == whole


def test_long_arguments_are_kept_as_far_as_a_thousand_characters() -> None:
    world = World()
    note = "x" * 400
    world.ok("register_release", {"module_hash": bytes(32), "api_version": "1.0.0", "note": note}, sender=ADMIN)
    (act, *_) = acts(world)
    assert note in act["what"]
    assert len(act["what"]) <= 1_000
