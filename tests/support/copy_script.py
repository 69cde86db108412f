"""A capsule that is copied: both sides in memory, in the form in which a copy sees them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from canister_factory.contract.import_models import ImportBatch, MemoryChunk
from canister_factory.contract.manifest_models import CapsuleManifest, MemoryManifest
from canister_factory.factory.manifest import Entry, ItemKey, Kind, content_checksum
from canister_factory.factory.source import Listing
from canister_factory.factory.target import Pending
from support.personal_script import manifest_of

SHA256 = hashlib.sha256(b"byte").digest()


def memory(number: int) -> Entry:
    return Entry(ItemKey(Kind.MEMORY, f"m{number}"), b"r" * 32, content_checksum([SHA256]), 4, 4, 1)


class CapsuleToCopy:
    """A source and its target, as `factory.source` and `factory.target` have them. The owner adds a memory of 4 bytes
    before each of the first `writes` listings. `sent`: the chunks of each message that arrived."""

    def __init__(self, writes: int) -> None:
        self.begun_memories: dict[str, Pending] = {}
        self.sent: list[list[tuple[str, int]]] = []
        self.commits: list[list[str]] = []
        self.on_chunks: Callable[[], None] = lambda: None
        self.writes = writes
        self.held: dict[ItemKey, Entry] = {}
        self.arrived: dict[ItemKey, Entry] = {}
        self.locked = self.begun = False
        self.failures: list[Exception] = []
        self.final = False
        self.is_ready = asyncio.Event()
        self.is_ready.set()

    def write(self) -> None:
        """The owner adds a memory."""
        entry = memory(len(self.held))
        self.held[entry.key] = entry

    # The source

    async def freeze(self, *, lock: bool) -> CapsuleManifest:
        self.locked = lock
        return manifest_of(*self.held.values(), revision=len(self.held))

    async def revision(self) -> int:
        return len(self.held)

    async def listing(self) -> Listing:
        if self.writes > 0 and not self.locked:
            self.writes -= 1
            self.write()
        if self.failures:
            raise self.failures.pop(0)
        return Listing(len(self.held), dict(self.held))

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

    async def entries(self) -> dict[ItemKey, Entry]:
        return dict(self.arrived)

    async def batch(self, batch: ImportBatch) -> None:
        await self.is_ready.wait()
        assert batch.finalize
        if batch.chunks:
            self.sent.append([(chunk.memory_id, chunk.index) for chunk in batch.chunks])
        for manifest in batch.commits:
            key = ItemKey(Kind.MEMORY, manifest.memory_id)
            self.arrived[key] = self.held[key]
        self.final = True

    async def begin(self) -> None:
        self.begun = True

    async def latest(self) -> None:
        return None

    async def pending(self) -> dict[str, Pending]:
        return dict(self.begun_memories)

    async def put(self, items: list[Any]) -> None:
        await self.is_ready.wait()

    async def put_chunks(self, chunks: list[MemoryChunk]) -> None:
        await self.is_ready.wait()
        assert [chunk.bytes for chunk in chunks] == [b"byte"] * len(chunks)
        self.sent.append([(chunk.memory_id, chunk.index) for chunk in chunks])
        self.on_chunks()

    async def commit(self, manifests: list[MemoryManifest]) -> None:
        self.commits.append([manifest.memory_id for manifest in manifests])
        for manifest in manifests:
            key = ItemKey(Kind.MEMORY, manifest.memory_id)
            self.arrived[key] = self.held[key]
