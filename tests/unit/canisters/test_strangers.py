"""What strangers learn by asking for things: of one that they may not see, the same as of one that isn't there."""

from __future__ import annotations

import re
from functools import cache
from itertools import product

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from support.backend_world import ANONYMOUS, OWNER, RejectedError, World, encode_args, method_of
from support.doors import ArgumentLimit, built_limits
from support.personal_world import FRIEND, PersonalWorld, inline, new_memory
from support.strangers_world import (
    EXECUTOR,
    OPEN,
    PROBES,
    VISITORS,
    Probe,
    Things,
    absent,
    bare_backend,
    bare_personal,
    methods_that_may_name_something,
    on_backend,
    on_personal,
    queries_without_arguments,
)

WORLDS = {"backend": on_backend, "personal": on_personal}
BARE = {"backend": bare_backend, "personal": bare_personal}
CALLS = [
    pytest.param(kind, method, probe, id=f"{kind}-{method}-{number}")
    for kind, probes in PROBES.items()
    for method, variants in probes.items()
    for number, probe in enumerate(variants)
]


@cache
def furnished(kind: str) -> tuple[World, Things]:
    """No call of these tests changes anything, so that one world is enough."""
    return WORLDS[kind]()


@pytest.mark.parametrize("kind", WORLDS)
def test_every_method_that_can_name_a_thing_is_probed_or_open_for_a_reason(kind: str) -> None:
    named = set(methods_that_may_name_something(kind))
    probed = set(PROBES[kind])
    assert named - probed - set(OPEN) == set(), "classify them: see support/strangers_world"
    assert probed - named == set()
    assert probed & set(OPEN) == set()


def answer(world: World, things: Things, method: str, probe: Probe, sender: Principal) -> str:
    """As a query or an update, as the method's kind says; a rejection is an answer too."""
    try:
        return things.hidden_in(world.call(method, *probe(things), sender=sender))
    except RejectedError as rejected:
        return things.hidden_in(str(rejected))


@pytest.mark.parametrize(("kind", "method", "probe"), CALLS)
def test_what_may_not_be_seen_is_answered_like_what_is_not_there(kind: str, method: str, probe: Probe) -> None:
    world, there = furnished(kind)
    nowhere = absent(there)
    for visitor in VISITORS:
        if may_see_some(there, method, probe, visitor):
            continue
        taken = world.accepts(method, *probe(there), sender=visitor)
        assert taken == world.accepts(method, *probe(nowhere), sender=visitor), "at the door"
        found = answer(world, there, method, probe, visitor)
        assert found == answer(world, nowhere, method, probe, visitor)
        if method not in LISTS:
            assert refusal(method, visitor) in found


def refusal(method: str, visitor: Principal) -> str:
    """How the method refuses. The anonymous id isn't a person's, so that an import takes no argument from it at all."""
    of_people_only = built_limits("moved").get(method, ANYONES).anyones == 0
    return "takes nothing from a canister" if of_people_only and visitor == ANONYMOUS else "Case(tag='Err'"


ANYONES = ArgumentLimit(256, 256, 0)


@pytest.mark.parametrize("kind", WORLDS)
def test_what_is_shown_without_being_named_does_not_depend_on_what_others_have(kind: str) -> None:
    """Otherwise a list or a total would tell of them."""
    (full, _), bare = furnished(kind), BARE[kind]()
    for method in set(queries_without_arguments(kind)) - set(OPEN):
        for visitor in VISITORS:
            shown, alone = (SECRET.sub("", repr(world.call(method, sender=visitor))) for world in (full, bare))
            assert shown == alone, method


SECRET = re.compile("-[0-9a-f]{32}")
"""The part of an id that each canister makes with a secret of its own."""
LISTS = {"list_capsule_memories", "get_user_galleries"}
"""They answer to everybody, with what there is for the caller."""


# --- cost ------------------------------------------------------------------------------------------------------------


def as_update(world: World, things: Things, method: str, probe: Probe, sender: Principal) -> tuple[str, int]:
    """The answer, and its instructions. A query may be sent as an update too; what may not enter is executed here all
    the same, as canisters' calls are, which no door looks at."""
    personal = isinstance(world, PersonalWorld)
    func = method_of("personal" if personal else "backend", method)
    callee = world.personal if isinstance(world, PersonalWorld) else world.backend
    before = world.subnet.state.instructions
    request = world.submit(callee, method, encode_args(func.args, probe(things)), sender)
    world.run()
    try:
        found = things.hidden_in(decode(world.reply(request), func.results))
    except RejectedError as rejected:
        found = things.hidden_in(str(rejected))
    return found, world.subnet.state.instructions - before


@pytest.mark.parametrize("kind", WORLDS)
def test_asking_costs_about_the_same_whether_or_not_it_is_there(kind: str) -> None:
    world, there = WORLDS[kind]()
    nowhere = absent(there)
    for _ in range(100):  # it isn't a question of how much there is, either
        world.ok("add_memory_to_capsule", inline(b"private"), new_memory(), sender=OWNER)
    for method, probes in PROBES[kind].items():
        for probe, visitor in product(probes, VISITORS):
            found, cost = as_update(world, there, method, probe, visitor)
            missing, least = as_update(world, nowhere, method, probe, visitor)
            sees = may_see_some(there, method, probe, visitor)
            # The executor's event changes the capsule, and so what a personal canister certifies.
            most = 300_000 if sees and kind == "personal" else 100_000
            assert abs(cost - least) <= most, f"{method} by {visitor}: {cost - least:+,} instructions"
            assert (found == missing) is not sees


def may_see_some(there: Things, method: str, probe: Probe, visitor: Principal) -> bool:
    """The friend may read one memory of the capsule, and finds it in the list; the executor records events and sees
    their own."""
    shown = {
        (FRIEND, "list_capsule_memories"),
        (EXECUTOR, "record_capsule_event"),
        (EXECUTOR, "list_capsule_events"),
    }
    return (visitor, method) in shown and probe(there)[0] == there.capsule
