"""Memories with their bytes inline, as the owner of a capsule and other people see them (on the personal canister; the
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
