"""The two parts of a creation's cycles: held at the request, given at the creation and at the completion, booked once.

What a canister really got is compared with the books in each case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.management_interface import method_type
from canister_factory.replica.subnet.messages import Request
from support.backend_world import (
    ADMIN,
    CONTROLLER,
    MANAGEMENT,
    OPERATOR,
    OWNER,
    STRANGER,
    TRILLION,
    RejectedError,
    World,
    encode_args,
    failure,
)
from support.reserve_figures import COMPLETION, CREATION_BASE, FIRST_PART, RESERVE, hide_statuses, needed

MINUTE = 61


def set_reserve(world: World, **changes: int) -> None:
    world.ok("set_reserve_settings", world.reserve()["settings"] | changes, sender=ADMIN)


def got(world: World, canister: Principal) -> int:
    """All that the canister ever got, its creation's fee included."""
    state = world.state(canister)
    return int(state.balance + sum(state.consumed.values()))


def check_books(world: World) -> None:
    """Total, registry, log, statuses and the day's budget say what canisters got; the backend lacks just that."""
    reserve = world.reserve()
    registry = {
        each["canister_id"]: each["cycles_consumed"] for each in world.ok("list_registry", {}, sender=ADMIN)["items"]
    }
    for canister, cycles in registry.items():
        if canister.bytes in world.subnet.canisters:
            assert got(world, canister) == cycles
    assert reserve["total_consumed"] == sum(registry.values()) == reserve["spent_in_day"]
    entries = world.ok("list_consumption", {}, sender=ADMIN)["items"]
    assert {each["canister_id"]: each["attached"] - each["refunded"] for each in entries} == registry
    states = world.ok("list_all_creation_states", {}, sender=ADMIN)["items"]
    assert sum(state["cycles_consumed"] for state in states) == reserve["total_consumed"]
    assert got(world, world.backend) == 100 * TRILLION - reserve["total_consumed"]


def handed_over(world: World) -> tuple[dict[str, Any], Principal]:
    """By a network that tells the backend no statuses, so that the second part is what the prices say."""
    hide_statuses(world)
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    return lease, canister


def notices(world: World) -> list[dict[str, Any]]:
    items = world.ok("list_notifications", {}, sender=ADMIN)["items"]
    return [item for item in items if item["kind"] == Case("DepositUnknown")]


def test_both_parts_are_held_from_the_request_on_and_the_second_until_the_completion() -> None:
    world = World()
    world.request()
    assert world.reserve()["in_flight"] == CREATION_BASE
    lease, canister = handed_over(world)
    assert (world.reserve()["in_flight"], world.reserve()["total_consumed"]) == (COMPLETION, FIRST_PART)
    assert got(world, canister) == FIRST_PART
    check_books(world)
    completed = world.ok("complete_creation", lease, sender=OPERATOR)
    assert completed["cycles_consumed"] == CREATION_BASE == got(world, canister)
    assert world.reserve()["in_flight"] == 0
    check_books(world)
    assert len(world.ok("list_consumption", {}, sender=ADMIN)["items"]) == 1


def test_a_creation_that_the_backend_completes_by_itself_gets_the_second_part_too() -> None:
    world = World()
    lease, canister = handed_over(world)
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    assert world.reserve()["in_flight"] == 0
    world.advance(200)
    world.run()
    assert world.stage() == "Completed"
    assert (got(world, canister), world.reserve()["in_flight"]) == (CREATION_BASE, 0)
    check_books(world)


def test_a_lost_canister_takes_the_first_part_only_and_the_books_know_it() -> None:
    world = World()
    lease, canister = world.provisioned()
    world.hand_over(canister, OPERATOR, OWNER, STRANGER)
    assert world.err("start_over", lease, sender=OPERATOR)["kind"] == Case("HistoryFailed")
    assert (world.reserve()["in_flight"], world.reserve()["total_consumed"]) == (0, FIRST_PART)
    check_books(world)
    hide_statuses(world)
    other = world.completed()
    assert (got(world, canister), got(world, other)) == (FIRST_PART, CREATION_BASE)
    assert world.status()["cycles_consumed"] == FIRST_PART + CREATION_BASE
    check_books(world)


