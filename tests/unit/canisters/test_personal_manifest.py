"""The manifests that a personal canister answers: of what it holds now, and of its finished import; both certified,
whatever its owner does; and what it holds beside the capsule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, OWNER, STRANGER, encode_args, method_of
from support.personal_world import (
    CAPSULE_ID,
    FRIEND,
    PersonalWorld,
    by_principal,
    capsule_record,
    certified_data,
    connection,
    gallery,
    gallery_entries,
    group,
    inline,
    manifest_hash,
    memory_record,
    new_memory,
    sha256,
)

ITEMS = (
    Case("Memory", memory_record("mem-a")),
    Case("Gallery", gallery("gal-a", "mem-a")),
    Case("Connection", connection(by_principal(FRIEND))),
    Case("ConnectionGroup", group("group-a", by_principal(FRIEND))),
)


def imported() -> tuple[PersonalWorld, bytes]:
    """A canister with a finished import, and its manifest hash."""
    world = PersonalWorld()
    world.imported(*ITEMS)
    return world, world.ok("get_manifest")["manifest"]["manifest_hash"]


def live_hash(world: PersonalWorld) -> bytes:
    """The manifest hash of what the canister lists, by the definition."""
    return manifest_hash(world.entries())


# --- Both manifests --------------------------------------------------------------------------------------------------


def test_a_finished_import_is_certified_as_what_is_there_and_as_what_was_imported() -> None:
    world, final = imported()
    answer = world.ok("get_manifest")
    assert answer["manifest"]["manifest_hash"] == answer["imported"]["manifest_hash"] == live_hash(world) == final
    assert world.state(world.personal).certified_data == certified_data(final, final)


def upload(world: PersonalWorld) -> None:
    session = world.ok("begin_memory_upload", {"memory": new_memory(), "total_size": 4, "chunk_size": 4})
    world.ok("put_memory_upload_chunk", session["upload_id"], 0, b"note", sha256(b"note"))
    world.ok("commit_memory_upload", session["upload_id"])


CHANGES: dict[str, Callable[[PersonalWorld], Any]] = {
    "a memory added": lambda world: world.ok("add_memory_to_capsule", inline(b"note"), new_memory()),
    "a memory uploaded": upload,
    "a memory renamed": lambda world: world.ok("update_memory_in_capsule", "mem-a", {"info": {"name": "other"}}),
    "a memory deleted, which leaves its gallery": lambda world: world.ok("delete_memory_from_capsule", "mem-a"),
    "a gallery added": lambda world: world.ok(
        "store_gallery_forever", {"title": "New", "is_public": False, "memory_entries": gallery_entries("mem-a")}
    ),
    "a gallery renamed": lambda world: world.ok("update_gallery", "gal-a", {"title": "Winter"}),
    "a gallery deleted": lambda world: world.ok("delete_gallery", "gal-a"),
    "a connection added": lambda world: world.ok("add_connection", Case("Opaque", "Jan")),
    "a connection blocked": lambda world: world.ok("update_connection_status", by_principal(FRIEND), Case("Blocked")),
    "a connection removed, and from its group": lambda world: world.ok("remove_connection", by_principal(FRIEND)),
    "a group added": lambda world: world.ok("create_connection_group", {"name": "Club", "members": []}),
    "a group renamed": lambda world: world.ok("update_connection_group", "group-a", {"name": "Kin"}),
    "a group deleted": lambda world: world.ok("delete_connection_group", "group-a"),
    "an event recorded": lambda world: world.ok("record_capsule_event", CAPSULE_ID, Case("Wedding")),
    "the owner bound to the web": lambda world: world.ok("mark_bound"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_owner_changes_is_certified_at_once_beside_what_was_imported(change: str) -> None:
    world, final = imported()
    world.advance(1)
    CHANGES[change](world)
    answer = world.ok("get_manifest")
    live = answer["manifest"]["manifest_hash"]
    assert live == live_hash(world) != final
    assert answer["imported"]["manifest_hash"] == final
    assert world.state(world.personal).certified_data == certified_data(live, final)

    world.upgrade()
    world.ok("add_connection", Case("Opaque", "Ida"))
    assert world.state(world.personal).certified_data == certified_data(live_hash(world), final)


def test_what_changes_nothing_is_certified_as_before() -> None:
    world, final = imported()
    world.err("delete_gallery", "gal-unknown")
    world.err("add_connection", by_principal(OWNER))
    world.ok("register")
    assert world.state(world.personal).certified_data == certified_data(final, final)


def test_an_unfinished_import_has_one_manifest_and_no_certificate() -> None:
    world = PersonalWorld()
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()), *ITEMS)
    answer = world.ok("get_manifest")
    assert (answer["imported"], answer["certificate"]) == (None, None)
    assert answer["manifest"]["manifest_hash"] == live_hash(world)
    assert world.state(world.personal).certified_data == b""


# --- Beside the capsule ----------------------------------------------------------------------------------------------


def beside(world: PersonalWorld) -> dict[str, int]:
    """What isn't zero of what is there beside the capsule."""
    return {name: count for name, count in world.ok("get_manifest", sender=OWNER)["beside"].items() if count}


