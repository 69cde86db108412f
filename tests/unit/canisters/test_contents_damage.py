"""Contents that are damaged, deleted or abandoned: typed errors, nothing half-stored, nothing that isn't given back."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR, OWNER, STRANGER, World
from support.contents_sides import SIDES, content, damage
from support.personal_world import PersonalWorld, inline, memory_record, new_memory, sha256

both = pytest.mark.parametrize("name", SIDES)


def is_damage(answer: Any, bytes_: bytes) -> bool:
    """Whether it is the error of a chunk whose bytes were these."""
    return bool(
        answer.tag == "Err"
        and answer.value.tag == "ChecksumMismatch"
        and answer.value.value["what"].startswith("the stored chunk 0 of ")
        and answer.value.value["expected"] == sha256(bytes_)
        and answer.value.value["actual"] != sha256(bytes_)
    )


@both
def test_a_damaged_chunk_is_an_error_wherever_it_is_read_and_the_others_are_as_before(name: str) -> None:
    side = SIDES[name]()
    damaged, whole = side.put(content(1)), side.put(content(2))
    side.damage(content(1))
    assert is_damage(side.read(damaged), content(1))
    assert is_damage(side.world.call("get_memory_from_capsule", damaged, sender=OWNER), content(1))
    assert side.read(whole) == Case("Ok", content(2))
    assert side.books()["consistent"]
    side.delete(damaged)
    again = side.put(content(1))
    assert side.read(again) == Case("Ok", content(1))


def test_a_damaged_part_of_a_chunk_is_found_too() -> None:
    side = SIDES["backend"]()
    pieces = [side.put(content(number)[:100_000]) for number in range(4)]
    side.delete(pieces[0])
    side.delete(pieces[2])
    memory_id = side.put(content(9)[:200_000])
    assert side.books()["extents"] == 4
    side.damage(content(9)[:190_000])
    assert is_damage(side.read(memory_id), content(9)[:200_000])


def test_a_damaged_chunk_does_not_leave_in_an_export() -> None:
    world = World()
    world.capsule()
    memory_id = world.ok("add_memory_to_capsule", inline(content(1)), new_memory(), sender=OWNER)
    lease = world.exporting()
    assert world.ok("read_export_chunk", lease, memory_id, 0, sender=OPERATOR) == content(1)
    damage(world.backend_state, content(1))
    refusal = world.err("read_export_chunk", lease, memory_id, 0, sender=OPERATOR)
    assert refusal["message"].startswith(f"Export: the stored chunk 0 of {memory_id} is damaged")
    assert not refusal["retry_helps"]


def test_the_same_chunk_again_says_that_the_stored_one_is_damaged() -> None:
    world = PersonalWorld()
    session = world.begin()
    chunk = (session, "mem-1", 0, content(1), sha256(content(1)))
    assert world.call("put_memory_chunk", *chunk, sender=OPERATOR) == Case("Ok")
    damage(world.state(world.personal), content(1))
    assert is_damage(world.call("put_memory_chunk", *chunk, sender=OPERATOR), content(1))


def test_a_chunk_with_another_checksum_takes_no_space() -> None:
    side = SIDES["personal"]()
    session = side.world.ok("begin_import", sender=OPERATOR)["id"]
    kept = side.put(content(1))
    before = side.books()
    part = content(2)[:900_000]
    good = {"memory_id": "m", "index": 0, "bytes": part, "sha256": sha256(part)}
    bad = {"memory_id": "m", "index": 1, "bytes": part, "sha256": sha256(b"another")}
    refusal = side.world.err("put_memory_chunks", session, [good, bad], sender=OPERATOR)
    assert refusal.tag == "ChecksumMismatch"
    assert {**side.books(), "region_bytes": 0} == {**before, "region_bytes": 0}
    assert side.read(kept) == Case("Ok", content(1))


def test_inline_data_with_another_checksum_takes_no_space() -> None:
    side = SIDES["backend"]()
    side.put(content(1))
    before = side.books()
    data = inline(content(2))
    data["blob_ref"]["hash"] = sha256(b"another")
    assert side.world.err("add_memory_to_capsule", data, new_memory(), sender=OWNER).tag == "ChecksumMismatch"
    assert {**side.books(), "region_bytes": 0} == {**before, "region_bytes": 0}


def test_what_is_deleted_during_an_export_is_gone_and_its_space_is_used_again() -> None:
    world = World()
    world.capsule()
    ids = [world.ok("add_memory_to_capsule", inline(content(n)), new_memory(), sender=OWNER) for n in range(3)]
    lease = world.exporting()
    region = world.backend_state.stable.size_bytes
    assert world.call("delete_memory_from_capsule", ids[1], sender=OWNER) == Case("Ok")
    gone = f"Export: there is no memory {ids[1]} in the capsule (any more); list its entries again."
    assert world.err("read_export_chunk", lease, ids[1], 0, sender=OPERATOR)["message"] == gone
    assert world.err("get_export_memory_manifests", lease, ids, sender=OPERATOR)["message"] == gone
    other = world.ok("add_memory_to_capsule", inline(content(7)), new_memory(), sender=OWNER)
    assert world.backend_state.stable.size_bytes == region
    for memory_id, number in ((ids[0], 0), (ids[2], 2), (other, 7)):
        assert world.ok("read_export_chunk", lease, memory_id, 0, sender=OPERATOR) == content(number)


def test_an_abandoned_import_holds_its_chunks_until_the_next_one_drops_them() -> None:
    side = SIDES["personal"]()
    session = side.world.ok("begin_import", sender=OPERATOR)["id"]
    record = Case("Memory", memory_record("mem-x", [content(1)]))
    assert side.world.call("put_items", session, [record], sender=OPERATOR) == Case("Ok")
    chunk = ("mem-x", 0, content(1), sha256(content(1)))
    assert side.world.call("put_memory_chunk", session, *chunk, sender=OPERATOR) == Case("Ok")
    side.world.advance(4_000)
    late = side.world.err("put_memory_chunk", session, "mem-x", 1, b"late", sha256(b"late"), sender=OPERATOR)
    assert late.tag == "SessionExpired"
    next_session = side.world.ok("begin_import", sender=OPERATOR)["id"]
    assert side.books()["chunks"] == 1
    changed = Case("Memory", memory_record("mem-x", [content(2)]))
    assert side.world.call("put_items", next_session, [changed], sender=OPERATOR) == Case("Ok")
    assert side.books()["held_bytes"] == 0


def test_an_abandoned_upload_gives_its_chunks_back() -> None:
    side = SIDES["backend"]()
    upload = {"memory": new_memory(), "total_size": 2_000_000, "chunk_size": 1_000_000}
    begun = side.world.ok("begin_memory_upload", upload, sender=OWNER)["upload_id"]
    part = content(1)[:1_000_000]
    assert side.world.call("put_memory_upload_chunk", begun, 0, part, sha256(part), sender=OWNER) == Case("Ok")
    assert side.books()["held_bytes"] == 1_000_000
    side.world.advance(4_000)
    side.world.ok("begin_memory_upload", upload, sender=OWNER)
    assert side.books()["held_bytes"] == 0


def test_an_import_that_could_have_more_than_60_gb_is_not_begun() -> None:
    world = PersonalWorld(max_import_bytes=60_000_000_001)
    limits = {"what": "bytes of all contents", "limit": 60_000_000_000, "actual": 60_000_000_001}
    assert world.err("begin_import", sender=OPERATOR) == Case("LimitExceeded", limits)


@both
def test_controllers_alone_audit_contents(name: str) -> None:
    side = SIDES[name]()
    side.put(b"a note")
    assert side.world.err("audit_contents", sender=STRANGER).tag == "Unauthorized"
    assert side.books()["held_bytes"] == 16
