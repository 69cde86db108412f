"""What contents take: memory, instructions for each byte, the longest message, the upgrade. All of it is deterministic.

Small samples of the formulae that the benchmark `contents` measures at full size; a sweep takes them at full size too.
"""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.subnet.environment import UPDATE_INSTRUCTIONS
from support.backend_world import OPERATOR, OWNER, World, encode_args, interface, wasm
from support.contents_gauge import FilledImport, different_chunks
from support.contents_sides import GIB, backend_side, variant
from support.motoko_compiler import require_compiler
from support.scale_world import upload

MB = 1_000_000
BASE = 24 * MB
SMALL_BATCH = 32 * MB
"""Instructions of a message with 100 items, when little is collected."""


@pytest.mark.parametrize(
    ("size", "memories"),
    [(0, 0), (MB, 10), (10 * MB, 1_000), (100 * MB, 1_000), (1_000 * MB, 1_000)],
)
def test_a_personal_canister_weighs_what_its_contents_weigh(size: int, memories: int, sweep: bool) -> None:
    if size > 10 * MB and not sweep:
        pytest.skip("the sweep has larger ones")
    world = FilledImport()
    world.fill(size, memories)
    assert world.content_bytes == size
    assert size < world.memory_size <= 1.1 * size + BASE


def test_it_weighs_little_more_after_an_upgrade_and_after_half_was_exchanged_three_times(sweep: bool) -> None:
    size, memories = (1_000 * MB, 10_000) if sweep else (20 * MB, 200)
    world = FilledImport()
    world.fill(size, memories)
    assert world.upgrade_instructions() <= memories * 200_000  # 2 G for 10,000
    assert world.memory_size <= 1.25 * size + BASE
    for _ in range(3):
        world.exchange_half()
        assert world.memory_size <= 1.25 * size + BASE


@pytest.mark.parametrize(("size", "memories"), [(4 * MB, 40), (20 * MB, 2)])
def test_an_imported_byte_takes_at_most_150_instructions_in_all(size: int, memories: int) -> None:
    assert FilledImport().fill(size, memories) <= 150 * size


def test_the_longest_message_is_a_hundredth_of_the_limit_at_100_000_memories(sweep: bool) -> None:
    memories = 100_000 if sweep else 3_000
    world = FilledImport()
    world.fill(129 * memories, memories)
    most = UPDATE_INSTRUCTIONS // 100
    assert SMALL_BATCH < world.worst_message <= SMALL_BATCH + (most - SMALL_BATCH) * memories // 100_000
    world.add_galleries(40, 10)
    if sweep:
        assert world.upgrade_instructions() <= UPDATE_INSTRUCTIONS


# --- a large backend -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_a_backend_whose_region_has_20_gb_serves_upgrades_and_exports(sweep: bool) -> None:
    require_compiler()
    count, size = (10, 100 * MB) if sweep else (2, 4 * MB)
    side = backend_side()
    side.leave_books_out()
    world = side.world
    stored = [upload(world, size)[0] for _ in range(count // 2)]
    for _ in range(2):  # to just below 4 GiB, then 32 GiB
        side.upgrade(variant("backend"))
    stored += [upload(world, size)[0] for _ in range(count - count // 2)]
    assert side.stable_bytes > 20 * GIB
    before = world.subnet.state.instructions
    side.upgrade(None)
    assert world.subnet.state.instructions - before < 10 * MB
    canister = exported(world, count * size)
    assert world.stage() == "Importing"
    for memory_id in stored:
        for index, chunk in enumerate(different_chunks(size)):
            assert world.call("read_memory_chunk", memory_id, index, sender=OWNER) == Case("Ok", chunk)
            copy = world.call("read_memory_chunk", memory_id, index, sender=OWNER, on=canister, kind="personal")
            assert copy == Case("Ok", chunk)


def exported(world: World, size: int) -> Principal:
    """The canister of a creation whose capsule is copied to it."""
    lease, canister = world.provisioned()
    world.report(lease, "Installing")
    limits = {"max_chunk_bytes": 2 * MB, "max_import_bytes": 2 * size, "session_timeout_ns": 10**14}
    init = {"owner": OWNER, "backend": world.backend, "limits": limits}
    world.install(canister, wasm("personal"), encode_args(interface("personal").init_args, [init]), OPERATOR)
    world.report(lease, "Importing")
    world.copy(lease, canister)
    return canister
