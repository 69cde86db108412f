"""A thousand principals of one attacker ask for personal canisters: they get nothing out of the reserve that the rules
of admission and the budget of a day don't give, and an honest owner is served in spite of them.

Against the built Wasm on an in-process subnet: to sign, send and wait for two thousand requests over HTTP takes
minutes, and the canister sees the same messages.
"""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import ADMIN, OPERATOR, OWNER, TRILLION, World, encode_args, method_of, person
from support.reserve_figures import CREATION_BASE, FIRST_PART

SYBILS = [person(f"sybil-{number}") for number in range(1_000)]
BUDGET = 5 * CREATION_BASE + 1
DAY = 86_400


def attacked(admission: str) -> World:
    """A backend with a rich reserve; each of the thousand has a capsule there, and an honest owner, too."""
    world = World(
        cycles=3_000 * TRILLION, admission=Case(admission), limits={"max_in_progress": 10**6, "max_per_hour": 10_000}
    )
    settings = world.reserve()["settings"] | {"cycles_per_day": BUDGET}
    world.ok("set_reserve_settings", settings, sender=ADMIN)
    world.capsule(OWNER)
    assert {answer.tag for answer in all_call(world, "register_capsule")} == {"Ok"}
    return world


def all_call(world: World, method: str, *args: Any) -> list[Case]:
    """What the thousand are answered, who call at the same time."""
    arg = encode_args(method_of("backend", method).args, args)
    requests = [world.submit(world.backend, method, arg, sybil) for sybil in SYBILS]
    world.run()
    return [world.finish(method, request) for request in requests]


def all_ask(world: World) -> list[Case]:
    return all_call(world, "create_personal_canister", None)


def work(world: World) -> int:
    """A worker creates the canister of every request that it is told of; how many it created."""
    created = 0
    for request in world.ok("list_open_requests", {"limit": 1_000}, sender=OPERATOR)["items"]:
        if request["canister_id"] is None:
            lease = world.claim(request["owner"])
            created += world.call("provision_canister", lease, sender=OPERATOR).tag == "Ok"
    return created


def taken(world: World) -> int:
    """Cycles that left the backend for other canisters, by the balances of the subnet: fees included."""
    others = [state for id_, state in world.subnet.canisters.items() if id_ != world.backend.bytes]
    reserve = world.reserve()
    assert reserve["total_consumed"] == FIRST_PART * len(others)
    assert 3_000 * TRILLION - reserve["balance"] - reserve["total_consumed"] < TRILLION, "running costs alone"
    return int(reserve["total_consumed"] + reserve["in_flight"])


def serve_the_honest_owner(world: World) -> None:
    """The owner whom the admin knows gets a canister, whatever the others do."""
    world.ok("add_admitted", OWNER, sender=ADMIN)
    world.ok("create_personal_canister", None, sender=OWNER)
    world.ok("provision_canister", world.claim(OWNER), sender=OPERATOR)


def test_a_thousand_principals_get_nothing_where_owners_are_listed() -> None:
    world = attacked("Listed")
    assert {refusal.value["kind"].tag for refusal in all_ask(world)} == {"NotAdmitted"}
    assert (work(world), taken(world)) == (0, 0)
    assert world.ok("list_all_creation_states", {}, sender=ADMIN)["total"] == 0
    serve_the_honest_owner(world)
    assert taken(world) == CREATION_BASE


def test_a_thousand_principals_get_nothing_where_an_admin_approves_nor_do_they_fill_the_memory() -> None:
    world = attacked("Approval")
    assert {answer.value["message"] for answer in all_ask(world)} == {"Requested; waits for approval by an admin."}
    refusal = world.err("create_personal_canister", None, sender=OWNER)
    assert (refusal["kind"], refusal["retry_helps"]) == (Case("Busy"), True)
    assert "1000 requests wait for approval, which is the most" in refusal["message"]
    assert world.ok("list_all_creation_states", {"limit": 1}, sender=ADMIN)["total"] == len(SYBILS)
    assert (work(world), taken(world)) == (0, 0)
    for sybil in SYBILS[:3]:
        refused = world.err("claim_creation", {"owner": sybil, "worker": "w"}, sender=OPERATOR)
        assert refused["kind"] == Case("NotAdmitted")
    serve_the_honest_owner(world)
    assert taken(world) == CREATION_BASE


def test_a_thousand_principals_get_a_days_budget_in_a_day_where_everybody_is_admitted() -> None:
    world = attacked("Open")
    answers = all_ask(world)
    admitted = [answer for answer in answers if answer.tag == "Ok"]
    assert len(admitted) == BUDGET // CREATION_BASE
    assert {answer.value["kind"].tag for answer in answers if answer.tag == "Err"} == {"BudgetSpent"}
    for round_ in (1, 2, 3):
        work(world)
        assert taken(world) <= BUDGET * round_
        give_up_and_ask_again(world)
        assert taken(world) <= BUDGET * round_
        world.advance(DAY + 300)
        all_ask(world)
    assert taken(world) > BUDGET, "the budget of the first day isn't all that there ever is"


def give_up_and_ask_again(world: World) -> None:
    """What was held is given back, and asked for by others."""
    all_call(world, "cancel_personal_canister")
    all_ask(world)


@pytest.mark.parametrize("hours", [1, 23])
def test_spreading_the_attack_over_the_day_gets_no_more(hours: int) -> None:
    world = attacked("Open")
    for start in range(0, 24, hours):
        sybils: list[Principal] = SYBILS[start * 40 : (start + hours) * 40]
        for sybil in sybils:
            world.call("create_personal_canister", None, sender=sybil)
        work(world)
        assert taken(world) <= BUDGET
        world.advance(hours * 3_600 - 1)
