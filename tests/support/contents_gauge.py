"""Personal canisters filled with contents of a given size, and what that costs: memory and instructions.

Used by the tests and by the benchmark of contents. Owns how contents are made and which messages bring them, as the
orchestrator sends them (100 items or 1.9 MB a message); asserts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from canister_factory.candid.values import Case
from support.backend_world import OPERATOR
from support.personal_world import (
    PersonalWorld,
    capsule_record,
    gallery,
    memory_manifest,
    memory_record,
    sha256,
)

CHUNK_BYTES = 1_900_000
ITEMS = 100


@cache
def _body() -> bytes:
    return b"".join(sha256(number.to_bytes(4, "big")) for number in range(CHUNK_BYTES // 32 + 1))


def different_chunks(size: int, number: int = 0) -> Iterator[bytes]:
    """`size` bytes in chunks of CHUNK_BYTES, each different; each number has others."""
    for part in range(0, size, CHUNK_BYTES):
        yield (f"{number:08x}{part:08x}".encode() + _body())[: min(CHUNK_BYTES, size - part)]


class FilledImport(PersonalWorld):
    """A personal canister in the middle of its import."""

    def __init__(self) -> None:
        super().__init__(max_import_bytes=2_000_000_000)
        self.session = self.begin()
        self.put(self.session, Case("Capsule", capsule_record()))
        self.sizes: dict[str, int] = {}
        self.worst_message = 0
        self._made = 0

    @property
    def content_bytes(self) -> int:
        return sum(self.sizes.values())

    @property
    def memory_size(self) -> int:
        """What `canister_status` says, in bytes."""
        status = self.manage("canister_status", {"canister_id": self.personal}, sender=OPERATOR)
        size: int = status["memory_size"]
        return size

    def fill(self, total: int, memories: int) -> int:
        """Imports so many bytes in so many memories; the instructions of all its messages."""
        before, size = self.instructions(), total // max(memories, 1)
        fresh = range(self._made, self._made + memories)
        self._made += memories
        for start in range(0, memories, ITEMS):
            batch = {
                f"mem-{number:08}": list(different_chunks(size, number)) for number in fresh[start : start + ITEMS]
            }
            self._bring("put_items", [Case("Memory", memory_record(each, batch[each])) for each in batch])
            for message in _messages(batch):
                self._bring("put_memory_chunks", message)
            self._bring("commit_memories", [memory_manifest(each, batch[each]) for each in batch])
            self.sizes |= {each: sum(map(len, batch[each])) for each in batch}
        return self.instructions() - before

    def add_galleries(self, count: int, memories: int) -> None:
        """Galleries that name so many memories each."""
        ids = list(self.sizes)
        records = [
            Case(
                "Gallery",
                gallery(f"gal-{number:016x}-{number:032x}", *(ids[(number + at) % len(ids)] for at in range(memories))),
            )
            for number in range(count)
        ]
        for start in range(0, count, ITEMS):
            self._bring("put_items", records[start : start + ITEMS])

    def drop(self, memory_ids: Sequence[str]) -> None:
        """Takes memories away."""
        for start in range(0, len(memory_ids), ITEMS):
            refs = [{"kind": Case("Memory"), "id": each} for each in memory_ids[start : start + ITEMS]]
            self._bring("remove_items", refs)
        for each in memory_ids:
            del self.sizes[each]

    def exchange_half(self) -> None:
        """Every second memory goes, and as many of another size, with as many bytes in all but a little, come."""
        gone = list(self.sizes)[::2]
        total = sum(self.sizes[each] for each in gone)
        self.drop(gone)
        fewer = max(len(gone) * 9 // 10, 1)
        self.fill(total, fewer)
        self.fill(16 * (len(gone) - fewer), len(gone) - fewer)

    def upgrade_instructions(self) -> int:
        """Upgrades to the same build; what that takes."""
        before = self.instructions()
        self.upgrade()
        return self.instructions() - before

    def finalize_instructions(self) -> int:
        """Ends the import; what that takes."""
        before = self.instructions()
        self.ok("finalize_import", self.session, sender=OPERATOR)
        return self.instructions() - before

    def _bring(self, method: str, items: list[Any]) -> None:
        before = self.instructions()
        self.ok(method, self.session, items, sender=OPERATOR)
        self.worst_message = max(self.worst_message, self.instructions() - before)


def _messages(batch: dict[str, list[bytes]]) -> Iterator[list[dict[str, Any]]]:
    """The chunks of a batch of memories, in messages."""
    message: list[dict[str, Any]] = []
    size = 0
    for memory_id, chunks in batch.items():
        for index, chunk in enumerate(chunks):
            if message and size + len(chunk) > CHUNK_BYTES:
                yield message
                message, size = [], 0
            message.append({"memory_id": memory_id, "index": index, "bytes": chunk, "sha256": sha256(chunk)})
            size += len(chunk)
    if message:
        yield message
