"""What an import into the personal canister refuses, how it says so, and that nothing of it is stored."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, STRANGER
from support.personal_world import (
    FRIEND,
    PersonalWorld,
    by_principal,
    capsule_record,
    connection,
    content_checksum,
    gallery,
    group,
    memory_manifest,
    memory_record,
    sha256,
)

CHUNKS = [b"a" * 1000, b"b" * 1000, b"c" * 17]


@pytest.fixture
def world() -> PersonalWorld:
    return PersonalWorld()


def stored(world: PersonalWorld) -> Any:
    status = world.ok("get_import_status", {}, sender=OPERATOR)
    return status["pending"], status["session"]["bytes_received"], world.entries()


def refused_chunk(world: PersonalWorld, session: int, memory_id: str, index: int, data: bytes, checksum: bytes) -> Case:
    before = stored(world)
    problem: Case = world.err("put_memory_chunk", session, memory_id, index, data, checksum, sender=OPERATOR)
    assert stored(world) == before
    return problem


# --- chunks ----------------------------------------------------------------------------------------------------------


def test_a_chunk_above_the_limit_is_refused_with_limit_and_size() -> None:
    world = PersonalWorld(max_chunk_bytes=1000)
    session = world.begin()
    world.put_chunks(session, "mem-a", [bytes(1000)])
    problem = refused_chunk(world, session, "mem-a", 1, bytes(1001), sha256(bytes(1001)))
    assert problem == Case("LimitExceeded", {"what": "bytes of a chunk", "limit": 1000, "actual": 1001})


def test_an_import_above_the_limit_is_refused_with_limit_and_size() -> None:
    world = PersonalWorld(max_import_bytes=2500)
    session = world.begin()
    world.put(session, Case("Memory", memory_record("mem-a", CHUNKS[:2])))
    world.put_chunks(session, "mem-a", CHUNKS[:2])
    world.ok("commit_memory", session, memory_manifest("mem-a", CHUNKS[:2]), sender=OPERATOR)
    problem = refused_chunk(world, session, "mem-b", 0, bytes(501), sha256(bytes(501)))
    assert problem == Case("LimitExceeded", {"what": "bytes of an import", "limit": 2500, "actual": 2501})
    world.put_chunks(session, "mem-b", [bytes(500)])


def test_a_batch_above_the_limit_stores_none_of_its_chunks() -> None:
    world = PersonalWorld(max_import_bytes=1500)
    session = world.begin()
    batch = [
        {"memory_id": "mem-a", "index": index, "bytes": chunk, "sha256": sha256(chunk)}
        for index, chunk in enumerate(CHUNKS)
    ]
    problem = world.err("put_memory_chunks", session, batch, sender=OPERATOR)
    assert problem == Case("LimitExceeded", {"what": "bytes of an import", "limit": 1500, "actual": 2000})
    assert stored(world) == ([], 0, [])


def test_what_was_removed_makes_room_again() -> None:
    world = PersonalWorld(max_import_bytes=1000)
    session = world.begin()
    world.put_chunks(session, "mem-a", [bytes(1000)])
    world.ok("remove_items", session, [{"kind": Case("Memory"), "id": "mem-a"}], sender=OPERATOR)
    world.put_chunks(session, "mem-b", [bytes(1000)])
    (pending,) = world.ok("get_import_status", {}, sender=OPERATOR)["pending"]
    assert (pending["memory_id"], [chunk["index"] for chunk in pending["chunks"]]) == ("mem-b", [0])


def test_a_chunk_with_another_checksum_is_refused(world: PersonalWorld) -> None:
    session = world.begin()
    problem = refused_chunk(world, session, "mem-a", 3, b"damaged", sha256(b"sent"))
    expected = {"what": "chunk 3 of mem-a", "expected": sha256(b"sent"), "actual": sha256(b"damaged")}
    assert problem == Case("ChecksumMismatch", expected)


def test_other_bytes_under_the_same_index_are_a_conflict(world: PersonalWorld) -> None:
    session = world.begin()
    world.put_chunks(session, "mem-a", [b"one"])
    conflict = Case("ChunkConflict", {"memory_id": "mem-a", "index": 0})
    assert refused_chunk(world, session, "mem-a", 0, b"two", sha256(b"two")) == conflict

    world.import_memory(session, "mem-b", CHUNKS)
    conflict = Case("ChunkConflict", {"memory_id": "mem-b", "index": 1})
    assert refused_chunk(world, session, "mem-b", 1, b"two", sha256(b"two")) == conflict


def test_the_same_index_twice_in_a_batch_with_other_bytes_is_a_conflict(world: PersonalWorld) -> None:
    session = world.begin()
    batch = [{"memory_id": "mem-a", "index": 0, "bytes": data, "sha256": sha256(data)} for data in (b"one", b"two")]
    assert world.err("put_memory_chunks", session, batch, sender=OPERATOR).tag == "ChunkConflict"
    assert stored(world) == ([], 0, [])


def test_the_same_chunk_with_another_checksum_is_refused(world: PersonalWorld) -> None:
    session = world.begin()
    world.put_chunks(session, "mem-a", [b"one"])
    assert refused_chunk(world, session, "mem-a", 0, b"one", sha256(b"two")).tag == "ChecksumMismatch"


@pytest.mark.parametrize(
    ("memory_id", "index", "data", "tag"),
    [
        ("", 0, b"x", "InvalidArgument"),
        ("m" * 256, 0, b"x", "LimitExceeded"),
        ("mem-a", 16_384, b"x", "LimitExceeded"),
        ("mem-a", 0, b"", "InvalidArgument"),
    ],
)
def test_a_chunk_that_fits_no_memory_is_refused(
    world: PersonalWorld, memory_id: str, index: int, data: bytes, tag: str
) -> None:
    assert refused_chunk(world, world.begin(), memory_id, index, data, sha256(data)).tag == tag


def test_a_committed_memory_without_bytes_takes_no_chunks(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Memory", memory_record("mem-a")))
    assert refused_chunk(world, session, "mem-a", 0, b"x", sha256(b"x")).tag == "InvalidArgument"


# --- commits ---------------------------------------------------------------------------------------------------------


def refused_commit(world: PersonalWorld, session: int, manifest: dict[str, Any]) -> Case:
    before = stored(world)
    problem: Case = world.err("commit_memory", session, manifest, sender=OPERATOR)
    assert stored(world) == before
    return problem


@pytest.fixture
def staged(world: PersonalWorld) -> int:
    """A session in which all of mem-a has arrived."""
    session = world.begin()
    world.put(session, Case("Memory", memory_record("mem-a", CHUNKS)))
    world.put_chunks(session, "mem-a", CHUNKS)
    return session


def test_a_commit_names_the_chunks_that_are_missing(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Memory", memory_record("mem-a", CHUNKS)))
    world.ok("put_memory_chunk", session, "mem-a", 1, CHUNKS[1], sha256(CHUNKS[1]), sender=OPERATOR)
    problem = refused_commit(world, session, memory_manifest("mem-a", CHUNKS))
    assert problem == Case("MissingChunks", {"memory_id": "mem-a", "missing": [0, 2]})


def test_a_commit_needs_the_memorys_record(world: PersonalWorld) -> None:
    session = world.begin()
    world.put_chunks(session, "mem-a", CHUNKS)
    problem = refused_commit(world, session, memory_manifest("mem-a", CHUNKS))
    assert problem == Case("NotFound", {"kind": "record of pending memory", "id": "mem-a"})


def test_a_commit_of_an_unknown_memory_is_refused(world: PersonalWorld) -> None:
    problem = refused_commit(world, world.begin(), memory_manifest("mem-a", CHUNKS))
    assert problem == Case("NotFound", {"kind": "pending memory", "id": "mem-a"})


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"total_chunks": 2}, "InvalidArgument"),
        (
            {"total_chunks": 2, "chunk_checksums": [sha256(c) for c in CHUNKS[:2]], "total_size": 2000},
            "InvalidArgument",
        ),
        ({"total_size": 2018}, "InvalidArgument"),
        ({"total_size": 3001}, "InvalidArgument"),
        ({"total_size": 2000}, "InvalidArgument"),
        ({"chunk_size": 0}, "InvalidArgument"),
        ({"chunk_size": 999}, "InvalidArgument"),
        ({"chunk_size": 1001}, "InvalidArgument"),
        ({"chunk_checksums": [sha256(CHUNKS[0]), sha256(b"other"), sha256(CHUNKS[2])]}, "ChecksumMismatch"),
        ({"final_checksum": bytes(32)}, "ChecksumMismatch"),
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_what_arrived_is_refused(
    world: PersonalWorld, staged: int, changes: dict[str, Any], tag: str
) -> None:
    assert refused_commit(world, staged, memory_manifest("mem-a", CHUNKS, **changes)).tag == tag


def test_a_commit_compares_with_the_records_own_hash(world: PersonalWorld) -> None:
    session = world.begin()
    other = [b"what the record is about"]
    world.put(session, Case("Memory", memory_record("mem-a", other)))
    world.put_chunks(session, "mem-a", CHUNKS)
    problem = refused_commit(world, session, memory_manifest("mem-a", CHUNKS))
    expected = {
        "what": "blob_ref.hash of mem-a",
        "expected": content_checksum(other),
        "actual": content_checksum(CHUNKS),
    }
    assert problem == Case("ChecksumMismatch", expected)


def test_a_batch_with_one_bad_commit_commits_none(world: PersonalWorld, staged: int) -> None:
    manifests = [memory_manifest("mem-a", CHUNKS), memory_manifest("mem-b", CHUNKS)]
    before = stored(world)
    assert world.err("commit_memories", staged, manifests, sender=OPERATOR).tag == "NotFound"
    assert stored(world) == before


def test_another_content_of_a_committed_memory_is_not_committed(world: PersonalWorld, staged: int) -> None:
    world.ok("commit_memory", staged, memory_manifest("mem-a", CHUNKS), sender=OPERATOR)
    assert refused_commit(world, staged, memory_manifest("mem-a", [b"x"])).tag == "NotFound"


# --- items -----------------------------------------------------------------------------------------------------------

INFO = memory_record("mem-a")["info"]
BASE = memory_record("mem-a")["metadata"].value["base"]


def nested(depth: int) -> Case:
    rule = Case("Public")
    for _ in range(depth):
        rule = Case("Scheduled", {"accessible_after": 0, "access": rule})
    return rule


@pytest.mark.parametrize(
    ("item", "tag"),
    [
        (Case("Capsule", capsule_record(subject=by_principal(STRANGER))), "InvalidArgument"),
        (Case("Capsule", capsule_record(owners=[])), "InvalidArgument"),
        (Case("Capsule", capsule_record(id="")), "InvalidArgument"),
        (Case("Memory", memory_record("")), "InvalidArgument"),
        (Case("Memory", memory_record("mem-a", info=INFO | {"name": "x" * 256})), "LimitExceeded"),
        (Case("Memory", memory_record("mem-a", info=INFO | {"memory_type": Case("Note")})), "InvalidArgument"),
        (
            Case("Memory", memory_record("mem-a", metadata=Case("Document", {"base": BASE | {"mime_type": ""}}))),
            "InvalidArgument",
        ),
        (Case("Memory", memory_record("mem-a", access=nested(8))), "LimitExceeded"),
        (
            Case("Memory", memory_record("mem-a", blob_ref={"kind": Case("ICPCapsule"), "locator": "", "hash": b"x"})),
            "InvalidArgument",
        ),
        (Case("Gallery", gallery("gal-a", title="")), "InvalidArgument"),
        (Case("Gallery", gallery("gal-a", *["m"] * 5001)), "LimitExceeded"),
        (Case("Connection", connection(Case("Opaque", ""))), "InvalidArgument"),
        (Case("ConnectionGroup", group("group-a", Case("Opaque", ""))), "InvalidArgument"),
    ],
    ids=str,
)
def test_a_record_that_no_capsule_would_have_is_refused_with_all_of_its_batch(
    world: PersonalWorld, item: Case, tag: str
) -> None:
    session = world.begin()
    batch = [Case("Memory", memory_record("mem-good")), Case("Connection", connection(by_principal(FRIEND))), item]
    assert world.err("put_items", session, batch, sender=OPERATOR).tag == tag
    assert stored(world) == ([], 0, [])


def test_another_capsule_is_not_imported_over_the_first(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()))
    problem = world.err("put_items", session, [Case("Capsule", capsule_record(id="cap-2"))], sender=OPERATOR)
    assert problem.tag == "InvalidArgument"


def test_more_galleries_than_a_reply_can_carry_are_refused_as_a_batch(world: PersonalWorld) -> None:
    session = world.begin()
    large = {"description": "ž" * 10_000}  # of two bytes each, so that a batch of 100 is enough
    galleries = [Case("Gallery", gallery(f"gal-{number}", **large)) for number in range(100)]
    problem = world.err("put_items", session, galleries, sender=OPERATOR)
    assert problem.tag == "LimitExceeded"
    assert problem.value["limit"] == 1_950_000
    assert stored(world) == ([], 0, [])
    world.put(session, *galleries[:90])


# --- the end ---------------------------------------------------------------------------------------------------------


def test_an_import_without_the_capsules_record_is_not_finalized(world: PersonalWorld) -> None:
    problem = world.err("finalize_import", world.begin(), sender=OPERATOR)
    assert problem == Case("NotFound", {"kind": "capsule record", "id": ""})


def test_an_import_with_pending_memories_is_not_finalized(world: PersonalWorld, staged: int) -> None:
    world.put(staged, Case("Capsule", capsule_record()))
    problem = world.err("finalize_import", staged, sender=OPERATOR)
    assert problem.tag == "InvalidArgument"
    assert "1 memories are not committed, mem-a first" in problem.value["reason"]
    world.ok("commit_memory", staged, memory_manifest("mem-a", CHUNKS), sender=OPERATOR)
    world.ok("finalize_import", staged, sender=OPERATOR)


def test_an_import_whose_galleries_name_unknown_memories_is_not_finalized(world: PersonalWorld) -> None:
    session = world.begin()
    world.put(session, Case("Capsule", capsule_record()), Case("Gallery", gallery("gal-a", "mem-a")))
    problem = world.err("finalize_import", session, sender=OPERATOR)
    assert problem == Case("NotFound", {"kind": "memory of gallery gal-a", "id": "mem-a"})
    assert world.call("get_personal_info")["import_state"].tag == "Active"


def test_steps_without_a_session_are_refused(world: PersonalWorld) -> None:
    assert world.err("put_items", 1, [], sender=OPERATOR) == Case("NotFound", {"kind": "import session", "id": "1"})