def test_a_retry_holds_what_its_canister_still_gets() -> None:
    world = World()
    lease, canister = world.provisioned()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    assert world.reserve()["in_flight"] == 0
    world.ok("create_personal_canister", None, sender=OWNER)
    assert world.reserve()["in_flight"] == COMPLETION
    world.ok("fail_creation", world.claim(), failure(), sender=OPERATOR)
    set_reserve(world, operating_minimum=10**15)
    assert world.err("create_personal_canister", None, sender=OWNER)["kind"] == Case("ReserveInsufficient")
    assert got(world, canister) == FIRST_PART
    check_books(world)


def test_a_creation_that_was_rejected_holds_both_parts_again() -> None:
    world = World(canisters=1)
    lease = world.exporting()
    assert world.err("provision_canister", lease, sender=OPERATOR)["kind"] == Case("CreateFailed")
    assert (world.reserve()["in_flight"], world.reserve()["total_consumed"]) == (CREATION_BASE, 0)
    world.ok("cancel_personal_canister", sender=OWNER)
    assert world.reserve()["in_flight"] == 0


@pytest.mark.parametrize("is_upgraded", [False, True])
def test_what_is_owed_while_everything_is_stopped_is_paid_when_it_goes_on(is_upgraded: bool) -> None:
    world = World()
    lease, canister = handed_over(world)
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert (world.stage(), got(world, canister), world.reserve()["in_flight"]) == ("Completed", FIRST_PART, COMPLETION)
    assert world.err("undo_personal_canister", None, sender=OWNER)["kind"] == Case("Busy")
    if is_upgraded:
        world.upgrade_backend()
    world.advance(MINUTE)
    world.run()
    assert got(world, canister) == FIRST_PART
    world.ok("set_personal_canister_creation_enabled", True, sender=ADMIN)
    world.advance(MINUTE)
    world.run()
    assert (got(world, canister), world.reserve()["in_flight"]) == (CREATION_BASE, 0)
    check_books(world)
    for _ in range(3):
        world.advance(MINUTE)
        world.run()
    assert got(world, canister) == CREATION_BASE, "it is paid once"
    assert world.err("undo_personal_canister", None, sender=OWNER)["kind"] == Case("TooEarly"), (
        "the payment is no reason"
    )


def test_what_the_reserve_cannot_pay_is_owed_until_it_can() -> None:
    world = World()
    lease, canister = handed_over(world)
    set_reserve(world, operating_minimum=10**15)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert (world.stage(), got(world, canister), world.reserve()["in_flight"]) == ("Completed", FIRST_PART, COMPLETION)
    set_reserve(world, operating_minimum=2 * TRILLION)
    world.advance(MINUTE)
    world.run()
    assert got(world, canister) == CREATION_BASE
    check_books(world)


def test_a_canister_that_its_owner_deletes_gets_nothing_and_the_cycles_are_back() -> None:
    world = World()
    lease, canister = handed_over(world)
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    world.ok("complete_creation", lease, sender=OPERATOR)
    world.manage("stop_canister", {"canister_id": canister}, sender=OWNER)
    world.manage("delete_canister", {"canister_id": canister}, sender=OWNER)
    world.ok("set_personal_canister_creation_enabled", True, sender=ADMIN)
    world.advance(MINUTE)
    world.run()
    assert (world.reserve()["in_flight"], world.reserve()["total_consumed"]) == (0, FIRST_PART)
    check_books(world)
    assert notices(world) == []
    entry = world.ok("get_registry_entry", canister, sender=ADMIN)
    assert (entry["found_deleted_at"], entry["paid_until"]) == (world.now_ns, None)
    assert world.status()["paid_until"] is None


def test_a_canister_that_its_owner_stops_gets_its_cycles_all_the_same() -> None:
    world = World()
    lease, canister = handed_over(world)
    world.ok("set_personal_canister_creation_enabled", False, sender=ADMIN)
    world.ok("complete_creation", lease, sender=OPERATOR)
    world.manage("stop_canister", {"canister_id": canister}, sender=OWNER)
    world.ok("set_personal_canister_creation_enabled", True, sender=ADMIN)
    world.advance(MINUTE)
    world.run()
    assert got(world, canister) == CREATION_BASE
    check_books(world)


def test_a_canister_gets_what_it_is_created_with_and_then_all_its_days_however_many() -> None:
    world = World()
    set_reserve(world, funded_days=30_000)
    lease, canister = handed_over(world)
    assert got(world, canister) == FIRST_PART
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert got(world, canister) == needed(0, RESERVE.model_copy(update={"funded_days": 30_000})).total
    check_books(world)


