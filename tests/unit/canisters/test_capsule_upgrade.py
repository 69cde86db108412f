"""What people keep in a capsule survives upgrades, on both canisters: items, their bytes, uploads, nonces, access."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import ANONYMOUS, OWNER, START_NS, STRANGER
from support.owner_world import Canister, begin, canister_with_capsule, put
from support.personal_world import FRIEND, by_principal, gallery_entries, inline, new_memory

CHUNKS = [b"a" * 1000, b"b" * 1000, b"c" * 17]
PEOPLE = {"owner": OWNER, "friend": FRIEND, "stranger": STRANGER, "anonymous": ANONYMOUS}


@pytest.fixture(params=["backend", "personal"])
def world(request: pytest.FixtureRequest) -> Canister:
    return canister_with_capsule(request.param)


def fill(world: Canister) -> list[str]:
    """A capsule with something of everything; the ids of its memories."""
    accesses = {
        "private": Case("Private"),
        "public": Case("Public"),
        "family": Case("Custom", {"individuals": [], "groups": []}),
        "later": Case("Scheduled", {"accessible_after": START_NS + 100 * 10**9, "access": Case("Public")}),
        "graduated": Case("EventTriggered", {"trigger_event": Case("Graduation"), "access": Case("Public")}),
        "wedding": Case("EventTriggered", {"trigger_event": Case("Wedding"), "access": Case("Public")}),
    }
    memories = [
        world.ok("add_memory_to_capsule", inline(name.encode()), new_memory(name=name, access=access))
        for name, access in accesses.items()
    ]
    upload_id = begin(world, CHUNKS)
    put(world, upload_id, CHUNKS, 0, 1, 2)
    memories.append(world.ok("commit_memory_upload", upload_id))
    world.ok("record_capsule_event", capsule_id(world), Case("Graduation"))
    for is_public in (False, True):
        entries = gallery_entries(*memories[:3])
        world.ok("store_gallery_forever", {"title": "Summer", "is_public": is_public, "memory_entries": entries})
    world.ok("add_connection", by_principal(FRIEND))
    world.ok("update_connection_status", by_principal(FRIEND), Case("Accepted"))
    world.ok("add_connection", Case("Opaque", "Ada"))
    group = world.ok("create_connection_group", {"name": "Family", "members": [by_principal(FRIEND)]})
    family = {"access": Case("Custom", {"individuals": [], "groups": [group]})}
    world.ok("update_memory_in_capsule", memories[2], family)
    return memories


def capsule_id(world: Canister) -> str:
    found: str = world.call("list_my_capsules")[0]["id"]
    return found


def everything(world: Canister, memories: list[str]) -> dict[str, Any]:
    """What each of the people sees of the capsule."""
    capsule = capsule_id(world)
    calls: dict[str, tuple[Any, ...]] = {
        "whoami": (),
        "get_user": (),
        "list_users": (),
        "list_my_capsules": (),
        "get_capsule": (capsule,),
        "get_capsule_info": (capsule,),
        "list_capsule_memories": (capsule, {}),
        "list_connections": (),
        "list_connection_groups": (),
        "get_my_galleries": (),
        "get_user_galleries": (OWNER,),
    }
    seen: dict[str, Any] = {}
    for name, sender in PEOPLE.items():
        for method, args in calls.items():
            seen[f"{method} for the {name}"] = world.call(method, *args, sender=sender)
        for memory_id in memories:
            seen[f"{memory_id} for the {name}"] = world.call("get_memory_from_capsule", memory_id, sender=sender)
    for index in range(len(CHUNKS)):
        seen[f"chunk {index}"] = world.ok("read_memory_chunk", memories[-1], index)
    return seen


def test_everybody_sees_after_upgrades_what_they_saw_before(world: Canister) -> None:
    memories = fill(world)
    before = everything(world, memories)
    for _ in range(3):
        world.upgrade()
    assert everything(world, memories) == before
    assert [before[f"chunk {index}"] for index in range(len(CHUNKS))] == CHUNKS


def test_the_rules_of_access_are_in_force_after_an_upgrade(world: Canister) -> None:
    memories = fill(world)
    world.upgrade()

    def readable(person: str) -> list[bool]:
        return [
            world.call("get_memory_from_capsule", memory_id, sender=PEOPLE[person]).tag == "Ok"
            for memory_id in memories
        ]

    assert readable("owner") == [True] * 7
    #                           private public family later graduated wedding upload
    assert readable("friend") == [False, True, True, False, True, False, False]
    assert readable("stranger") == [False, True, False, False, True, False, False]
    world.advance(200)
    assert readable("stranger") == [False, True, False, True, True, False, False]
    world.ok("record_capsule_event", capsule_id(world), Case("Wedding"))
    assert readable("stranger") == [False, True, False, True, True, True, False]


def test_an_upload_goes_on_after_an_upgrade_with_the_chunks_that_are_there(world: Canister) -> None:
    upload_id = begin(world, CHUNKS)
    put(world, upload_id, CHUNKS, 2)
    world.upgrade()
    assert world.ok("get_memory_upload", upload_id)["missing_chunks"] == [0, 1]
    assert begin(world, CHUNKS) != upload_id
    put(world, upload_id, CHUNKS, 0)
    world.upgrade()
    put(world, upload_id, CHUNKS, 1)
    memory_id = world.ok("commit_memory_upload", upload_id)
    assert [world.ok("read_memory_chunk", memory_id, index) for index in range(3)] == CHUNKS
    world.upgrade()
    assert world.ok("commit_memory_upload", upload_id) == memory_id, "a commit that repeats makes no second memory"


def test_an_upload_expires_after_an_upgrade_when_it_would_have_expired(world: Canister) -> None:
    upload_id = begin(world, CHUNKS)
    world.advance(3_599)
    world.upgrade()
    assert world.ok("get_memory_upload", upload_id)["missing_chunks"] == [0, 1, 2]
    world.advance(1)
    assert world.err("get_memory_upload", upload_id).tag == "SessionExpired"


def test_a_nonce_is_valid_after_an_upgrade_for_the_time_that_it_had_left(world: Canister) -> None:
    world.ok("register_with_nonce", "session-1")
    world.advance(599)
    world.upgrade()
    assert world.ok("verify_nonce", "session-1", sender=STRANGER) == OWNER
    world.advance(1)
    assert world.err("verify_nonce", "session-1", sender=STRANGER).tag == "NotFound"


def test_ids_stay_unique_over_upgrades(world: Canister) -> None:
    ids: list[str] = []
    uploads: list[int] = []
    for _ in range(3):
        ids.append(world.ok("add_memory_to_capsule", inline(b"x"), new_memory()))
        ids.append(world.ok("store_gallery_forever", {"title": "x", "is_public": False, "memory_entries": []})["id"])
        ids.append(world.ok("create_connection_group", {"name": "x", "members": []}))
        uploads.append(begin(world, CHUNKS))
        world.upgrade()
    assert len(set(ids)) == len(ids)
    assert len(set(uploads)) == len(uploads)