def test_a_finished_import_has_nothing_beside_the_capsule() -> None:
    assert beside(PersonalWorld()) == {}
    assert beside(imported()[0]) == {}


def test_pending_memories_and_their_bytes_are_beside_it_until_they_are_committed_or_removed() -> None:
    world = PersonalWorld()
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()), Case("Memory", memory_record("mem-b", [b"bytes"])))
    assert beside(world) == {"pending_memories": 1}
    world.put_chunks(session, "mem-b", [b"bytes"])
    assert beside(world) == {"pending_memories": 1, "pending_bytes": 5}
    world.ok("remove_items", session, [{"kind": Case("Memory"), "id": "mem-b"}], sender=OPERATOR)
    assert beside(world) == {}


def test_uploads_and_nonces_are_beside_it() -> None:
    world, _ = imported()
    world.ok("begin_memory_upload", {"memory": new_memory(), "total_size": 4, "chunk_size": 4})
    world.ok("prove_nonce", "a nonce of many characters")
    assert beside(world) == {"uploads": 1, "nonces": 1}
    upload(world)
    assert beside(world) == {"uploads": 2, "nonces": 1}


def test_people_whom_the_capsule_names_are_its_own_and_others_are_not() -> None:
    world = PersonalWorld()
    session = world.begin()
    state = {"granted_at": 1, "granted_by": by_principal(OWNER)}
    controllers = [{"key": by_principal(FRIEND), "value": state}]
    world.put(session, Case("Capsule", capsule_record(controllers=controllers)))
    assert beside(world) == {}
    world.put(session, Case("Capsule", capsule_record()))
    assert beside(world) == {}, "who was named by an earlier record isn't found any more"
    world.put(session, Case("Capsule", capsule_record(controllers=controllers)))
    world.end_import(session)
    for person in (OWNER, FRIEND):
        world.ok("register", sender=person)
    assert beside(world) == {}
    assert world.err("register", sender=STRANGER).tag == "Unauthorized"


# --- Batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["put_items", "commit_memories", "remove_items"])
def test_a_message_brings_at_most_100_items(method: str) -> None:
    world = PersonalWorld()
    session = world.begin()
    records = [Case("Connection", connection(Case("Opaque", f"peer {number}"))) for number in range(101)]
    batches: dict[str, list[Any]] = {
        "put_items": records,
        "remove_items": [{"kind": Case("Connection"), "id": f"opaque:peer {number}"} for number in range(101)],
        "commit_memories": [
            {
                "memory_id": "none",
                "total_chunks": 0,
                "total_size": 0,
                "chunk_size": 1,
                "chunk_checksums": [],
                "final_checksum": bytes(32),
            }
        ]
        * 101,
    }
    refused = world.err(method, session, batches[method], sender=OPERATOR)
    assert refused == Case("LimitExceeded", {"what": "items of a batch", "limit": 100, "actual": 101})
    if method != "commit_memories":
        world.ok(method, session, batches[method][1:], sender=OPERATOR)


def test_the_order_of_an_import_does_not_show_in_its_manifest() -> None:
    found = set()
    for order in (ITEMS, ITEMS[::-1]):
        world = PersonalWorld()
        session = world.begin()
        world.put(session, Case("Capsule", capsule_record()))
        for item in order:
            world.put(session, item)
        found.add(world.ok("get_manifest")["manifest"]["manifest_hash"])
    assert len(found) == 1


def test_asking_for_a_manifest_takes_as_long_whatever_there_is() -> None:
    costs = []
    for count in (1, 100):
        world = PersonalWorld()
        session = world.begin()
        items = [Case("Connection", connection(Case("Opaque", f"peer {number}"))) for number in range(count)]
        world.put(session, Case("Capsule", capsule_record()), *items[: count - 1])
        before = world.instructions()
        request = world.submit(
            world.personal,
            "finalize_import",
            encode_args(method_of("personal", "finalize_import").args, (1,)),
            OPERATOR,
        )
        world.run()
        assert world.reply(request)
        costs.append(world.instructions() - before)
    assert costs[1] < 1.2 * costs[0]
