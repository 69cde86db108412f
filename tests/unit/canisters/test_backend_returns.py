"""Cycles that a canister gives back to the backend that created it: what the books say, and from whom they come."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.subnet.messages import FromIngress, Request
from support.backend_world import (
    ADMIN,
    OPERATOR,
    OWNER,
    SECOND_NS,
    STRANGER,
    TRILLION,
    World,
    failure,
    method_of,
)

PART = TRILLION // 2
"""Of the first part of a creation's cycles."""


def give(world: World, sender: Principal, cycles: int) -> Any:
    """`return_cycles` with cycles attached, as a canister calls it; what isn't accepted goes back."""
    request_id = f"return {world.now_ns}".encode().ljust(32)
    world.advance(1)
    origin = FromIngress(
        request_id, world.now_ns + 240 * SECOND_NS, sender.bytes, world.backend.bytes, world.backend.bytes
    )
    call = Request(origin, sender.bytes, world.backend.bytes, "return_cycles", encode((), ()), cycles=cycles)
    world.subnet.enqueue(call)
    world.run()
    return decode(world.reply(request_id), method_of("backend", "return_cycles").results)[0]


def consumed(world: World, canister: Principal) -> tuple[int, int, int, int]:
    """What the creation, the registry, the log and the reserve's sum say that was consumed."""
    entry = world.ok("get_registry_entry", canister, sender=ADMIN)
    log = [each for each in world.ok("list_consumption", {}, sender=ADMIN)["items"] if each["canister_id"] == canister]
    return (
        world.status()["cycles_consumed"],
        entry["cycles_consumed"],
        sum(each["attached"] - each["refunded"] for each in log),
        world.reserve()["total_consumed"],
    )


def test_what_a_canister_gives_back_is_not_consumed_in_any_book() -> None:
    world = World()
    _, canister = world.provisioned()
    had = world.status()["cycles_consumed"]
    assert had > PART
    assert consumed(world, canister) == (had,) * 4
    assert give(world, canister, PART) == Case("Ok", PART)
    assert consumed(world, canister) == (had - PART,) * 4
    assert give(world, canister, PART // 10) == Case("Ok", PART // 10)
    assert consumed(world, canister) == (had - PART * 11 // 10,) * 4


def test_what_is_more_than_it_ever_had_is_a_gift() -> None:
    world = World()
    _, canister = world.provisioned()
    topped_up, had = world.reserve()["total_topped_up"], world.status()["cycles_consumed"]
    assert give(world, canister, had + TRILLION) == Case("Ok", had + TRILLION)
    assert consumed(world, canister) == (0, 0, 0, 0)
    assert world.reserve()["total_topped_up"] == topped_up + TRILLION


@pytest.mark.parametrize("cleared", [True, False], ids=["forgotten", "begun anew"])
def test_a_canister_of_a_creation_that_was_forgotten_gives_back_all_the_same(cleared: bool) -> None:
    world = World()
    lease, canister = world.provisioned()
    world.ok("fail_creation", lease, failure(), sender=OPERATOR)
    world.ok("clear_creation_state", OWNER, sender=ADMIN)
    if not cleared:
        world.provisioned()
    of_another = None if cleared else world.status()["cycles_consumed"]
    before = world.reserve()["total_consumed"]
    assert give(world, canister, PART) == Case("Ok", PART)
    assert before - world.reserve()["total_consumed"] == PART
    if not cleared:
        assert world.status()["cycles_consumed"] == of_another


@pytest.mark.parametrize("sender", [STRANGER, OWNER, ADMIN, OPERATOR])
def test_nothing_is_taken_from_anybody_else(sender: Principal) -> None:
    world = World()
    world.provisioned()
    balance = world.backend_state.balance
    answer = give(world, sender, TRILLION)
    assert (answer.tag, answer.value["kind"]) == ("Err", Case("Unauthorized"))
    assert world.backend_state.balance <= balance


def test_no_cycles_are_no_return() -> None:
    world = World()
    _, canister = world.provisioned()
    assert give(world, canister, 0).value["kind"] == Case("InvalidRequest")
