"""A personal canister gets another owner: offered by one, accepted by the other; each has all of it meanwhile. And
another backend, at its owner's word.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.backend_world import ANONYMOUS, OWNER, STRANGER, person
from support.personal_world import BACKEND, CAPSULE_ID, PersonalWorld, by_principal, inline, new_memory

HEIR = person("heir")


@pytest.fixture
def world() -> PersonalWorld:
    made = PersonalWorld()
    made.imported()
    made.ok("add_memory_to_capsule", inline(b"mine"), new_memory())
    made.ok("add_connection", by_principal(person("peer")))
    return made


def accepted(world: PersonalWorld) -> None:
    world.ok("offer_ownership", HEIR)
    world.ok("accept_ownership", sender=HEIR)


def info(world: PersonalWorld, sender: Any) -> Any:
    return world.ok("get_capsule_info", CAPSULE_ID, sender=sender)


def memories(world: PersonalWorld, sender: Any) -> int:
    return len(world.ok("list_capsule_memories", CAPSULE_ID, {}, sender=sender)["items"])


def test_who_accepts_has_all_that_the_owner_had_and_the_owner_loses_nothing_yet(world: PersonalWorld) -> None:
    quota = world.ok("get_my_quota")
    world.ok("offer_ownership", HEIR)
    assert world.call("get_personal_info")["owner"] == OWNER, "an offer alone changes nothing"
    assert world.err("get_my_quota", sender=HEIR).tag == "Unauthorized"
    world.ok("accept_ownership", sender=HEIR)

    assert world.call("get_personal_info")["owner"] == HEIR
    assert (info(world, HEIR)["is_self_capsule"], info(world, HEIR)["is_owner"]) == (True, True)
    assert (info(world, OWNER)["is_self_capsule"], info(world, OWNER)["is_owner"]) == (False, True)
    assert memories(world, HEIR) == memories(world, OWNER) == 1
    assert world.ok("get_my_quota", sender=HEIR) == quota
    assert len(world.ok("list_connections", sender=HEIR)) == 1
    assert world.ok("register_capsule", sender=HEIR) == {"capsule_id": CAPSULE_ID, "is_new": False}
    world.ok("add_memory_to_capsule", inline(b"also mine"), new_memory(), sender=HEIR)
    world.ok("accept_ownership", sender=HEIR)
    assert world.call("get_personal_info")["owner"] == HEIR


def test_nobody_accepts_what_is_not_offered_to_them(world: PersonalWorld) -> None:
    assert world.err("accept_ownership", sender=STRANGER).tag == "Unauthorized"
    world.ok("offer_ownership", HEIR)
    assert world.err("accept_ownership", sender=STRANGER).tag == "Unauthorized"
    assert world.err("offer_ownership", STRANGER, sender=HEIR).tag == "Unauthorized"
    world.ok("offer_ownership", None)
    assert world.err("accept_ownership", sender=HEIR).tag == "Unauthorized", "the offer was taken back"
    world.ok("offer_ownership", HEIR)
    world.ok("offer_ownership", STRANGER)
    assert world.err("accept_ownership", sender=HEIR).tag == "Unauthorized", "the last offer counts"
    assert world.err("offer_ownership", ANONYMOUS).tag == "InvalidArgument"
    assert world.call("get_personal_info")["owner"] == OWNER


def test_the_door_lets_in_whom_it_is_offered_to(world: PersonalWorld) -> None:
    assert not world.accepts("accept_ownership", sender=HEIR)
    world.ok("offer_ownership", HEIR)
    assert world.accepts("accept_ownership", sender=HEIR)
    assert not world.accepts("accept_ownership", sender=STRANGER)
    assert not world.accepts("offer_ownership", HEIR, sender=HEIR)


def test_the_owner_before_is_removed_by_the_new_one_and_reads_nothing_then(world: PersonalWorld) -> None:
    accepted(world)
    assert world.err("remove_owner", HEIR, sender=OWNER).tag == "Unauthorized"
    assert world.err("remove_owner", HEIR, sender=HEIR).tag == "InvalidArgument"
    for _ in range(2):
        world.ok("remove_owner", OWNER, sender=HEIR)
    assert world.err("get_capsule", CAPSULE_ID, sender=OWNER).tag == "NotFound"
    assert world.call("list_my_capsules", sender=OWNER) == []
    assert world.err("add_memory_to_capsule", inline(b"x"), new_memory(), sender=OWNER).tag == "NotFound"
    assert memories(world, HEIR) == 1
    owners = world.ok("get_capsule", CAPSULE_ID, sender=HEIR)["owners"]
    assert [entry["key"] for entry in owners] == [by_principal(HEIR)]


def test_it_is_offered_only_when_it_is_the_owners(world: PersonalWorld) -> None:
    importing = PersonalWorld()
    importing.begin()
    assert importing.err("offer_ownership", HEIR).tag == "Locked"
    assert importing.err("remove_owner", HEIR).tag == "Locked"
    assert importing.err("change_backend", STRANGER).tag == "Locked"
    assert importing.call("get_personal_info")["backend"] == BACKEND
    assert importing.err("accept_ownership", sender=HEIR).tag == "Unauthorized"


def test_an_upgrade_keeps_owner_and_offer(world: PersonalWorld) -> None:
    accepted(world)
    world.ok("offer_ownership", OWNER, sender=HEIR)
    world.upgrade()
    assert world.call("get_personal_info")["owner"] == HEIR
    world.ok("accept_ownership", sender=OWNER)
    assert world.call("get_personal_info")["owner"] == OWNER
    assert info(world, OWNER)["subject"] == by_principal(OWNER)


# --- Another backend -------------------------------------------------------------------------------------------------


def test_the_backend_that_the_owner_names_is_answered_in_the_place_of_the_one_before(world: PersonalWorld) -> None:
    restored = person("restored backend")
    assert world.err("get_manifest", sender=restored).tag == "Unauthorized"
    for other in (STRANGER, BACKEND, restored):
        assert world.err("change_backend", restored, sender=other).tag == "Unauthorized"
        assert not world.accepts("change_backend", restored, sender=other)
    assert world.err("change_backend", ANONYMOUS).tag == "InvalidArgument"
    for _ in range(2):
        world.ok("change_backend", restored)
    assert world.call("get_personal_info")["backend"] == restored
    told = world.ok("get_manifest", sender=restored)
    assert told["manifest"] == told["imported"], "what was imported, and no more"
    assert world.err("get_manifest", sender=BACKEND).tag == "Unauthorized"
    world.ok("close_for_undo")
    told = world.ok("get_manifest", sender=restored)
    assert told["manifest"]["memories"] == told["imported"]["memories"] + 1, "the owner's memory, too"
    world.upgrade()
    assert world.call("get_personal_info")["backend"] == restored
