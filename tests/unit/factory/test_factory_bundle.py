"""What fits one message, and what the message then brings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canister_factory.contract.manifest_models import ItemKind
from canister_factory.factory.bundle import bundle, fits
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.difference import Difference, difference
from canister_factory.factory.manifest import Entry, ItemKey, Kind
from canister_factory.factory.target import Pending
from support.copy_script import SHA256, CapsuleToCopy, memory

KEY = ItemKey(Kind.GALLERY, "g")


def content(size: int, chunks: int) -> Entry:
    return Entry(ItemKey(Kind.MEMORY, "m"), b"r" * 32, b"c" * 32, size, size, chunks)


@pytest.mark.parametrize(
    ("todo", "expected"),
    [
        (Difference([], [], []), True),
        (Difference([], [], [content(1_000, 4)]), True),
        (Difference([], [], [content(1_001, 4)]), False),
        (Difference([], [], [content(1_000, 5)]), False),
        (Difference([], [KEY] * 3, []), True),
        (Difference([], [KEY] * 4, []), False),
        (Difference([KEY] * 3, [], []), True),
        (Difference([KEY] * 4, [], []), False),
    ],
)
def test_bytes_chunks_records_and_removals_are_bounded(todo: Difference, expected: bool) -> None:
    config = FactoryConfig(max_message_bytes=1_000, max_message_chunks=4, items_per_message=3)
    assert fits(todo, config) is expected


async def test_a_batch_has_chunks_and_commits_and_ends_the_import() -> None:
    capsule: Any = CapsuleToCopy(writes=0)
    capsule.write()
    capsule.write()
    batch = await bundle(capsule, difference(capsule.held, {}, {}), {}, 4)
    assert [(chunk.memory_id, chunk.index, chunk.bytes, chunk.sha256) for chunk in batch.chunks] == [
        ("m0", 0, b"byte", SHA256),
        ("m1", 0, b"byte", SHA256),
    ]
    assert [manifest.memory_id for manifest in batch.commits] == ["m0", "m1"]
    assert (batch.removed, batch.finalize) == ([], True)


async def test_chunks_are_read_a_few_at_a_time_and_stay_in_their_order() -> None:
    class Slow(CapsuleToCopy):
        """The first chunk of those under way is answered last."""

        under_way = 0

        async def chunk(self, memory_id: str, index: int, sha256: bytes) -> bytes:
            self.under_way += 1
            at_once.append(self.under_way)
            for _ in range(10 - 2 * self.under_way):
                await asyncio.sleep(0)
            self.under_way -= 1
            return b"byte"

    at_once: list[int] = []
    capsule: Any = Slow(writes=0)
    for _ in range(9):
        capsule.write()
    batch = await bundle(capsule, difference(capsule.held, {}, {}), {}, 3)
    assert [chunk.memory_id for chunk in batch.chunks] == [f"m{number}" for number in range(9)]
    assert max(at_once) == 3


async def test_what_the_target_has_begun_of_a_memory_is_dropped_first() -> None:
    capsule: Any = CapsuleToCopy(writes=0)
    capsule.write()
    begun = {"m0": Pending(True, {0: b"x" * 32})}
    batch = await bundle(capsule, difference({memory(0).key: memory(0)}, {}, begun), begun, 4)
    assert [(ref.kind, ref.id) for ref in batch.removed] == [(ItemKind.Memory, "m0")]
