"""An import into the personal canister as an orchestrator sees it: the way through, going on after a break, changes on
the way, and what is there afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, OWNER, STRANGER, encode_args, interface
from support.personal_world import (
    BATCH,
    CAPSULE_ID,
    FRIEND,
    PersonalWorld,
    by_principal,
    capsule_record,
    connection,
    entry,
    gallery,
    group,
    manifest_hash,
    memory_manifest,
    memory_record,
    sha256,
)

CHUNKS = [b"a" * 1000, b"b" * 1000, b"c" * 17]
OTHER_CHUNKS = [b"z" * 1000, b"y" * 5]


@pytest.fixture
def world() -> PersonalWorld:
    return PersonalWorld()


def pending(world: PersonalWorld) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.ok("get_import_status", {}, sender=OPERATOR)["pending"]
    return found


def test_an_import_ends_with_all_that_was_sent(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()), Case("Memory", memory_record("mem-a", CHUNKS)))
    world.put_chunks(session, "mem-a", CHUNKS)
    world.ok("commit_memory", session, memory_manifest("mem-a", CHUNKS), sender=OPERATOR)
    world.put(
        session,
        Case("Memory", memory_record("mem-b")),
        Case("Gallery", gallery("gal-a", "mem-a", "mem-b")),
        Case("Connection", connection(by_principal(FRIEND))),
        Case("ConnectionGroup", group("group-a", by_principal(FRIEND))),
    )
    result = world.ok("finalize_import", session, sender=OPERATOR)

    assert result == {"total_memories_imported": 2, "total_size_imported": 2017}
    assert world.call("get_personal_info")["import_state"].tag == "Completed"
    capsule = world.ok("get_capsule", CAPSULE_ID)
    assert capsule["bound_to_web2"] is True
    assert [item["key"] for item in capsule["memories"]] == ["mem-a", "mem-b"]
    assert [item["key"] for item in capsule["galleries"]] == ["gal-a"]
    assert [item["key"] for item in capsule["connections"]] == [by_principal(FRIEND)]
    assert [item["key"] for item in capsule["connection_groups"]] == ["group-a"]
    assert [world.ok("read_memory_chunk", "mem-a", index) for index in range(3)] == CHUNKS


def test_the_manifest_is_what_its_definition_makes_of_the_records(world: PersonalWorld) -> None:
    opaque = Case("Opaque", "Großmutter 👵")
    records = [
        ("Capsule", capsule_record(), None, None),
        ("Memory", memory_record("mem-a", CHUNKS), CHUNKS, 1000),
        ("Memory", memory_record("mem-b"), None, None),
        ("Memory", memory_record("mem-ü", [b"x"]), [b"x"], 500),
        ("Memory", memory_record("mem-empty", []), [], 7),
        ("Gallery", gallery("gal-a", "mem-a"), None, None),
        ("Connection", connection(opaque), None, None),
        ("Connection", connection(by_principal(FRIEND), "Blocked"), None, None),
        ("ConnectionGroup", group("group-a", opaque), None, None),
    ]
    session = world.begin()
    world.put(session, *(Case(kind, record) for kind, record, _, _ in records))
    for _, record, chunks, chunk_size in records:
        if chunks is not None:
            world.put_chunks(session, record["id"], chunks)
            manifest = memory_manifest(record["id"], chunks, chunk_size)
            world.ok("commit_memory", session, manifest, sender=OPERATOR)
    world.ok("finalize_import", session, sender=OPERATOR)

    expected = [entry(*parts) for parts in records]
    found = world.entries(limit=2)
    assert sorted(found, key=lambda e: e["id"]) == sorted(expected, key=lambda e: e["id"])
    manifest = world.ok("get_manifest")["manifest"]
    assert manifest["manifest_hash"] == manifest_hash(expected)
    assert (manifest["memories"], manifest["galleries"], manifest["connections"]) == (4, 1, 2)
    assert manifest["content_size"] == 2018
    assert manifest["origin"] == world.personal


def test_nothing_is_certified_before_the_import_is_final(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    answer = world.ok("get_manifest")
    assert answer["certificate"] is None
    assert answer["manifest"]["manifest_hash"] == manifest_hash([entry("Capsule", capsule_record())])
    assert world.state(world.personal).certified_data == b""


def test_an_import_goes_on_from_another_machine_with_what_is_stored(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()), Case("Memory", memory_record("mem-a", CHUNKS)))
    world.ok("put_memory_chunk", session, "mem-a", 2, CHUNKS[2], sha256(CHUNKS[2]), sender=OPERATOR)
    world.ok("put_memory_chunk", session, "mem-z", 0, b"z", sha256(b"z"), sender=OPERATOR)

    assert world.begin() == session, "one session at a time"
    world.upgrade()
    assert pending(world) == [
        {"memory_id": "mem-a", "has_record": True, "chunks": [{"index": 2, "sha256": sha256(CHUNKS[2])}]},
        {"memory_id": "mem-z", "has_record": False, "chunks": [{"index": 0, "sha256": sha256(b"z")}]},
    ]
    page = world.ok("get_import_status", {"limit": 1}, sender=OPERATOR)
    assert [item["memory_id"] for item in page["pending"]] == ["mem-a"]
    rest = world.ok("get_import_status", {"after": page["next"]}, sender=OPERATOR)
    assert [item["memory_id"] for item in rest["pending"]] == ["mem-z"]
    assert rest["next"] is None


def test_a_session_expires_without_activity_and_the_next_one_keeps_what_is_stored() -> None:
    world = PersonalWorld(session_timeout_ns=60_000_000_000)
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()), Case("Memory", memory_record("mem-a", CHUNKS)))
    world.advance(59)
    world.put_chunks(session, "mem-a", CHUNKS[:1])
    world.advance(59)
    world.put_chunks(session, "mem-a", CHUNKS[:2])
    world.advance(60)

    assert world.call("get_personal_info")["import_state"].tag == "Expired"
    refused = world.err("put_items", session, [], sender=OPERATOR)
    assert refused == Case("SessionExpired", {"session": session, "expired_at": world.now_ns})

    again = world.begin()
    assert again == session + 1
    assert world.err("put_items", session, [], sender=OPERATOR).tag == "SessionExpired"
    assert world.err("put_items", again + 1, [], sender=OPERATOR).tag == "NotFound"
    world.put_chunks(again, "mem-a", CHUNKS)
    world.ok("commit_memory", again, memory_manifest("mem-a", CHUNKS), sender=OPERATOR)
    world.ok("finalize_import", again, sender=OPERATOR)


def test_each_step_may_be_repeated(world: PersonalWorld) -> None:
    session = world.begin()
    for _ in range(2):
        world.put(session, Case("Capsule", capsule_record()), Case("Memory", memory_record("mem-a", CHUNKS)))
        world.put_chunks(session, "mem-a", CHUNKS)
        world.ok("commit_memory", session, memory_manifest("mem-a", CHUNKS), sender=OPERATOR)
    world.put_chunks(session, "mem-a", CHUNKS)
    status = world.ok("get_import_status", {}, sender=OPERATOR)
    assert status["pending"] == []
    assert status["session"]["bytes_received"] == 2017
    assert status["session"]["memories_committed"] == 1
    first = world.ok("finalize_import", session, sender=OPERATOR)
    assert world.ok("finalize_import", session, sender=OPERATOR) == first


def test_a_batch_of_chunks_and_commits_does_what_single_calls_do(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(
        session,
        Case("Memory", memory_record("mem-a", CHUNKS)),
        Case("Memory", memory_record("mem-b", OTHER_CHUNKS)),
        Case("Capsule", capsule_record()),
    )
    batch = [
        {"memory_id": memory_id, "index": index, "bytes": chunk, "sha256": sha256(chunk)}
        for memory_id, chunks in (("mem-a", CHUNKS), ("mem-b", OTHER_CHUNKS))
        for index, chunk in enumerate(chunks)
    ]
    world.ok("put_memory_chunks", session, batch + batch[:1], sender=OPERATOR)
    manifests = [memory_manifest("mem-a", CHUNKS), memory_manifest("mem-b", OTHER_CHUNKS)]
    world.ok("commit_memories", session, manifests + manifests[:1], sender=OPERATOR)
    result = world.ok("finalize_import", session, sender=OPERATOR)
    assert result == {"total_memories_imported": 2, "total_size_imported": 2017 + 1005}


# --- the source changed on the way -----------------------------------------------------------------------------------


def test_a_changed_record_replaces_the_committed_one_without_its_bytes_being_sent_again(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    world.import_memory(session, "mem-a", CHUNKS)
    changed = memory_record("mem-a", CHUNKS, access=Case("Public"))
    world.put(session, Case("Memory", changed))
    assert pending(world) == []
    assert world.entries()[1] == entry("Memory", changed, CHUNKS, 1000)


def test_a_changed_content_makes_the_memory_pending_until_its_bytes_have_come(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    world.import_memory(session, "mem-a", CHUNKS)
    world.put(session, Case("Memory", memory_record("mem-a", OTHER_CHUNKS)))

    assert pending(world) == [{"memory_id": "mem-a", "has_record": True, "chunks": []}]
    assert world.err("finalize_import", session, sender=OPERATOR).tag == "InvalidArgument"
    world.put_chunks(session, "mem-a", OTHER_CHUNKS)
    world.ok("commit_memory", session, memory_manifest("mem-a", OTHER_CHUNKS), sender=OPERATOR)
    assert world.ok("finalize_import", session, sender=OPERATOR)["total_size_imported"] == 1005


def test_chunks_of_a_content_that_changed_on_the_way_are_dropped(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Memory", memory_record("mem-a", CHUNKS)))
    world.put_chunks(session, "mem-a", CHUNKS[:2])
    world.put(session, Case("Memory", memory_record("mem-a", OTHER_CHUNKS)))
    assert pending(world)[0]["chunks"] == []
    assert world.ok("get_import_status", {}, sender=OPERATOR)["session"]["bytes_received"] == 0


def test_a_memory_that_lost_its_bytes_is_committed_at_once(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    world.import_memory(session, "mem-a", CHUNKS)
    external = {"kind": Case("MemoryBlobKindExternal"), "locator": "https://example.org/a", "hash": bytes(32)}
    world.put(session, Case("Memory", memory_record("mem-a", blob_ref=external)))
    assert pending(world) == []
    assert world.ok("finalize_import", session, sender=OPERATOR)["total_size_imported"] == 0


def test_items_that_the_owner_deleted_meanwhile_are_removed(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(
        session,
        Case("Capsule", capsule_record()),
        Case("Memory", memory_record("mem-a")),
        Case("Memory", memory_record("mem-b", CHUNKS)),
        Case("Gallery", gallery("gal-a", "mem-a")),
        Case("Connection", connection(by_principal(FRIEND))),
        Case("ConnectionGroup", group("group-a")),
    )
    world.put_chunks(session, "mem-b", CHUNKS)
    refs = [
        {"kind": Case("Memory"), "id": "mem-a"},
        {"kind": Case("Memory"), "id": "mem-b"},
        {"kind": Case("Memory"), "id": "mem-never-here"},
        {"kind": Case("Gallery"), "id": "gal-a"},
        {"kind": Case("Connection"), "id": f"principal:{FRIEND.to_str()}"},
        {"kind": Case("ConnectionGroup"), "id": "group-a"},
    ]
    world.ok("remove_items", session, refs, sender=OPERATOR)
    assert world.entries() == [entry("Capsule", capsule_record())]
    assert world.ok("finalize_import", session, sender=OPERATOR)["total_size_imported"] == 0


def test_the_capsule_itself_is_not_removed(world: PersonalWorld) -> None:
    session = world.begin()
    refused = world.err("remove_items", session, [{"kind": Case("Capsule"), "id": CAPSULE_ID}], sender=OPERATOR)
    assert refused.tag == "InvalidArgument"


def test_entries_move_their_revision_with_every_change(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    first = world.ok("list_import_entries", None, None, sender=OPERATOR)["revision"]
    world.put(session, Case("Memory", memory_record("mem-a")))
    assert world.ok("list_import_entries", None, None, sender=OPERATOR)["revision"] > first


# --- whose canister it is --------------------------------------------------------------------------------------------


def test_a_batch_is_a_whole_import(world: PersonalWorld) -> None:
    memory, chunks = memory_record("mem-a", [b"ab", b"c"]), [b"ab", b"c"]
    batch = BATCH | {
        "items": [Case("Capsule", capsule_record()), Case("Memory", memory)],
        "chunks": [
            {"memory_id": "mem-a", "index": index, "bytes": data, "sha256": sha256(data)}
            for index, data in enumerate(chunks)
        ],
        "commits": [memory_manifest("mem-a", chunks)],
        "finalize": True,
    }
    outcome = world.ok("import_batch", batch, sender=OPERATOR)
    assert outcome == {"session": 1, "final": {"total_memories_imported": 1, "total_size_imported": 3}}
    assert world.err("import_batch", batch, sender=OPERATOR) == Case(
        "Locked", {"reason": "the import is final", "until": None}
    )
    world.hand_over(world.personal, OWNER)
    assert world.ok("read_memory_chunk", "mem-a", 1) == b"c"


def test_the_first_step_of_a_batch_that_is_refused_is_the_last(world: PersonalWorld) -> None:
    chunk = {"memory_id": "mem-a", "index": 0, "bytes": b"x", "sha256": bytes(32)}
    batch = BATCH | {"items": [Case("Capsule", capsule_record())], "chunks": [chunk], "finalize": True}
    assert world.err("import_batch", batch, sender=OPERATOR).tag == "ChecksumMismatch"
    status = world.ok("get_import_status", {}, sender=OPERATOR)
    assert (status["session"]["state"], status["pending"]) == (Case("Active"), [])
    assert world.call("get_personal_info")["capsule_id"] == CAPSULE_ID


def test_the_capsule_is_the_owners_alone(world: PersonalWorld) -> None:
    world.imported(Case("Memory", memory_record("mem-a")))
    for sender in (STRANGER, OPERATOR):
        assert world.err("register", sender=sender).tag == "Unauthorized"
        assert world.err("register_capsule", sender=sender).tag == "Unauthorized"
        assert world.err("create_capsule", by_principal(sender), sender=sender).tag == "Unauthorized"
        assert world.err("get_capsule", CAPSULE_ID, sender=sender).tag == "NotFound"
        assert world.err("get_memory_from_capsule", "mem-a", sender=sender).tag == "NotFound"
        assert world.err("delete_memory_from_capsule", "mem-a", sender=sender).tag == "NotFound"
    assert world.ok("create_capsule", by_principal(OWNER))["id"] == CAPSULE_ID


def test_nothing_is_imported_after_the_end(world: PersonalWorld) -> None:
    world.imported()
    assert world.err("begin_import") == Case("Locked", {"reason": "the canister is its owner's", "until": None})
    assert world.err("put_items", 1, []).tag == "Locked"
    assert world.err("finalize_import", 2).tag == "Locked"
    assert world.err("begin_import", sender=OPERATOR).tag == "Unauthorized"


def test_an_upgrade_keeps_owner_and_content_whatever_its_argument(world: PersonalWorld) -> None:
    world.imported(Case("Memory", memory_record("mem-a")))
    init = {"owner": STRANGER, "backend": STRANGER, "name": "Mine"}
    world.init_arg = encode_args(interface("personal").init_args, [init])
    world.upgrade()
    info = world.call("get_personal_info")
    assert (info["owner"], info["name"], info["capsule_id"]) == (OWNER, None, CAPSULE_ID)
    world.ok("get_memory_from_capsule", "mem-a")


def test_hashing_and_storing_costs_less_than_100_instructions_a_byte(world: PersonalWorld) -> None:
    session = world.begin()
    chunk = bytes(range(250)) * 7_600
    before = world.instructions()
    world.put_chunks(session, "mem-a", [chunk])
    assert (world.instructions() - before) / len(chunk) < 100
    assert pending(world)[0]["chunks"][0]["sha256"] == sha256(chunk)
