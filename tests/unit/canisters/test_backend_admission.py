"""Who gets a personal canister: everybody, those on a list, or those whom an admin approves."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    ANONYMOUS,
    OPERATOR,
    OTHER_OPERATOR,
    OWNER,
    STRANGER,
    TRILLION,
    World,
    failure,
    person,
)
from support.reserve_figures import CREATION_BASE

WAITS = "Requested; waits for approval by an admin."


def asked(admission: str, owner: Principal = OWNER, **init: Any) -> World:
    """A backend with this rule, and an owner with a capsule who has asked."""
    world = World(admission=Case(admission), **init)
    world.capsule(owner)
    world.call("create_personal_canister", {"name": "mine"}, sender=owner)
    return world


def waiting(world: World) -> list[Principal]:
    page = world.ok("list_waiting_requests", {}, sender=OPERATOR)
    return [request["owner"] for request in page["items"]]


def open_requests(world: World) -> list[Principal]:
    return [request["owner"] for request in world.ok("list_open_requests", {}, sender=OPERATOR)["items"]]


def test_a_backend_is_open_unless_something_else_is_asked_for() -> None:
    assert World().call("get_admission", sender=STRANGER) == Case("Open")
    world = World(admission=Case("Approval"))
    assert world.call("get_admission", sender=STRANGER) == Case("Approval")
    world.ok("set_admission", Case("Listed"), sender=ADMIN)
    world.upgrade_backend()
    assert world.call("get_admission", sender=STRANGER) == Case("Listed")


def test_an_owner_who_is_not_on_the_list_is_refused_and_nothing_is_held() -> None:
    world = asked("Listed")
    error = world.err("create_personal_canister", None, sender=OWNER)
    assert (error["kind"], error["retry_helps"]) == (Case("NotAdmitted"), False)
    assert "not on the list" in error["message"]
    assert world.call("get_creation_status", sender=OWNER) is None
    assert world.reserve()["in_flight"] == 0
    world.ok("add_admitted", OWNER, sender=ADMIN)
    assert world.ok("create_personal_canister", None, sender=OWNER)["message"] == "Requested; waiting for a worker."
    assert open_requests(world) == [OWNER]


def test_who_is_taken_off_the_list_keeps_what_is_in_progress_and_gets_no_new_attempt() -> None:
    world = World(admission=Case("Listed"))
    world.ok("add_admitted", OWNER, sender=ADMIN)
    lease, _canister = world.provisioned()
    world.ok("remove_admitted", OWNER, sender=ADMIN)
    world.ok("renew_lease", lease, sender=OPERATOR)
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    assert world.err("create_personal_canister", None, sender=OWNER)["kind"] == Case("NotAdmitted")


def test_the_list_is_shown_page_by_page_and_nobody_is_on_it_twice() -> None:
    world = World()
    owners = [person(f"owner-{number}") for number in range(5)]
    for owner in [*owners, owners[0]]:
        world.ok("add_admitted", owner, sender=ADMIN)
    first = world.ok("list_admitted", {"limit": 2}, sender=OPERATOR)
    assert (first["items"], first["next"], first["total"]) == (sorted(owners)[:2], sorted(owners)[1], 5)
    rest = world.ok("list_admitted", {"after": first["next"], "limit": 3}, sender=OPERATOR)
    assert (rest["items"], rest["next"]) == (sorted(owners)[2:], None)
    assert world.err("add_admitted", ANONYMOUS, sender=ADMIN)["kind"] == Case("InvalidRequest")


def test_a_request_that_waits_holds_nothing_and_no_operator_gets_it() -> None:
    world = asked("Approval")
    assert world.status()["status"] == Case("NotStarted")
    assert (world.status()["progress_message"], world.status()["attempts"]) == (WAITS, 0)
    assert (waiting(world), open_requests(world)) == ([OWNER], [])
    assert world.reserve()["in_flight"] == 0
    error = world.err("claim_creation", {"owner": OWNER, "worker": "w"}, sender=OPERATOR)
    assert (error["kind"], error["retry_helps"]) == (Case("NotAdmitted"), True)
    again = world.ok("create_personal_canister", None, sender=OWNER)
    assert (again["success"], again["message"]) == (True, WAITS)
    assert waiting(world) == [OWNER]


def test_an_approved_request_goes_on_as_if_it_had_been_made_then() -> None:
    world = asked("Approval")
    world.upgrade_backend()
    approved = world.ok("approve_creation", OWNER, sender=ADMIN)
    assert (approved["progress_message"], approved["attempts"]) == ("Requested; waiting for a worker.", 1)
    assert (waiting(world), open_requests(world)) == ([], [OWNER])
    assert world.reserve()["in_flight"] == CREATION_BASE
    assert world.status()["config"]["name"] == "mine"
    world.completed()
    assert world.stage() == "Completed"
    assert world.err("approve_creation", OWNER, sender=ADMIN)["kind"] == Case("InvalidRequest")


def test_an_approval_serves_for_retries_but_not_for_another_canister_after_a_loss() -> None:
    world = asked("Approval")
    world.ok("approve_creation", OWNER, sender=ADMIN)
    lease, canister = world.provisioned()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    world.ok("create_personal_canister", None, sender=OWNER)
    assert open_requests(world) == [OWNER]
    lease = world.claim()
    world.ok("provision_canister", lease, sender=OPERATOR)
    world.hand_over(canister, OPERATOR, OWNER, STRANGER)
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("HistoryFailed")
    world.ok("create_personal_canister", None, sender=OWNER)
    assert (waiting(world), world.reserve()["in_flight"]) == ([OWNER], 0)


def test_a_declined_request_has_failed_for_the_reason_given_and_waits_again_when_asked_again() -> None:
    world = asked("Approval")
    declined = world.ok("decline_creation", OWNER, "not now", sender=ADMIN)
    assert declined["status"] == Case("Failed")
    error = world.status()["error"]
    assert (error["kind"], error["retry_helps"]) == (Case("Declined"), False)
    assert error["message"] == "An admin declined the request: not now"
    assert (waiting(world), open_requests(world)) == ([], [])
    assert world.ok("list_notifications", {}, sender=ADMIN)["items"] == []
    assert world.err("decline_creation", OWNER, "", sender=ADMIN)["kind"] == Case("InvalidRequest")
    world.ok("create_personal_canister", None, sender=OWNER)
    assert waiting(world) == [OWNER]


def test_of_a_request_that_only_waited_nothing_is_left_when_its_owner_cancels_it() -> None:
    world = asked("Approval")
    ended = world.ok("cancel_personal_canister", sender=OWNER)
    assert (ended["status"], ended["error"]["kind"]) == (Case("Failed"), Case("Cancelled"))
    assert world.call("get_creation_status", sender=OWNER) is None
    assert (waiting(world), world.ok("list_all_creation_states", {}, sender=ADMIN)["total"]) == ([], 0)
    assert world.err("approve_creation", OWNER, sender=ADMIN)["kind"] == Case("InvalidRequest")


def test_cancelling_makes_nobody_forget_that_a_request_was_declined_before() -> None:
    world = asked("Approval")
    world.ok("decline_creation", OWNER, "no", sender=ADMIN)
    world.ok("create_personal_canister", None, sender=OWNER)
    world.ok("cancel_personal_canister", sender=OWNER)
    assert world.stage() == "Failed"
    world.ok("clear_creation_state", OWNER, sender=ADMIN)


def test_an_approval_that_the_reserve_cannot_pay_leaves_the_request_waiting() -> None:
    world = asked("Approval", cycles=3 * TRILLION)
    error = world.err("approve_creation", OWNER, sender=ADMIN)
    assert error["kind"] == Case("ReserveInsufficient")
    assert error["available"] < error["needed"] == CREATION_BASE
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    assert world.err("approve_creation", OWNER, sender=ADMIN)["kind"] == Case("Disabled")
    assert (waiting(world), world.reserve()["in_flight"]) == ([OWNER], 0)


@pytest.mark.parametrize("admission", ["Open", "Approval"])
def test_who_waits_is_started_when_asking_again_is_enough(admission: str) -> None:
    world = asked("Approval")
    if admission == "Open":
        world.ok("set_admission", Case("Open"), sender=ADMIN)
    else:
        world.ok("add_admitted", OWNER, sender=ADMIN)
    assert waiting(world) == [OWNER]
    world.ok("create_personal_canister", None, sender=OWNER)
    assert (waiting(world), open_requests(world)) == ([], [OWNER])


def test_who_waits_goes_on_waiting_when_a_list_takes_the_place_of_approval() -> None:
    world = asked("Approval")
    world.ok("set_admission", Case("Listed"), sender=ADMIN)
    assert world.ok("create_personal_canister", None, sender=OWNER)["message"] == WAITS
    world.ok("approve_creation", OWNER, sender=ADMIN)
    assert open_requests(world) == [OWNER]


def test_requests_wait_in_their_order_and_are_shown_page_by_page() -> None:
    world = World(admission=Case("Approval"))
    owners = [person(name) for name in ("zoe", "ana", "max")]
    for owner in owners:
        world.request(owner)
        world.advance(1)
    first = world.ok("list_waiting_requests", {"limit": 2}, sender=ADMIN)
    assert [request["owner"] for request in first["items"]] == owners[:2]
    rest = world.ok("list_waiting_requests", {"after": first["next"]}, sender=ADMIN)
    assert [request["owner"] for request in rest["items"]] == owners[2:]


def test_admins_alone_decide_and_what_they_decided_is_in_the_audit_log() -> None:
    world = asked("Approval")
    for caller in (STRANGER, OWNER, OPERATOR, OTHER_OPERATOR):
        assert world.err("approve_creation", OWNER, sender=caller)["kind"] == Case("Unauthorized")
        assert world.err("decline_creation", OWNER, "no", sender=caller)["kind"] == Case("Unauthorized")
    world.err("approve_creation", STRANGER, sender=ADMIN)
    world.ok("approve_creation", OWNER, sender=ADMIN)
    world.ok("set_admission", Case("Open"), sender=ADMIN)
    acts = [(act["method"], act["what"]) for act in world.ok("list_audit_log", {}, sender=ADMIN)["items"]]
    assert acts == [("set_admission", "#Open"), ("approve_creation", str(OWNER))]
