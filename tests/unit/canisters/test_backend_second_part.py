"""The second part of a creation's cycles, and the date that it pays for, by what the network tells of the canister."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.factory.funding import DAY_S, life, paid_until_ns
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.messages import Request
from support.backend_world import ADMIN, MANAGEMENT, OPERATOR, OWNER, SECOND_NS, World
from support.reserve_figures import COMPLETION, FIRST_PART, HOSTING, RESERVE, hide_statuses

THRESHOLD_S = HOSTING.freezing_threshold
DAY_NS = DAY_S * SECOND_NS


def handed_over(world: World) -> tuple[dict[str, Any], Principal]:
    lease, canister = world.verified()
    world.hand_over(canister, OWNER)
    return lease, canister


def burned_per_day(world: World, canister: Principal) -> int:
    told = world.manage("canister_status", {"canister_id": canister}, sender=OWNER)
    return int(told["idle_cycles_burned_per_day"])


def rest_of(world: World) -> int:
    return int(world.status()["cycles_consumed"]) - FIRST_PART


def set_reserve(world: World, **changes: Any) -> None:
    world.ok("set_reserve_settings", world.reserve()["settings"] | changes, sender=ADMIN)


def test_the_canister_gets_what_it_lacks_of_its_days_and_not_all_that_was_held() -> None:
    world = World()
    lease, canister = handed_over(world)
    burned, before = burned_per_day(world, canister), world.state(canister).balance
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert abs(rest_of(world) - (life(365, THRESHOLD_S, burned) - before)) < burned
    assert 0 < rest_of(world) < COMPLETION
    assert world.reserve()["in_flight"] == 0
    until = world.status()["paid_until"]
    assert abs(until - world.now_ns - 365 * DAY_NS) < DAY_NS
    balance = world.state(canister).balance
    real = paid_until_ns(balance, burned, THRESHOLD_S, world.now_ns)
    assert real is not None
    assert abs(real - until) < DAY_NS


def test_the_status_is_read_before_the_verification_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker hands the canister over at once, and timers come late, as they do on a busy network."""
    world = World()
    monkeypatch.setattr(world.subnet, "execute_round", partial(world.subnet.execute_round, with_tasks=False))
    lease, canister = world.verified()
    hide_statuses(world)
    world.hand_over(canister, OWNER)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert 0 < rest_of(world) < COMPLETION


def test_it_gets_no_more_than_the_prices_allow_and_the_date_is_the_real_one() -> None:
    """Where they are lower than what is really burned."""
    world = World()
    cheap = RESERVE.prices.model_copy(update={"gib_second": 1, "idle_second": 2_000}).model_dump()
    set_reserve(world, prices=cheap | {"installation": 500_000_000_000})
    held = world.request() and world.reserve()["in_flight"]
    lease, canister = handed_over(world)
    first = world.status()["cycles_consumed"]
    completed = world.ok("complete_creation", lease, sender=OPERATOR)
    assert completed["cycles_consumed"] <= held
    burned, balance = burned_per_day(world, canister), world.state(canister).balance
    real = paid_until_ns(balance, burned, THRESHOLD_S, world.now_ns)
    assert real is not None
    assert abs(real - completed["paid_until"]) < DAY_NS
    assert completed["paid_until"] < world.now_ns + 365 * DAY_NS
    assert completed["cycles_consumed"] == first + (held - first), "all that was held"


def test_what_it_burned_between_verification_and_completion_is_paid_too() -> None:
    """Nobody looked at it for three months; it has a year from then on."""
    world = World()
    _, canister = handed_over(world)
    burned = burned_per_day(world, canister)
    world.advance(100 * DAY_S)
    world.run()
    assert world.stage() == "Completed"
    assert 100 * burned < rest_of(world) < COMPLETION
    assert abs(world.status()["paid_until"] - world.now_ns - 365 * DAY_NS) < DAY_NS
    real = paid_until_ns(world.state(canister).balance, burned, THRESHOLD_S, world.now_ns)
    assert real is not None
    assert abs(real - world.status()["paid_until"]) < DAY_NS


@pytest.mark.parametrize("how", ["refused", "garbled"])
def test_where_the_network_does_not_tell_the_status_the_prices_decide(how: str) -> None:
    world = World()
    handle = world.subnet._calls.builtins[MANAGEMENT.bytes]

    def other(request: Request) -> Any:
        if request.method != "canister_status":
            return handle(request)
        if how == "refused":
            raise CanisterError(RejectCode.CANISTER_ERROR, "Only controllers", "IC0512")
        answer = handle(request)
        assert answer is not None
        return replace(answer, data=b"no Candid")

    world.subnet._calls.builtins[MANAGEMENT.bytes] = other
    lease, _ = handed_over(world)
    completed = world.ok("complete_creation", lease, sender=OPERATOR)
    assert rest_of(world) == COMPLETION
    assert 365 * DAY_NS <= completed["paid_until"] - world.now_ns < 366 * DAY_NS
    assert completed["progress_message"].startswith("The personal canister is ready")


def refusing_viewers(create: Callable[[Request, Any], Any]) -> Callable[[Request, Any], Any]:
    """`create_canister` of a network that refuses the setting."""

    def picky(request: Request, argument: Any) -> Any:
        if argument["settings"]["status_visibility"] is not None:
            raise CanisterError(RejectCode.CANISTER_REJECT, "no such setting", "IC0405")
        return create(request, argument)

    return picky


def test_a_network_that_refuses_viewers_makes_the_canister_without() -> None:
    world = World()
    methods = world.subnet._management._methods
    methods["create_canister"] = refusing_viewers(methods["create_canister"])
    lease, canister = handed_over(world)
    assert len(world.subnet.canisters) == 2
    assert world.reserve()["total_consumed"] == FIRST_PART
    [entry] = world.ok("list_consumption", {}, sender=ADMIN)["items"]
    assert (entry["canister_id"], entry["attached"], entry["refunded"]) == (canister, FIRST_PART, 0)
    world.ok("complete_creation", lease, sender=OPERATOR)
    assert rest_of(world) == COMPLETION


@pytest.mark.parametrize("is_shown", [None, False, True])
def test_the_owners_word_on_who_sees_the_status_is_kept_for_a_retry(is_shown: bool | None) -> None:
    world = World()
    config = {"name": None, "subnet_id": None, "show_status": is_shown}
    world.request(config=config)
    assert world.status()["config"] == config
    world.ok("cancel_personal_canister", sender=OWNER)
    world.ok("create_personal_canister", None, sender=OWNER)
    assert world.status()["config"] == config


def test_the_message_of_a_completed_creation_names_the_date() -> None:
    world = World()
    world.completed()
    status = world.status()
    assert "It is paid until 20" in status["progress_message"]
    assert status["status"] == Case("Completed")
    [entry] = world.ok("list_registry", {}, sender=ADMIN)["items"]
    assert entry["paid_until"] == status["paid_until"]
