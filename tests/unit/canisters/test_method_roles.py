"""Every method of both contracts, called by everybody who has a role: whom the page names is served, and nobody else.

The calls pass no door, as calls of canisters don't: each method refuses by itself.
"""

from __future__ import annotations

from functools import cache

import pytest

from support.backend_world import OWNER
from support.personal_world import FRIEND, PersonalWorld, by_principal, inline, new_memory
from support.role_matrix import CALLERS, CANISTERS, RoleWorld, kind_of, methods, role_world
from support.served import OF_A_ROLE, SERVED, table, word_for

CASES = [
    pytest.param(canister, method, id=f"{canister}-{method}") for canister in CANISTERS for method in methods(canister)
]
REFUSALS = {"Unauthorized", "NotFound"}
EMPTY = "nothing"
NO_PERSONS = {"anonymous", "canister", "backend"}
NOTHING_FROM_CANISTERS = "trapped explicitly: this method takes nothing from a canister"


@cache
def built(canister: str) -> RoleWorld:
    """No call of these tests changes anything, so that one world of each kind is enough."""
    return RoleWorld(canister, *role_world(canister))


@pytest.mark.parametrize("canister", CANISTERS)
def test_every_method_is_classified(canister: str) -> None:
    words = table()[kind_of(canister)]
    assert set(words) == set(methods(canister))
    assert set(words.values()) <= set(SERVED), "a word that nobody knows: see support/served"
    for word in set(words.values()):
        assert SERVED[word][canister] <= set(CALLERS[canister])


@pytest.mark.sample(80)
@pytest.mark.parametrize(("canister", "method"), CASES)
def test_whom_the_page_names_is_served_and_nobody_else(canister: str, method: str) -> None:
    world, word = built(canister), word_for(canister, method)
    served = SERVED[word][canister]
    wrong = {}
    for caller in CALLERS[canister]:
        came = world.called(method, caller)
        if not as_it_should(word, canister, caller, came, is_served=caller in served):
            wrong[caller] = came
    assert wrong == {}, f"{method} is for: {word}"


def as_it_should(word: str, canister: str, caller: str, came: str, *, is_served: bool) -> bool:
    if came.startswith("rejected"):
        # Who has no person's id brings nothing to an import: the build's check is before the method (`test_doors`).
        return word == "importer" and not is_served and caller in NO_PERSONS and came.endswith(NOTHING_FROM_CANISTERS)
    if word == "oneself":  # whatever there is of the caller's own; what of others' they see, `test_strangers` asks
        return caller != "anonymous" or came in {"Unauthorized", EMPTY}
    if is_served:
        return came not in REFUSALS and (came != "Busy" or word == "operator")
    if word == "lease" and caller in SERVED["operator"][canister]:
        return came == "Busy"
    if word in OF_A_ROLE:
        return came == "Unauthorized"
    if word == "owner" and caller == "capsule controller":
        return came in REFUSALS | {"Locked"}  # nobody writes during the import
    if caller == "anonymous" and word != "holder":
        return came in REFUSALS
    return came == "NotFound"


def test_the_backend_can_read_nothing_of_a_personal_canister_that_it_did_not_know_before() -> None:
    world = built("moved")
    assert isinstance(world.world, PersonalWorld)
    told = {method: world.called(method, "backend") for method in methods("moved")}
    as_anybody = {method: world.called(method, "stranger") for method in methods("moved")}
    assert {method for method in told if told[method] != as_anybody[method]} == {"get_manifest"}

    before = world.answer("get_manifest", "backend")
    with world.undone():
        world.world.ok("add_memory_to_capsule", inline(b"after the move"), new_memory(), sender=OWNER)
        world.world.ok("remove_connection", by_principal(FRIEND), sender=OWNER)
        assert world.answer("get_manifest", "backend") == before, "the import's, which it compared"
