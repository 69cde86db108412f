"""Memories, inline and by upload, as the owner of a capsule and other people see them (on the personal canister; the
backend runs the same modules)."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import ANONYMOUS, OWNER, START_NS, STRANGER
from support.personal_world import (
    CAPSULE_ID,
    FRIEND,
    PersonalWorld,
    by_principal,
    content_checksum,
    gallery_entries,
    inline,
    new_memory,
    sha256,
)


@pytest.fixture
def world() -> PersonalWorld:
    world = PersonalWorld()
    world.imported()
    return world


def add(world: PersonalWorld, data: bytes | None = b"Dear all", **changes: Any) -> str:
    memory_id: str = world.ok("add_memory_to_capsule", inline(data), new_memory(**changes))
    return memory_id


# --- inline ----------------------------------------------------------------------------------------------------------


def test_a_memory_is_read_as_it_was_added(world: PersonalWorld) -> None:
    memory_id = add(world, date_of_memory=951_782_400_000_000_000)
    memory = world.ok("get_memory_from_capsule", memory_id)
    assert memory["data"]["data"] == b"Dear all"
    assert memory["data"]["blob_ref"] == {
        "kind": Case("ICPCapsule"),
        "locator": memory_id,
        "hash": content_checksum([b"Dear all"]),
    }
    assert memory["info"]["name"] == "letter"
    assert memory["info"]["created_at"] == START_NS
    assert memory["access"] == Case("Private")
    assert memory["metadata"].value["base"] == {
        "size": 8,
        "mime_type": "text/plain",
        "original_name": "letter",
        "uploaded_at": "2023-11-14T22:13:20Z",
        "date_of_memory": "2000-02-29T00:00:00Z",
        "people_in_memory": None,
        "format": None,
    }


@pytest.mark.parametrize("kind", ["Image", "Video", "Audio", "Document", "Note"])
def test_each_kind_of_memory_gets_metadata_of_its_kind(world: PersonalWorld, kind: str) -> None:
    memory_id = add(world, memory_type=Case(kind))
    assert world.ok("get_memory_from_capsule", memory_id)["metadata"].tag == kind


def test_metadata_that_was_given_is_kept(world: PersonalWorld) -> None:
    base = {
        "size": 3,
        "mime_type": "image/png",
        "original_name": "a.png",
        "uploaded_at": "",
        "people_in_memory": ["Ada"],
    }
    memory_id = add(world, memory_type=Case("Image"), metadata=Case("Image", {"base": base, "dimensions": (640, 480)}))
    metadata = world.ok("get_memory_from_capsule", memory_id)["metadata"].value
    assert metadata["dimensions"] == (640, 480)
    assert metadata["base"]["people_in_memory"] == ["Ada"]


def test_an_empty_file_is_a_memory_too(world: PersonalWorld) -> None:
    memory_id = add(world, b"")
    data = world.ok("get_memory_from_capsule", memory_id)["data"]
    assert (data["data"], data["blob_ref"]["hash"]) == (b"", sha256(b""))


def test_a_memory_may_have_no_bytes_or_have_them_elsewhere(world: PersonalWorld) -> None:
    data = world.ok("get_memory_from_capsule", add(world, None))["data"]
    assert (data["data"], data["blob_ref"]["hash"]) == (None, None)

    elsewhere = {"kind": Case("MemoryBlobKindExternal"), "locator": "https://example.org/a", "hash": bytes(32)}
    memory_id = world.ok("add_memory_to_capsule", {"blob_ref": elsewhere}, new_memory())
    assert world.ok("get_memory_from_capsule", memory_id)["data"]["blob_ref"] == elsewhere


@pytest.mark.parametrize(
    ("data", "changes", "tag"),
    [
        (inline(bytes(2_000_001)), {}, "LimitExceeded"),
        (inline(b""), {"name": ""}, "InvalidArgument"),
        (inline(b""), {"name": "x" * 256}, "LimitExceeded"),
        (inline(b""), {"content_type": ""}, "InvalidArgument"),
        (
            inline(b""),
            {
                "metadata": Case(
                    "Note", {"base": {"size": 0, "mime_type": "a", "original_name": "a", "uploaded_at": ""}}
                )
            },
            "InvalidArgument",
        ),
        (inline(b""), {"access": Case("Custom", {"individuals": [], "groups": ["unknown"]})}, "NotFound"),
        (inline(b""), {"capsule_id": "cap-unknown"}, "NotFound"),
        ({"blob_ref": {"kind": Case("MemoryBlobKindExternal"), "locator": ""}}, {}, "InvalidArgument"),
        ({"blob_ref": {"kind": Case("MemoryBlobKindExternal"), "locator": "x"}, "data": b"x"}, {}, "InvalidArgument"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_memory_that_makes_no_sense_is_refused(
    world: PersonalWorld, data: dict[str, Any], changes: dict[str, Any], tag: str
) -> None:
    assert world.err("add_memory_to_capsule", data, new_memory(**changes)).tag == tag
    assert world.ok("list_capsule_memories", None, {})["total"] == 0


def test_an_update_changes_what_it_names_and_nothing_else(world: PersonalWorld) -> None:
    memory_id = add(world)
    world.advance(5)
    world.ok("update_memory_in_capsule", memory_id, {"info": {"name": "postcard"}})
    memory = world.ok("get_memory_from_capsule", memory_id)
    assert (memory["info"]["name"], memory["info"]["content_type"]) == ("postcard", "text/plain")
    assert memory["info"]["updated_at"] == START_NS + 5_000_000_000
    assert memory["info"]["uploaded_at"] == START_NS
    assert memory["data"]["data"] == b"Dear all"

    world.ok("update_memory_in_capsule", memory_id, {"data": inline(b"new"), "access": Case("Public")})
    memory = world.ok("get_memory_from_capsule", memory_id)
    assert (memory["data"]["data"], memory["access"]) == (b"new", Case("Public"))
    assert memory["data"]["blob_ref"]["hash"] == content_checksum([b"new"])
    assert memory["info"]["name"] == "postcard"


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        ({"info": {"name": ""}}, "InvalidArgument"),
        ({"metadata": Case("Note", {"base": {"size": 0, "mime_type": "a", "original_name": "a", "uploaded_at": ""}})},
         "InvalidArgument"),
        ({"data": inline(None)}, "InvalidArgument"),
    ],
    ids=str,
)  # fmt: skip
def test_an_update_that_makes_no_sense_changes_nothing(world: PersonalWorld, change: dict[str, Any], tag: str) -> None:
    memory_id = add(world)
    before = world.ok("get_memory_from_capsule", memory_id)
    assert world.err("update_memory_in_capsule", memory_id, change).tag == tag
    assert world.ok("get_memory_from_capsule", memory_id) == before


def test_a_deleted_memory_is_gone_from_galleries_too(world: PersonalWorld) -> None:
    first, second = add(world), add(world)
    entries = gallery_entries(first, second, first)
    gallery_id = world.ok("store_gallery_forever", {"title": "A", "is_public": True, "memory_entries": entries})["id"]
    world.ok("delete_memory_from_capsule", first)

    assert world.err("get_memory_from_capsule", first) == Case("NotFound", {"kind": "memory", "id": first})
    assert world.err("delete_memory_from_capsule", first).tag == "NotFound"
    left = world.ok("get_gallery_by_id", gallery_id)["memory_entries"]
    assert [entry["memory_id"] for entry in left] == [second]


def test_memories_are_listed_page_by_page_in_the_order_of_their_making(world: PersonalWorld) -> None:
    ids = [add(world, b"x", name=f"letter {number}") for number in range(5)]
    first = world.ok("list_capsule_memories", None, {"limit": 2})
    assert [item["memory"]["id"] for item in first["items"]] == ids[:2]
    assert (first["next"], first["total"]) == (ids[1], 5)
    assert (first["items"][0]["size"], first["items"][0]["total_chunks"]) == (1, 1)
    second = world.ok("list_capsule_memories", CAPSULE_ID, {"limit": 3, "after": first["next"]})
    assert [item["memory"]["id"] for item in second["items"]] == ids[2:]
    assert second["next"] is None


# --- who reads -------------------------------------------------------------------------------------------------------


def readers(world: PersonalWorld, memory_id: str) -> set[str]:
    people = {"owner": OWNER, "friend": FRIEND, "stranger": STRANGER, "anonymous": ANONYMOUS}
    allowed = set()
    for name, sender in people.items():
        answer = world.call("get_memory_from_capsule", memory_id, sender=sender)
        assert answer.tag == "Ok" or answer.value.tag == "NotFound"
        chunk = world.call("read_memory_chunk", memory_id, 0, sender=sender)
        assert chunk.tag == answer.tag, "bytes are guarded like the memory"
        listed = world.call("list_capsule_memories", CAPSULE_ID, {}, sender=sender)
        assert len(listed.value["items"]) == (answer.tag == "Ok")
        if answer.tag == "Ok":
            allowed.add(name)
    return allowed


EVERYONE = {"owner", "friend", "stranger", "anonymous"}


def named(*people: Case, groups: tuple[str, ...] = ()) -> Case:
    return Case("Custom", {"individuals": list(people), "groups": list(groups)})


def test_a_private_memory_is_read_by_its_owner_only(world: PersonalWorld) -> None:
    assert readers(world, add(world)) == {"owner"}


def test_a_public_memory_is_read_by_everyone(world: PersonalWorld) -> None:
    assert readers(world, add(world, access=Case("Public"))) == EVERYONE


def test_a_memory_for_certain_people_is_read_by_them(world: PersonalWorld) -> None:
    access = named(by_principal(FRIEND), Case("Opaque", STRANGER.to_str()))
    assert readers(world, add(world, access=access)) == {"owner", "friend"}


def test_a_memory_for_a_group_is_read_by_its_members_as_they_are_now(world: PersonalWorld) -> None:
    family = world.ok("create_connection_group", {"name": "Family", "members": [by_principal(FRIEND)]})
    memory_id = add(world, access=named(groups=(family,)))
    assert readers(world, memory_id) == {"owner", "friend"}
    world.ok("update_connection_group", family, {"members": [by_principal(STRANGER)]})
    assert readers(world, memory_id) == {"owner", "stranger"}
    world.ok("delete_connection_group", family)
    assert readers(world, memory_id) == {"owner"}


@pytest.mark.parametrize("status", ["Blocked", "Revoked"])
def test_whoever_was_blocked_reads_nothing_by_name_or_group(world: PersonalWorld, status: str) -> None:
    family = world.ok("create_connection_group", {"name": "Family", "members": [by_principal(FRIEND)]})
    memory_id = add(world, access=named(by_principal(FRIEND), groups=(family,)))
    world.ok("add_connection", by_principal(FRIEND))
    assert readers(world, memory_id) == {"owner", "friend"}
    world.ok("update_connection_status", by_principal(FRIEND), Case(status))
    assert readers(world, memory_id) == {"owner"}


def test_a_scheduled_memory_opens_at_its_time(world: PersonalWorld) -> None:
    at = START_NS + 60_000_000_000
    access = Case("Scheduled", {"accessible_after": at, "access": named(by_principal(FRIEND))})
    memory_id = add(world, access=access)
    world.advance(59)
    assert readers(world, memory_id) == {"owner"}
    world.advance(1)
    assert readers(world, memory_id) == {"owner", "friend"}


def test_a_memory_opens_after_the_event_that_was_recorded(world: PersonalWorld) -> None:
    access = Case("EventTriggered", {"trigger_event": Case("Anniversary", 25), "access": Case("Public")})
    memory_id = add(world, access=access)
    world.ok("record_capsule_event", CAPSULE_ID, Case("Anniversary", 24))
    assert readers(world, memory_id) == {"owner"}
    assert world.err("record_capsule_event", CAPSULE_ID, Case("Anniversary", 25), sender=FRIEND).tag == "NotFound"
    for _ in range(2):
        world.ok("record_capsule_event", CAPSULE_ID, Case("Anniversary", 25))
    assert readers(world, memory_id) == EVERYONE


def test_nested_rules_must_all_be_met(world: PersonalWorld) -> None:
    inner = Case(
        "EventTriggered", {"trigger_event": Case("Custom", "graduated"), "access": named(by_principal(FRIEND))}
    )
    access = Case("Scheduled", {"accessible_after": START_NS + 10_000_000_000, "access": inner})
    memory_id = add(world, access=access)
    world.ok("record_capsule_event", CAPSULE_ID, Case("Custom", "graduated"))
    assert readers(world, memory_id) == {"owner"}
    world.advance(10)
    assert readers(world, memory_id) == {"owner", "friend"}


def test_others_change_nothing(world: PersonalWorld) -> None:
    memory_id = add(world, access=Case("Public"))
    for sender in (FRIEND, ANONYMOUS):
        assert (
            world.err("update_memory_in_capsule", memory_id, {"info": {"name": "x"}}, sender=sender).tag
            == "Unauthorized"
        )
        assert world.err("delete_memory_from_capsule", memory_id, sender=sender).tag == "Unauthorized"
        named_capsule = new_memory(capsule_id=CAPSULE_ID)
        refused = world.err("add_memory_to_capsule", inline(b"x"), named_capsule, sender=sender)
        assert refused.tag == ("Unauthorized" if sender == ANONYMOUS else "NotFound")


# --- uploads ---------------------------------------------------------------------------------------------------------

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
    add(world)
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
