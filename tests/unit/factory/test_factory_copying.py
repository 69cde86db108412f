"""How many passes a copy takes, and which one is under the write lock."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from canister_factory.contract.import_models import FinalizedImport, MemoryChunk
from canister_factory.contract.manifest_models import CapsuleManifest, MemoryManifest
from canister_factory.factory.copying import Copied, Copying
from canister_factory.factory.errors import SourceMovedError
from canister_factory.factory.events import PassDone, Transferred
from canister_factory.factory.manifest import Entry, ItemKey, Kind, content_checksum
from canister_factory.factory.target import Pending
from support.backend_script import Clock, run_on
from support.personal_script import manifest_of

SHA256 = hashlib.sha256(b"byte").digest()


def memory(number: int) -> Entry:
    return Entry(ItemKey(Kind.MEMORY, f"m{number}"), b"r" * 32, content_checksum([SHA256]), 4, 4, 1)


class Capsule:
    """A source and its target. The owner adds a memory of 4 bytes before each of the first `writes` freezes."""

    def __init__(self, writes: int) -> None:
        self.writes = writes
        self.held: dict[ItemKey, Entry] = {}
        self.arrived: dict[ItemKey, Entry] = {}
        self.locked = self.begun = False
        self.failures: list[Exception] = []
        self.finalized: FinalizedImport | None = FinalizedImport(total_memories_imported=5, total_size_imported=20)

    # The source

    async def freeze(self, *, lock: bool) -> CapsuleManifest:
        self.locked = lock
        if self.writes > 0 and not lock:
            self.writes -= 1
            entry = memory(len(self.held))
            self.held[entry.key] = entry
        return manifest_of(*self.held.values(), revision=len(self.held))

    async def entries(self, revision: int | None = None) -> dict[ItemKey, Entry]:
        if revision is None:
            return dict(self.arrived)
        if self.failures:
            raise self.failures.pop(0)
        assert revision == len(self.held)
        return dict(self.held)

    async def items(self, keys: Sequence[ItemKey]) -> AsyncIterator[list[Any]]:
        for _ in keys:
            yield []

    async def memory_manifests(self, entries: Sequence[Entry]) -> AsyncIterator[MemoryManifest]:
        for entry in entries:
            yield MemoryManifest(
                memory_id=entry.key.id,
                total_chunks=1,
                total_size=4,
                chunk_size=4,
                chunk_checksums=[SHA256],
                final_checksum=content_checksum([SHA256]),
            )

    async def chunk(self, memory_id: str, index: int, sha256: bytes) -> bytes:
        return b"byte"

    # The target

    async def begin(self) -> None:
        self.begun = True

    async def pending(self) -> dict[str, Pending]:
        assert self.begun
        return {}

    async def put(self, items: list[Any]) -> None:
        return None

    async def put_chunks(self, chunks: list[MemoryChunk]) -> None:
        assert [chunk.bytes for chunk in chunks] == [b"byte"] * len(chunks)

    async def commit(self, manifests: list[MemoryManifest]) -> None:
        for manifest in manifests:
            key = ItemKey(Kind.MEMORY, manifest.memory_id)
            self.arrived[key] = self.held[key]

    async def finalize(self) -> FinalizedImport | None:
        assert self.locked
        return self.finalized


async def copy(capsule: Any, **config: Any) -> tuple[Copied, list[tuple[int, int, bool]]]:
    """The copy's result; number, bytes moved, and whether locked of each pass."""
    events: list[Any] = []
    agent = SimpleNamespace(transport=SimpleNamespace(throttled=0))

    async def report(transferred: Transferred) -> None:
        assert transferred.bytes_done <= transferred.bytes_total

    copied = await Copying(run_on(agent, Clock(), emit=events.append, **config), capsule, capsule, report).copy()
    return copied, [(e.number, e.bytes_moved, e.locked) for e in events if isinstance(e, PassDone)]


async def test_when_little_is_left_the_next_pass_is_the_locked_one() -> None:
    capsule = Capsule(writes=2)
    copied, passes = await copy(capsule)
    assert passes == [(1, 8, False), (2, 0, True)]
    assert copied.entries == capsule.arrived == capsule.held
    assert (copied.memories, copied.bytes_moved, copied.manifest.revision) == (5, 8, 2)


async def test_while_much_is_left_the_free_passes_are_used_up() -> None:
    copied, passes = await copy(Capsule(writes=100), free_passes=3, lock_below_bytes=0)
    assert passes == [(1, 8, False), (2, 8, False), (3, 8, False), (4, 0, True)]
    assert copied.bytes_moved == 24


async def test_a_pass_that_moved_just_the_limit_is_followed_by_the_locked_one() -> None:
    _, passes = await copy(Capsule(writes=100), lock_below_bytes=8)
    assert passes == [(1, 8, False), (2, 0, True)]


async def test_a_pass_that_failed_for_a_write_in_between_is_made_up_by_the_next() -> None:
    capsule = Capsule(writes=3)
    capsule.failures = [SourceMovedError("moved")]
    copied, passes = await copy(capsule)
    assert passes == [(2, 12, False), (3, 0, True)]
    assert copied.entries == capsule.held


async def test_a_pass_that_failed_without_a_write_ends_the_copy() -> None:
    capsule = Capsule(writes=1)
    capsule.failures = [SourceMovedError("the capsule moved")]
    with pytest.raises(SourceMovedError, match="the capsule moved"):
        await copy(capsule)


async def test_when_an_earlier_call_ended_the_import_the_manifest_counts_the_memories() -> None:
    capsule = Capsule(writes=2)
    capsule.finalized = None
    copied, _ = await copy(capsule)
    assert copied.memories == 2