def test_where_no_days_are_paid_for_nothing_follows() -> None:
    world = World()
    set_reserve(world, funded_days=0)
    lease, canister = handed_over(world)
    assert (got(world, canister), world.reserve()["in_flight"]) == (FIRST_PART, 0)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert got(world, canister) == FIRST_PART
    check_books(world)


def test_a_backend_that_is_told_to_stop_during_the_completion_pays_before_it_has_stopped() -> None:
    world = World()
    lease, canister = handed_over(world)
    request = world.start("complete_creation", lease, sender=OPERATOR)
    stop = encode_args(method_type("stop_canister").args, [{"canister_id": world.backend}])
    stopping = world.submit(MANAGEMENT, "stop_canister", stop, CONTROLLER)
    world.run()
    world.reply(stopping)
    assert world.finish("complete_creation", request).tag == "Ok"
    assert got(world, canister) == CREATION_BASE
    world.manage("start_canister", {"canister_id": world.backend}, sender=CONTROLLER)
    check_books(world)


# --- what the network may answer -------------------------------------------------------------------------------------


def answering(world: World, deposit: Callable[[Request, Any], Any]) -> None:
    """From now on `deposit` is what comes of calls of `deposit_cycles`."""
    world.subnet._management._methods["deposit_cycles"] = deposit


def rejecting(code: RejectCode, *, is_executed: bool = False) -> Callable[[Request, Any], Any]:
    """A rejection; `is_executed`: after the cycles arrived."""

    def deposit(request: Request, argument: Any) -> Any:
        if is_executed:
            request.cycles = 0
        raise CanisterError(code, "a test's")

    return deposit


def test_after_a_certain_reject_the_cycles_are_back_and_the_deposit_is_repeated() -> None:
    world = World()
    lease, canister = handed_over(world)
    usual = world.subnet._management._methods["deposit_cycles"]
    answering(world, rejecting(RejectCode.SYS_TRANSIENT))
    world.ok("complete_creation", lease, sender=OPERATOR)
    for _ in range(3):
        assert (world.stage(), got(world, canister)) == ("Completed", FIRST_PART)
        assert (world.reserve()["in_flight"], world.reserve()["total_consumed"]) == (COMPLETION, FIRST_PART)
        check_books(world)
        world.advance(MINUTE)
        world.run()
    answering(world, usual)
    world.upgrade_backend()
    world.advance(MINUTE)
    world.run()
    assert (got(world, canister), world.reserve()["in_flight"]) == (CREATION_BASE, 0)
    check_books(world)
    assert notices(world) == []


@pytest.mark.parametrize("how", ["told", "garbled"])
def test_an_unknown_outcome_is_named_to_the_admins_and_not_repeated(how: str) -> None:
    world = World()
    lease, canister = handed_over(world)
    usual = world.subnet._management._methods["deposit_cycles"]
    if how == "told":
        answering(world, rejecting(RejectCode.SYS_UNKNOWN, is_executed=True))
        world.ok("complete_creation", lease, sender=OPERATOR)
    else:
        handle = world.subnet._calls.builtins[MANAGEMENT.bytes]

        def garbled(request: Request) -> Any:
            answer = handle(request)
            if request.method != "deposit_cycles":
                return answer
            assert answer is not None
            return replace(answer, data=b"no Candid")

        world.subnet._calls.builtins[MANAGEMENT.bytes] = garbled
        with pytest.raises(RejectedError):
            world.ok("complete_creation", lease, sender=OPERATOR)
        world.subnet._calls.builtins[MANAGEMENT.bytes] = handle
    answering(world, usual)
    before = got(world, canister)
    assert world.stage() == "Completed"
    assert (world.reserve()["in_flight"], world.reserve()["total_consumed"]) == (0, CREATION_BASE)
    for _ in range(3):
        world.advance(MINUTE)
        world.run()
    assert got(world, canister) == before
    [notice] = notices(world)
    assert f"not known whether {canister} got the {COMPLETION} cycles" in notice["message"]
    assert world.err("undo_personal_canister", None, sender=OWNER)["kind"] == Case("TooEarly"), (
        "the payment is no reason"
    )
