"""What is believed of the source: one revision, each chunk by its SHA-256, each memory by its checksums."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from canister_factory.contract.capsule_models import Gallery, StorageStatus
from canister_factory.contract.creation_models import LeaseRef
from canister_factory.contract.errors import PagingError
from canister_factory.contract.manifest_models import (
    ExportItem,
    ItemKind,
    ItemRef,
    ManifestEntry,
    ManifestPage,
    MemoryManifest,
)
from canister_factory.factory.errors import ExportError, SourceMovedError
from canister_factory.factory.manifest import Entry, ItemKey, Kind, content_checksum, key_of, record_checksum
from canister_factory.factory.source import LeasedSource
from support.backend_script import OWNER, BackendScript, Clock, run_on

CHUNKS = [hashlib.sha256(bytes([number])).digest() for number in range(2)]


def memory(id: str) -> ManifestEntry:
    return ManifestEntry(
        kind=ItemKind.Memory,
        id=id,
        record_checksum=b"r" * 32,
        content_checksum=content_checksum(CHUNKS),
        size=2,
        chunk_size=1,
        total_chunks=2,
    )


def content(id: str, checksums: list[bytes] = CHUNKS) -> MemoryManifest:
    return MemoryManifest(
        memory_id=id,
        total_chunks=2,
        total_size=2,
        chunk_size=1,
        chunk_checksums=checksums,
        final_checksum=content_checksum(CHUNKS),
    )


class Backend(BackendScript):
    """A source with two pages of one memory each; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.revisions = [7, 7]
        self.contents = [content("a"), content("b")]
        self.chunk = bytes([0])
        self.items: list[ExportItem] = []

    async def list_export_entries(self, lease: LeaseRef, after: ItemRef | None, limit: int | None) -> ManifestPage:
        number = 0 if after is None else 1
        entry = memory("ab"[number])
        following = Entry.of(entry).key.ref() if number == 0 else None
        return ManifestPage(entries=[entry], next=following, revision=self.revisions[number])

    async def get_export_items(self, lease: LeaseRef, refs: list[ItemRef]) -> list[ExportItem]:
        self.asked.append(",".join(ref.id for ref in refs))
        wanted = {ref.id for ref in refs}
        return [item for item in self.items if item.value.id in wanted][:2]

    async def get_export_memory_manifests(self, lease: LeaseRef, ids: list[str]) -> list[MemoryManifest]:
        return self.contents

    async def read_export_chunk(self, lease: LeaseRef, memory_id: str, index: int) -> bytes:
        self.asked.append("read_export_chunk")
        return self.chunk


def source(backend: Backend, **config: Any) -> LeasedSource:
    run = run_on(backend, Clock(), **config)
    return LeasedSource(run.backend, LeaseRef(owner=OWNER, lease=1), run.config)


def gallery(id: str) -> ExportItem:
    return ExportItem.of(
        "Gallery",
        Gallery(
            id=id,
            owner_principal=OWNER,
            title=id,
            is_public=False,
            created_at=0,
            updated_at=0,
            storage_status=StorageStatus.ICPOnly,
            memory_entries=[],
        ),
    )


async def test_entries_are_listed_over_all_pages_of_one_revision() -> None:
    listing = await source(Backend()).listing()
    assert (listing.revision, [key.id for key in listing.entries]) == (7, ["a", "b"])
    assert await source(Backend()).revision() == 7
    moving = Backend()
    moving.revisions = [7, 8]
    with pytest.raises(SourceMovedError, match="from revision 7 to 8"):
        await source(moving).listing()


async def test_a_chunk_with_other_bytes_is_read_twice_and_then_refused() -> None:
    backend = Backend()
    assert await source(backend).chunk("a", 0, CHUNKS[0]) == bytes([0])
    backend.asked.clear()
    with pytest.raises(ExportError, match="nothing of it was imported"):
        await source(backend).chunk("a", 1, CHUNKS[1])
    assert backend.asked == ["read_export_chunk"] * 2


async def test_chunk_checksums_must_make_the_checksum_of_the_entry() -> None:
    entries = [Entry.of(memory("a")), Entry.of(memory("b"))]
    backend = Backend()
    assert [manifest.memory_id async for manifest in source(backend).memory_manifests(entries)] == ["a", "b"]
    backend.contents = [content("a", CHUNKS[::-1])]
    with pytest.raises(ExportError, match="don't match its content checksum"):
        [manifest async for manifest in source(backend).memory_manifests(entries)]
    backend.contents = [content("b")]
    with pytest.raises(SourceMovedError, match="no longer has the content of memory a"):
        [manifest async for manifest in source(backend).memory_manifests(entries)]


async def test_a_listing_that_never_ends_is_ended() -> None:
    class Endless(Backend):
        async def list_export_entries(self, lease: LeaseRef, after: ItemRef | None, limit: int | None) -> ManifestPage:
            self.asked.append("")
            entry = memory(f"m{len(self.asked):06}")
            return ManifestPage(entries=[entry], next=Entry.of(entry).key.ref(), revision=7)

    backend = Endless()
    with pytest.raises(PagingError, match="has more than 5 items"):
        await source(backend, max_entries=5).listing()
    assert len(backend.asked) == 6


async def test_records_come_in_their_order_however_few_an_answer_has() -> None:
    backend = Backend()
    backend.items = [gallery(id) for id in "abcde"]
    keys = [ItemKey(Kind.GALLERY, id) for id in "abcde"]
    parts = [part async for part in source(backend, items_per_message=4).items(keys)]
    assert [[item.value.id for item in part] for part in parts] == [["a", "b"], ["c", "d"], ["e"]]
    assert backend.asked == ["a,b,c,d", "c,d,e", "e"]


async def test_a_record_that_is_gone_ends_the_copy_by_its_name() -> None:
    backend = Backend()
    backend.items = [gallery("a")]
    keys = [ItemKey(Kind.GALLERY, id) for id in "ab"]
    with pytest.raises(SourceMovedError, match="the source no longer has GALLERY b"):
        [part async for part in source(backend).items(keys)]


async def test_a_record_is_believed_that_is_the_one_of_its_entry() -> None:
    backend = Backend()
    backend.items = [gallery(id) for id in "abc"]
    entries = [Entry(key_of(item), record_checksum(item), None, 0, 0, 0) for item in backend.items]
    found = [(entry.key.id, item) async for entry, item in source(backend).records(entries)]
    assert found == list(zip("abc", backend.items, strict=True))
    with pytest.raises(SourceMovedError, match="the record of GALLERY a isn't that of its entry"):
        [each async for each in source(backend).records([entries[0]._replace(record_checksum=b"another one")])]
