"""What calls cost on canisters with many entries, in instructions: they are deterministic, so they can be asserted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from canister_factory.candid.values import Case
from canister_factory.replica.subnet.environment import UPDATE_INSTRUCTIONS
from canister_factory.replica.subnet.queries import QUERY_INSTRUCTIONS
from support.backend_world import OWNER, STRANGER, World, person
from support.contents_gauge import different_chunks
from support.erasing_gauge import MovedCapsule
from support.personal_world import by_principal, gallery_entries, inline, new_memory, sha256
from support.scale_gauge import Cost, Gauge
from support.scale_world import (
    NOTE,
    GrowingCapsule,
    GrowingImport,
    GrowingRegistry,
    gallery_data,
    upload,
)

FEW, MANY = 10, 1000
HASHING_A_BYTE = 76  # what SHA-256 takes
# Calls that answer or look at everything there is, or that fill a page which FEW entries leave nearly empty.
WHOLE = {
    "list_memories_page_1000",
    "get_capsule",
    "get_my_galleries",
    "list_connections",
    "list_export_entries_page_1000",
    "list_registry_page_1000",
    "list_import_entries_page_1000",
}


def capsule_costs() -> tuple[dict[str, Cost], dict[str, Cost]]:
    world, found = GrowingCapsule(), []
    for count in (FEW, MANY):
        world.grow(count, connections=count)
        found.append(world.costs() | world.export_costs())
    return found[0], found[1]


def growing_costs(world: GrowingRegistry | GrowingImport) -> tuple[dict[str, Cost], dict[str, Cost]]:
    found = []
    for count in (FEW, MANY):
        world.grow(count)
        found.append(world.costs())
    return found[0], found[1]


def registry_costs() -> tuple[dict[str, Cost], dict[str, Cost]]:
    return growing_costs(GrowingRegistry())


def import_costs() -> tuple[dict[str, Cost], dict[str, Cost]]:
    return growing_costs(GrowingImport())


Measure = Callable[[], tuple[dict[str, Cost], dict[str, Cost]]]
every_canister = pytest.mark.parametrize("measure", [capsule_costs, registry_costs, import_costs])


@cache
def measured(measure: Measure) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """Once for all tests."""
    return measure()


@every_canister
def test_a_call_for_one_item_or_page_grows_no_faster_than_the_logarithm_of_what_is_stored(measure: Measure) -> None:
    few, many = measured(measure)
    growth = {name: many[name].instructions / few[name].instructions for name in many.keys() - WHOLE}
    assert {name: round(factor, 1) for name, factor in growth.items() if factor > 3.5} == {}


@every_canister
def test_a_call_for_everything_grows_no_faster_than_what_is_stored(measure: Measure) -> None:
    few, many = measured(measure)
    growth = {name: many[name].instructions / few[name].instructions for name in many.keys() & WHOLE}
    assert growth
    assert {name: round(factor) for name, factor in growth.items() if factor > MANY / FEW} == {}


@every_canister
def test_no_call_takes_a_hundredth_of_what_a_message_may(measure: Measure) -> None:
    _, many = measured(measure)
    limit = min(UPDATE_INSTRUCTIONS, QUERY_INSTRUCTIONS) // 100
    # Of five calls the median: steps of the backend's garbage collection fall on any call, see test_contents_scale.
    assert {name: cost.instructions for name, cost in many.items() if cost.instructions > limit} == {}


# --- bytes -----------------------------------------------------------------------------------------------------------


def test_a_memory_of_100_mb_is_stored_and_read_back_by_chunks_and_each_byte_is_hashed_once() -> None:
    world, size = World(), 100_000_000
    world.capsule()
    before = world.subnet.state.instructions
    memory_id, chunks = upload(world, size)
    assert world.subnet.state.instructions - before <= 100 * size < 2 * HASHING_A_BYTE * size
    assert max(chunks) < UPDATE_INSTRUCTIONS // 50  # with a step of the garbage collection
    assert len(chunks) == 53
    for index, chunk in enumerate(different_chunks(size)):
        assert world.ok("read_memory_chunk", memory_id, index, sender=OWNER) == chunk


@pytest.mark.parametrize("size", [100_000, 20_000_000])
def test_an_import_takes_at_most_100_instructions_a_byte(size: int) -> None:
    assert GrowingImport().instructions_per_byte(size) <= 100


# --- what accumulates ------------------------------------------------------------------------------------------------


def begin_and_commit(world: World, gauge: Gauge) -> None:
    """An upload of one chunk."""
    request = {"memory": new_memory(), "total_size": len(NOTE), "chunk_size": len(NOTE)}
    upload_id = gauge.calls("begin", "begin_memory_upload", [(request,)])[0]["upload_id"]
    world.ok("put_memory_upload_chunk", upload_id, 0, NOTE, sha256(NOTE), sender=OWNER)
    world.ok("commit_memory_upload", upload_id, sender=OWNER)


def test_committed_uploads_make_the_next_one_no_dearer() -> None:
    world = World()
    world.capsule()
    gauge = Gauge(world, world.backend, "backend")
    costs = []
    for _ in range(200):
        begin_and_commit(world, gauge)
        costs.append(gauge.costs["begin"].instructions)
    assert costs[-1] < 1.5 * costs[20]


def test_a_page_of_memories_shared_with_a_large_group_looks_into_the_group_once() -> None:
    costs = []
    for members in (1, 800):
        world = World()
        capsule_id = world.capsule()
        people = [by_principal(person(f"member-{number}")) for number in range(members)]
        group_id = world.ok("create_connection_group", {"name": "Club", "members": people}, sender=OWNER)
        access = Case("Custom", {"individuals": [], "groups": [group_id]})
        for _ in range(100):
            world.ok("add_memory_to_capsule", inline(b"note"), new_memory(access=access), sender=OWNER)
        gauge = Gauge(world, world.backend, "backend")
        page = gauge.calls("page", "list_capsule_memories", [(capsule_id, {"limit": 100})], STRANGER)[0]
        assert page["items"] == []
        member = gauge.calls("member", "list_capsule_memories", [(capsule_id, {"limit": 100})], person("member-0"))[0]
        assert len(member["items"]) == 100
        costs.append(gauge.costs["page"].instructions)
    assert costs[1] < 2 * costs[0]


def test_a_proof_after_many_nonces_have_expired_pays_for_a_part_of_them_and_may_take_any_of_them() -> None:
    world = World()
    callers = [person(f"caller-{number}") for number in range(150)]
    for caller in callers:
        for number in range(10):
            assert world.call("prove_nonce", f"{caller} {number}", sender=caller) == Case("Ok")
    world.advance(601)
    newest = f"{callers[-1]} 9"
    assert world.call("verify_nonce", newest, sender=STRANGER).tag == "Err"
    before = world.subnet.state.instructions
    assert world.call("prove_nonce", newest, sender=STRANGER) == Case("Ok")
    assert world.subnet.state.instructions - before < UPDATE_INSTRUCTIONS // 1000
    assert world.ok("verify_nonce", newest, sender=STRANGER) == STRANGER
    for number in range(10):  # their ten expired ones don't count any more
        assert world.call("prove_nonce", f"new {number}", sender=callers[-1]) == Case("Ok")


def test_what_a_moved_capsule_leaves_behind_is_erased_in_short_messages() -> None:
    took = MovedCapsule(700, len(NOTE)).erase()
    assert took.messages == 3, "the look at the canister, 667 memories, the rest"
    assert took.seconds == took.messages, "one a second: others are served in between"
    assert took.longest < UPDATE_INSTRUCTIONS // 100


# --- galleries and deleted memories ----------------------------------------------------------------------------------


def test_a_deleted_memory_leaves_the_galleries_that_name_it_now_and_no_others() -> None:
    world = World()
    world.capsule()
    kept, deleted = (world.add_memory(1).value for _ in range(2))

    def store(*memory_ids: str) -> str:
        gallery_id: str = world.ok("store_gallery_forever", gallery_data(memory_ids), sender=OWNER)["id"]
        return gallery_id

    both, twice, former, gone = store(kept, deleted), store(deleted, deleted), store(deleted), store(deleted)
    world.ok("update_gallery", former, {"memory_entries": gallery_entries(kept)}, sender=OWNER)
    later = store(kept)
    world.ok("update_gallery", later, {"memory_entries": gallery_entries(kept, deleted)}, sender=OWNER)
    world.ok("update_gallery", both, {"title": "renamed"}, sender=OWNER)
    world.call("delete_gallery", gone, sender=OWNER)
    world.advance(1)
    deletion_ns = world.now_ns
    assert world.call("delete_memory_from_capsule", deleted, sender=OWNER) == Case("Ok")
    found = {each["id"]: each for each in world.call("get_my_galleries", sender=OWNER)}
    assert {each: [entry["memory_id"] for entry in found[each]["memory_entries"]] for each in found} == {
        both: [kept],
        twice: [],
        former: [kept],
        later: [kept],
    }
    changed = {each for each in found if found[each]["updated_at"] == deletion_ns}
    assert changed == {both, twice, later}
