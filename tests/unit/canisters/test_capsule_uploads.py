"""Uploads of memories chunk by chunk (on the personal canister; the backend runs the same modules)."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.personal_world import CAPSULE_ID, FRIEND, PersonalWorld, content_checksum, inline, new_memory, sha256


@pytest.fixture
def world() -> PersonalWorld:
    world = PersonalWorld()
    world.imported()
    return world


CHUNKS = [b"a" * 1000, b"b" * 1000, b"c" * 17]


def begin(world: PersonalWorld, total_size: int = 2017, chunk_size: int = 1000, **changes: Any) -> int:
    request = {"memory": new_memory(**changes), "total_size": total_size, "chunk_size": chunk_size}
    upload_id: int = world.ok("begin_memory_upload", request)["upload_id"]
    return upload_id


def put(world: PersonalWorld, upload_id: int, index: int, data: bytes) -> Case:
    answer: Case = world.call("put_memory_upload_chunk", upload_id, index, data, sha256(data))
    return answer


def test_an_upload_in_any_order_becomes_a_memory(world: PersonalWorld) -> None:
    upload_id = begin(world)
    for index in (2, 0):
        assert put(world, upload_id, index, CHUNKS[index]).tag == "Ok"
    assert world.ok("get_memory_upload", upload_id)["missing_chunks"] == [1]
    assert world.err("commit_memory_upload", upload_id).value["missing"] == [1]
    put(world, upload_id, 1, CHUNKS[1])
    memory_id = world.ok("commit_memory_upload", upload_id)

    memory = world.ok("get_memory_from_capsule", memory_id)
    assert memory["data"]["data"] is None, "several chunks are read one by one"
    assert memory["data"]["blob_ref"]["hash"] == content_checksum(CHUNKS)
    assert memory["metadata"].value["base"]["size"] == 2017
    assert [world.ok("read_memory_chunk", memory_id, index) for index in range(3)] == CHUNKS
    assert world.err("read_memory_chunk", memory_id, 3).tag == "InvalidArgument"
    assert world.ok("commit_memory_upload", upload_id) == memory_id, "a repeated commit makes no second memory"
    assert world.ok("list_capsule_memories", None, {})["total"] == 1


def test_the_same_chunk_again_is_a_success_and_another_a_conflict(world: PersonalWorld) -> None:
    upload_id = begin(world)
    assert put(world, upload_id, 0, CHUNKS[0]).tag == "Ok"
    assert put(world, upload_id, 0, CHUNKS[0]).tag == "Ok"
    assert put(world, upload_id, 0, b"x" * 1000).value.tag == "ChunkConflict"


def test_a_chunk_is_compared_with_its_checksum(world: PersonalWorld) -> None:
    upload_id = begin(world)
    problem = world.err("put_memory_upload_chunk", upload_id, 0, CHUNKS[0], sha256(b"other"))
    assert (problem.tag, problem.value["actual"]) == ("ChecksumMismatch", sha256(CHUNKS[0]))
    assert world.ok("get_memory_upload", upload_id)["missing_chunks"] == [0, 1, 2]


@pytest.mark.parametrize(("index", "size"), [(0, 999), (0, 1001), (2, 16), (2, 1000), (3, 1)])
def test_a_chunk_of_another_length_is_refused(world: PersonalWorld, index: int, size: int) -> None:
    assert put(world, begin(world), index, bytes(size)).value.tag == "InvalidArgument"


@pytest.mark.parametrize(
    ("total_size", "chunk_size", "tag"),
    [
        (1_073_741_825, 2_000_000, "LimitExceeded"),
        (10_000_000, 2_000_001, "LimitExceeded"),
        (10, 0, "InvalidArgument"),
        (16_385, 1, "LimitExceeded"),
    ],
)
def test_an_upload_beyond_the_limits_is_refused(
    world: PersonalWorld, total_size: int, chunk_size: int, tag: str
) -> None:
    request = {"memory": new_memory(), "total_size": total_size, "chunk_size": chunk_size}
    assert world.err("begin_memory_upload", request).tag == tag


def test_an_upload_of_as_many_bytes_as_can_be_asked_for_is_refused_beside_what_is_stored(world: PersonalWorld) -> None:
    world.ok("add_memory_to_capsule", inline(b"Dear all"), new_memory())
    request = {"memory": new_memory(), "total_size": 2**64 - 1, "chunk_size": 2_000_000}
    limits = {"what": "bytes of an upload", "limit": 1_073_741_824, "actual": 2**64 - 1}
    assert world.err("begin_memory_upload", request) == Case("LimitExceeded", limits)


def test_a_caller_has_so_many_uploads_at_once(world: PersonalWorld) -> None:
    uploads = [begin(world) for _ in range(8)]
    request = {"memory": new_memory(), "total_size": 1, "chunk_size": 1}
    problem = world.err("begin_memory_upload", request)
    assert problem == Case("LimitExceeded", {"what": "uploads in progress of a caller", "limit": 8, "actual": 9})
    world.ok("abort_memory_upload", uploads[0])
    assert world.err("get_memory_upload", uploads[0]).tag == "NotFound"
    begin(world)


def test_an_upload_expires_without_activity_and_makes_room(world: PersonalWorld) -> None:
    uploads = [begin(world) for _ in range(8)]
    world.advance(3000)
    put(world, uploads[0], 0, CHUNKS[0])
    world.advance(600)
    expired = {"session": uploads[1], "expired_at": world.now_ns}
    assert put(world, uploads[1], 0, CHUNKS[0]).value == Case("SessionExpired", expired)
    assert put(world, uploads[0], 1, CHUNKS[1]).tag == "Ok"
    for _ in range(7):
        begin(world)


def test_an_upload_is_its_beginners_alone(world: PersonalWorld) -> None:
    upload_id = begin(world)
    assert world.err("get_memory_upload", upload_id, sender=FRIEND).tag == "NotFound"
    assert world.err("commit_memory_upload", upload_id, sender=FRIEND).tag == "NotFound"
    assert world.err("abort_memory_upload", upload_id, sender=FRIEND).tag == "NotFound"
    request = {"memory": new_memory(capsule_id=CAPSULE_ID), "total_size": 1, "chunk_size": 1}
    assert world.err("begin_memory_upload", request, sender=FRIEND).tag == "NotFound"


def test_an_upload_survives_an_upgrade(world: PersonalWorld) -> None:
    upload_id = begin(world)
    put(world, upload_id, 0, CHUNKS[0])
    world.upgrade()
    assert world.ok("get_memory_upload", upload_id)["missing_chunks"] == [1, 2]


def test_an_upload_of_nothing_is_an_empty_memory(world: PersonalWorld) -> None:
    memory_id = world.ok("commit_memory_upload", begin(world, total_size=0))
    assert world.ok("get_memory_from_capsule", memory_id)["data"]["data"] == b""
