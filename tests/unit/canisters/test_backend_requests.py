"""An owner asks for a personal canister, and everyone looks how far it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    ANONYMOUS,
    MANAGEMENT,
    OPERATOR,
    OWNER,
    STRANGER,
    RejectedError,
    World,
    failure,
    person,
)


def test_a_request_waits_for_a_worker_and_asking_again_changes_nothing() -> None:
    world = World()
    first = world.request()
    assert first == {"success": True, "canister_id": None, "message": "Requested; waiting for a worker."}
    before = world.status()
    assert world.ok("create_personal_canister", {"name": "other"}, sender=OWNER) == first
    assert world.status() == before
    assert before["status"] == Case("NotStarted")
    assert before["attempts"] == 1
    assert world.call("get_creation_status", sender=OWNER) == {
        "status": Case("NotStarted"),
        "canister_id": None,
        "message": "Requested; waiting for a worker.",
    }


def test_without_a_capsule_there_is_nothing_to_move() -> None:
    world = World()
    error = world.err("create_personal_canister", None, sender=OWNER)
    assert error["kind"] == Case("InvalidRequest")
    assert "register_capsule" in error["message"]
    assert world.call("get_creation_status", sender=OWNER) is None


def test_the_anonymous_caller_has_no_capsule() -> None:
    world = World()
    assert world.err("create_personal_canister", None, sender=ANONYMOUS)["kind"] == Case("Unauthorized")


def test_while_creation_is_disabled_every_request_is_refused_and_enabling_helps() -> None:
    world = World(creation_enabled=False)
    world.capsule()
    assert world.call("is_personal_canister_creation_enabled", sender=STRANGER) is False
    error = world.err("create_personal_canister", None, sender=OWNER)
    assert error["kind"] == Case("Disabled")
    assert error["retry_helps"] is True
    world.ok("set_personal_canister_creation_enabled", True, sender=ADMIN)
    assert world.request()["success"] is True
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    assert world.err("create_personal_canister", None, sender=OWNER)["kind"] == Case("Disabled")


@pytest.mark.parametrize("name", ["a", "x" * 100, "Ana's".replace("'", "-"), "Jörg 2_nd", "家族"])
def test_a_name_of_letters_digits_spaces_hyphens_and_underscores_is_kept(name: str) -> None:
    world = World()
    world.request(config={"name": name})
    assert world.status()["config"]["name"] == name


@pytest.mark.parametrize("name", ["", "x" * 101, "a/b", "tab\tbed", "<script>", "new\nline", "   "])
def test_any_other_name_is_refused(name: str) -> None:
    world = World()
    world.capsule()
    error = world.err("create_personal_canister", {"name": name}, sender=OWNER)
    assert error["kind"] == Case("InvalidRequest")
    assert "config.name" in error["message"]
    assert world.call("get_creation_status", sender=OWNER) is None


@pytest.mark.parametrize("subnet", [ANONYMOUS, MANAGEMENT])
def test_a_subnet_must_be_one(subnet: Principal) -> None:
    world = World()
    world.capsule()
    error = world.err("create_personal_canister", {"subnet_id": subnet}, sender=OWNER)
    assert "config.subnet_id" in error["message"]


def test_a_subnet_id_is_kept_with_the_creation() -> None:
    world = World()
    world.request(config={"subnet_id": person("subnet")})
    assert world.status()["config"] == {"name": None, "subnet_id": person("subnet"), "show_status": None}


def test_after_a_failure_a_request_is_a_new_attempt_on_the_same_canister() -> None:
    world = World()
    lease, canister = world.provisioned()
    consumed = world.status()["cycles_consumed"]
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    again = world.ok("create_personal_canister", None, sender=OWNER)
    assert again["canister_id"] == canister
    status = world.status()
    assert (status["status"], status["attempts"], status["error"]) == (Case("NotStarted"), 2, None)
    assert status["cycles_consumed"] == consumed
    lease = world.claim()
    world.ok("begin_export", lease, False, sender=OPERATOR)
    result = world.ok("provision_canister", lease, sender=OPERATOR)
    assert (result["canister_id"], result["is_new"]) == (canister, False)
    assert world.reserve()["total_consumed"] == consumed


def test_a_retry_needs_no_second_reserve_when_the_canister_is_there() -> None:
    world = World()
    lease, canister = world.provisioned()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    settings = {**world.reserve()["settings"], "funded_days": 36_000}
    world.ok("set_reserve_settings", settings, sender=ADMIN)
    assert world.ok("create_personal_canister", None, sender=OWNER)["canister_id"] == canister


def test_the_personal_canister_is_named_only_once_it_is_complete() -> None:
    world = World()
    world.provisioned()
    assert world.call("get_personal_canister_id", OWNER, sender=STRANGER) is None
    assert world.call("get_my_personal_canister_id", sender=OWNER) is None


def test_the_deprecated_names_do_the_same() -> None:
    world = World()
    world.capsule()
    world.ok("set_migration_enabled", False, sender=ADMIN)
    assert world.err("migrate_capsule", sender=OWNER)["kind"] == Case("Disabled")
    world.ok("set_migration_enabled", True, sender=ADMIN)
    assert world.ok("migrate_capsule", sender=OWNER)["success"] is True
    assert world.call("get_migration_status", sender=OWNER) == world.call("get_creation_status", sender=OWNER)
    assert world.call("get_detailed_migration_status", sender=OWNER) == world.status()
    stats = world.ok("get_migration_stats", sender=ADMIN)
    assert stats == world.ok("get_personal_canister_creation_stats", sender=ADMIN)
    assert stats["total_attempts"] == 1


def test_no_more_than_a_hundred_creations_are_in_progress() -> None:
    world = World(cycles=10**15)
    owners = [person(f"owner-{number}") for number in range(101)]
    for owner in owners[:100]:
        world.request(owner)
    world.capsule(owners[100])
    error = world.err("create_personal_canister", None, sender=owners[100])
    assert (error["kind"], error["retry_helps"]) == (Case("Busy"), True)
    assert "100" in error["message"]
    world.ok("fail_creation", world.claim(owners[0]), failure(), sender=OPERATOR)
    world.ok("create_personal_canister", None, sender=owners[100])


def test_no_more_than_a_thousand_attempts_are_made_within_an_hour() -> None:
    world = World()
    owners = [person(f"owner-{number}") for number in range(201)]
    for owner in owners[:200]:
        world.request(owner)
        for attempt in range(5):
            world.ok("cancel_personal_canister", sender=owner)
            if attempt < 4:
                world.ok("create_personal_canister", None, sender=owner)
    world.capsule(owners[200])
    assert world.err("create_personal_canister", None, sender=owners[200])["kind"] == Case("Busy")
    world.advance(3_600)
    world.ok("create_personal_canister", None, sender=owners[200])


def test_a_lower_limit_of_creations_in_progress_takes_effect_at_once_and_ends_nothing() -> None:
    world = World(cycles=10**15, limits={"max_in_progress": 3, "max_per_hour": 9})
    owners = [person(f"owner-{number}") for number in range(4)]
    for owner in owners[:2]:
        world.request(owner)
    world.ok("set_creation_limits", {"max_in_progress": 1, "max_per_hour": 9}, sender=ADMIN)
    world.capsule(owners[2])
    error = world.err("create_personal_canister", None, sender=owners[2])
    assert (error["kind"], error["retry_helps"]) == (Case("Busy"), True)
    assert "2 creations are in progress, and the limit is 1 (max_in_progress)" in error["message"]
    world.ok("begin_export", world.claim(owners[0]), False, sender=OPERATOR)
    world.ok("set_creation_limits", {"max_in_progress": 3, "max_per_hour": 9}, sender=ADMIN)
    world.ok("create_personal_canister", None, sender=owners[2])
    world.capsule(owners[3])
    assert world.err("create_personal_canister", None, sender=owners[3])["kind"] == Case("Busy")


def test_the_limit_of_an_hour_counts_the_attempts_that_were_made_before_it_was_set() -> None:
    world = World()
    world.request()
    world.ok("fail_creation", world.claim(), failure(), sender=OPERATOR)
    world.ok("set_creation_limits", {"max_in_progress": 100, "max_per_hour": 1}, sender=ADMIN)
    world.capsule(STRANGER)
    error = world.err("create_personal_canister", None, sender=STRANGER)
    assert (error["kind"], error["retry_helps"]) == (Case("Busy"), True)
    assert "limit of 1 creations requested within an hour (max_per_hour)" in error["message"]
    world.ok("set_creation_limits", {"max_in_progress": 100, "max_per_hour": 2}, sender=ADMIN)
    world.ok("create_personal_canister", None, sender=STRANGER)


def test_limits_are_shown_to_staff_and_have_defaults() -> None:
    defaults = {"max_in_progress": 100, "max_per_hour": 1_000}
    assert World().ok("get_creation_limits", sender=OPERATOR) == defaults
    given = {"max_in_progress": 2, "max_per_hour": 10_000}
    world = World(limits=given)
    assert world.ok("get_creation_limits", sender=ADMIN) == given
    world.ok("set_creation_limits", defaults, sender=ADMIN)
    assert world.ok("get_creation_limits", sender=OPERATOR) == defaults


@pytest.mark.parametrize(
    ("limits", "hint"),
    [
        ({"max_in_progress": 0, "max_per_hour": 1}, "call set_personal_canister_creation_enabled(false)"),
        ({"max_in_progress": 1, "max_per_hour": 0}, "call set_personal_canister_creation_enabled(false)"),
        ({"max_in_progress": 1, "max_per_hour": 10_001}, "it may be at most 10000"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused_at_installation_and_later(limits: dict[str, int], hint: str) -> None:
    world = World()
    error = world.err("set_creation_limits", limits, sender=ADMIN)
    assert error["kind"] == Case("InvalidRequest")
    assert hint in error["message"]
    assert world.ok("get_creation_limits", sender=ADMIN) == {"max_in_progress": 100, "max_per_hour": 1_000}
    with pytest.raises(RejectedError, match=re.escape(hint)):
        World(limits=limits)


# --- lists -----------------------------------------------------------------------------------------------------------


def pages(world: World, method: str, *args: Any, limit: int, sender: Principal = ADMIN) -> list[Any]:
    """The items of all pages."""
    items: list[Any] = []
    after = None
    while True:
        page = world.ok(method, *args, {"after": after, "limit": limit}, sender=sender)
        assert len(page["items"]) <= limit
        items += page["items"]
        after = page["next"]
        if after is None:
            return items


def test_states_are_listed_page_by_page_and_by_status() -> None:
    world = World(cycles=10**15)
    owners = [person(f"owner-{number}") for number in range(7)]
    for owner in owners:
        world.request(owner)
    for owner in owners[:3]:
        world.ok("fail_creation", world.claim(owner), failure(), sender=OPERATOR)
    listed = [state["owner"] for state in pages(world, "list_all_creation_states", limit=2)]
    assert listed == sorted(owners)
    assert world.ok("list_all_creation_states", {}, sender=OPERATOR)["total"] == 7
    failed = pages(world, "get_creation_states_by_status", Case("Failed"), limit=1)
    assert [state["owner"] for state in failed] == sorted(owners[:3])
    waiting = world.ok("get_creation_states_by_status", Case("NotStarted"), {}, sender=ADMIN)
    assert (waiting["total"], waiting["next"]) == (4, None)
    assert world.ok("get_user_creation_status", owners[0], sender=ADMIN)["status"] == Case("Failed")
    assert world.ok("get_user_creation_status", STRANGER, sender=ADMIN) is None


def test_open_requests_come_in_the_order_of_their_requests_and_a_retry_goes_to_the_end() -> None:
    world = World(cycles=10**15)
    owners = [person(name) for name in ("zoe", "ana", "max", "eva")]
    for owner in owners:
        world.request(owner)
        world.advance(1)
    world.ok("fail_creation", world.claim(owners[0]), failure(), sender=OPERATOR)
    world.ok("create_personal_canister", None, sender=owners[0])
    listed = pages(world, "list_open_requests", limit=1, sender=OPERATOR)
    assert [request["owner"] for request in listed] == [*owners[1:], owners[0]]


def test_an_open_request_shows_who_works_on_it_until_when() -> None:
    world = World()
    world.request()
    world.claim(worker="berlin-3")
    [request] = world.ok("list_open_requests", {}, sender=OPERATOR)["items"]
    assert (request["worker"], request["leased_until"]) == ("berlin-3", world.now_ns + 60 * 10**9)
    world.advance(60)
    [request] = world.ok("list_open_requests", {}, sender=OPERATOR)["items"]
    assert (request["worker"], request["leased_until"]) == (None, None)


def test_the_registry_follows_the_canister_and_survives_the_clearing_of_its_creation() -> None:
    world = World()
    lease, canister = world.provisioned()
    entry = world.ok("get_registry_entry", canister, sender=ADMIN)
    assert entry == {
        "canister_id": canister,
        "created_by": OWNER,
        "created_at": world.now_ns,
        "status": Case("Creating"),
        "cycles_consumed": world.status()["cycles_consumed"],
        "paid_until": None,
        "seen": None,
        "found_deleted_at": None,
    }
    assert world.err("clear_creation_state", OWNER, sender=ADMIN)["kind"] == Case("InvalidRequest")
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    world.ok("clear_creation_state", OWNER, sender=ADMIN)
    assert world.call("get_creation_status", sender=OWNER) is None
    [kept] = pages(world, "list_registry", limit=1)
    assert kept == {**entry, "status": Case("Failed")}
    assert world.err("clear_creation_state", OWNER, sender=ADMIN)["kind"] == Case("InvalidRequest")
    assert world.request()["canister_id"] is None
