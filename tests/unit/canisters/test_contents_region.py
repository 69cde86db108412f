"""Contents in stable memory, on the built modules: far beyond 4 GiB, up to the limits, after many deletes.

A variant of each module, whose upgrade takes what lies between its contents and just below the next mark, stands for
the years of uploads that would fill so much. Needs Node.js and the compiler, and skips without them.
"""

from __future__ import annotations

import pytest

from canister_factory.candid.values import Case
from support.contents_sides import CHUNK, MARKS, REGION_BYTES, SIDES, Side, content, variant
from support.motoko_compiler import require_compiler

GIB = 1 << 30
CONTENT_LIMIT = 60_000_000_000
SLABS = 2 * 4_096
"""Bytes of the region that the tree of a few items takes, and keeps: a slab of inner nodes and one of leaves."""

both = pytest.mark.parametrize("name", SIDES)


@pytest.fixture(autouse=True)
def compiler(request: pytest.FixtureRequest) -> None:
    """What builds the variant, where the test needs it."""
    if request.node.get_closest_marker("timeout"):
        require_compiler()


@pytest.mark.timeout(600)  # the first one fetches the compiler
@both
def test_contents_lie_below_and_above_4_32_and_60_gib(name: str) -> None:
    side = SIDES[name]()
    side.leave_books_out()
    contents = {side.put(content(0)): content(0)}
    for number, mark in enumerate(MARKS):
        side.upgrade(variant(name))
        assert side.stable_bytes <= mark
        below, above = content(2 * number + 1), content(2 * number + 2)
        contents[side.put(below)] = below
        assert side.stable_bytes <= mark + 3 * GIB
        contents[side.put(above)] = above
        assert side.stable_bytes > mark
    side.upgrade(None)
    for memory_id, expected in contents.items():
        assert side.read(memory_id) == Case("Ok", expected)


def filled(side: Side, name: str, times: int) -> None:
    """Takes space that nobody holds, up to a mark each time."""
    side.leave_books_out()
    for _ in range(times):
        side.upgrade(variant(name))


@pytest.mark.timeout(600)
@both
def test_a_full_region_refuses_what_is_too_much_and_keeps_nothing_of_it(name: str) -> None:
    side = SIDES[name]()
    filled(side, name, len(MARKS) + 1)
    kept = side.put(content(1))
    before, region = side.books(), side.stable_bytes
    assert REGION_BYTES - before["taken_bytes"] < CHUNK
    refusal = side.refused(content(2))
    assert refusal.tag == "LimitExceeded"
    assert refusal.value["what"] == "bytes of stable memory that this canister can get"
    assert side.books() == before
    assert side.stable_bytes == region
    assert side.read(kept) == Case("Ok", content(1))


@pytest.mark.timeout(600)
def test_at_60_gb_in_all_no_upload_is_begun_and_bytes_are_replaced_by_as_many_but_not_by_more() -> None:
    side = SIDES["backend"]()
    memory_id = side.put(content(1))
    filled(side, "backend", len(MARKS))  # above 60 GB, which the variant allows
    side.upgrade(None)
    new = {"memory_type": Case("Document"), "name": "a", "content_type": "text/plain"}
    upload = {"memory": new, "total_size": 1, "chunk_size": 1}
    refusal = side.world.err("begin_memory_upload", upload, sender=side.owner)
    contents = side.books()["taken_bytes"] - SLABS
    assert refusal == Case(
        "LimitExceeded",
        {"what": "bytes of all contents", "limit": CONTENT_LIMIT, "actual": contents + 1},
    )
    assert side.refused(b"1").value["what"] == "bytes of all contents"

    before = side.books()
    assert replaced(side, memory_id, content(2)) == Case("Ok")
    assert replaced(side, memory_id, content(3) + bytes(1_000)).value.value["what"] == "bytes of all contents"
    assert side.read(memory_id) == Case("Ok", content(2))
    assert side.books()["taken_bytes"] == before["taken_bytes"]


def replaced(side: Side, memory_id: str, content: bytes) -> Case:
    data = {"blob_ref": {"kind": Case("ICPCapsule"), "locator": "", "hash": None}, "data": content}
    answer: Case = side.world.call("update_memory_in_capsule", memory_id, {"data": data}, sender=side.owner)
    return answer


# --- what is used again ----------------------------------------------------------------------------------------------


@both
def test_a_chunk_that_no_hole_can_take_is_split_over_several_and_comes_back_whole(name: str) -> None:
    side = SIDES[name]()
    pieces = [side.put(content(number)[:100_000]) for number in range(8)]
    for piece in pieces[::2]:
        side.delete(piece)
    end = side.books()["taken_bytes"] + side.books()["free_bytes"]
    whole = side.put(content(9)[:350_001])
    books = side.books()
    assert (books["extents"], books["chunks"]) == (4 + 4, 4 + 1)
    assert books["taken_bytes"] + books["free_bytes"] == end, "the holes were enough"
    assert side.read(whole) == Case("Ok", content(9)[:350_001])
    side.delete(whole)
    assert side.books()["extents"] == 4


@both
def test_what_is_deleted_is_used_again_and_the_region_grows_no_more(name: str) -> None:
    side = SIDES[name]()
    held = [side.put(content(number)) for number in range(6)]
    region = side.stable_bytes
    for round_ in range(3):
        for number in range(0, 6, 2):
            side.delete(held[number])
            held[number] = side.put(content(10 + round_ + number)[: CHUNK - 31 * round_])
    assert side.stable_bytes == region
    for memory_id in held:
        side.delete(memory_id)
    assert side.books() | {"region_bytes": 0} == {
        "chunks": 0,
        "extents": 0,
        "held_bytes": 0,
        "taken_bytes": SLABS,
        "slab_bytes": SLABS,
        "free_bytes": 0,
        "region_bytes": 0,
        "consistent": True,
        "manifests_consistent": True,
    }
