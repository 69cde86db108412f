"""Reading the source: manifest entries in one consistent listing, records, and chunks checked by their SHA-256.

Owns what is believed of the source. Does not own: what is done with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import LeaseRef
from canister_factory.contract.manifest_models import (
    CapsuleManifest,
    ExportItem,
    ItemRef,
    ManifestPage,
    MemoryManifest,
)
from canister_factory.contract.pages import pages
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import ExportError, SourceMovedError
from canister_factory.factory.listing import entries_kept
from canister_factory.factory.manifest import Entry, ItemKey, content_checksum, key_of, record_checksum

K = TypeVar("K")
R = TypeVar("R")


class Listing(NamedTuple):
    """A capsule's entries at one revision."""

    revision: int
    entries: dict[ItemKey, Entry]


class Reader(Protocol):
    """Where a capsule is read from. What it answers is believed by nobody: `Source` checks it. `place`: for errors."""

    place: str

    async def entries(self, after: ItemRef | None, limit: int) -> ManifestPage:
        """A page of the manifest's entries, at most `limit`."""

    async def items(self, refs: list[ItemRef]) -> list[ExportItem]:
        """The records of these items in their order, or of the first of them."""

    async def memory_manifests(self, memory_ids: list[str]) -> list[MemoryManifest]:
        """The chunks of these memories in their order, or of the first of them."""

    async def chunk(self, memory_id: str, index: int) -> bytes:
        """One chunk of a memory's bytes."""


class LeasedCapsule:
    """Reads the capsule on the backend, as the holder of a lease may."""

    def __init__(self, backend: BackendClient, lease: LeaseRef) -> None:
        self.place = str(backend.canister_id)
        self.backend = backend
        self.lease = lease

    def __repr__(self) -> str:
        return f"LeasedCapsule({self.lease.owner} on {self.backend.canister_id}, lease {self.lease.lease})"

    async def entries(self, after: ItemRef | None, limit: int) -> ManifestPage:
        """A page of the manifest's entries."""
        return await self.backend.list_export_entries(self.lease, after, limit)

    async def items(self, refs: list[ItemRef]) -> list[ExportItem]:
        """The records of these items, or of the first of them."""
        return await self.backend.get_export_items(self.lease, refs)

    async def memory_manifests(self, memory_ids: list[str]) -> list[MemoryManifest]:
        """The chunks of these memories, or of the first of them."""
        return await self.backend.get_export_memory_manifests(self.lease, memory_ids)

    async def chunk(self, memory_id: str, index: int) -> bytes:
        """One chunk of a memory's bytes."""
        return await self.backend.read_export_chunk(self.lease, memory_id, index)


class Source:
    """A capsule that is read: what comes from the reader is checked here against the manifest's entries."""

    def __init__(self, reader: Reader, config: FactoryConfig) -> None:
        self._reader = reader
        self._config = config

    def __repr__(self) -> str:
        return f"Source({self._reader!r})"

    async def revision(self) -> int:
        """The capsule's revision, which each change raises."""
        return (await self._reader.entries(None, 1)).revision

    async def listing(self) -> Listing:
        """All entries at one revision.

        Raises:
            SourceMovedError: the capsule moved on to another revision meanwhile.
            PagingError: the list doesn't advance, or has more entries than a capsule can have.
        """

        async def fetch(after: ItemRef | None) -> ManifestPage:
            return await self._reader.entries(after, self._config.entries_per_page)

        entries: dict[ItemKey, Entry] = {}
        revision: int | None = None
        async for page in pages(fetch, entries_kept(self._reader.place, self._config)):
            revision = page.revision if revision is None else revision
            if page.revision != revision:
                raise SourceMovedError(
                    f"the capsule moved from revision {revision} to {page.revision} while its entries were listed"
                )
            entries.update((entry.key, entry) for entry in map(Entry.of, page.entries))
        assert revision is not None, "pages has one page at least"
        return Listing(revision, entries)

    async def items(self, keys: Sequence[ItemKey]) -> AsyncIterator[list[ExportItem]]:
        """The records of these items in their order, in parts that fit a message.

        Raises:
            SourceMovedError: the source has one of them no more.
        """

        async def read(some: Sequence[ItemKey]) -> list[ExportItem]:
            part = await self._reader.items([key.ref() for key in some])
            if not part:
                raise SourceMovedError(f"the source no longer has {some[0].kind.name} {some[0].id}")
            return part

        async for part in self._parts(keys, read):
            yield part

    async def records(self, entries: Sequence[Entry]) -> AsyncIterator[tuple[Entry, ExportItem]]:
        """These entries in their order, each with its record.

        Raises:
            SourceMovedError: the source has one of them no more, or has another record than its entry is of.
        """
        described = iter(entries)
        async for part in self.items([entry.key for entry in entries]):
            for item, entry in zip(part, described, strict=False):
                if (key_of(item), record_checksum(item)) != (entry.key, entry.record_checksum):
                    raise SourceMovedError(
                        f"the record of {entry.key.kind.name} {entry.key.id} isn't that of its entry"
                    )
                yield entry, item

    async def memory_manifests(self, entries: Sequence[Entry]) -> AsyncIterator[MemoryManifest]:
        """The chunk checksums of these memories in their order, checked against the entries.

        Raises:
            SourceMovedError: the source has one of them no more, or has another content.
            ExportError: the source's checksums contradict each other.
        """

        async def read(some: Sequence[Entry]) -> list[MemoryManifest]:
            ids = [entry.key.id for entry in some]
            part = await self._reader.memory_manifests(ids)
            if not part:
                raise SourceMovedError(f"the source no longer has the content of memory {ids[0]}")
            return part

        described = iter(entries)
        async for part in self._parts(entries, read):
            for manifest, entry in zip(part, described, strict=False):
                yield _checked(manifest, entry)

    async def _parts(
        self, wanted: Sequence[K], read: Callable[[Sequence[K]], Awaitable[list[R]]]
    ) -> AsyncIterator[list[R]]:
        """What `read` returns for all that is wanted, when an answer may cover only the first of what it is asked."""
        position = 0
        while position < len(wanted):
            part = await read(wanted[position : position + self._config.items_per_message])
            position += len(part)
            yield part

    async def chunk(self, memory_id: str, index: int, sha256: bytes) -> bytes:
        """One chunk whose SHA-256 is `sha256`; read a second time when it isn't.

        Raises:
            ExportError: nor is it the second time.
        """
        actual = b""
        for _ in range(2):
            data = await self._reader.chunk(memory_id, index)
            actual = hashlib.sha256(data).digest()
            if actual == sha256:
                return data
        raise ExportError(
            f"chunk {index} of memory {memory_id} reads with SHA-256 {actual.hex()}, but the source's manifest says "
            f"{sha256.hex()}; nothing of it was imported"
        )


class LeasedSource(Source):
    """The capsule on the backend, whose owner may still write until it's frozen."""

    def __init__(self, backend: BackendClient, lease: LeaseRef, config: FactoryConfig) -> None:
        super().__init__(LeasedCapsule(backend, lease), config)
        self._backend = backend
        self._lease = lease

    async def freeze(self, *, lock: bool) -> CapsuleManifest:
        """Records the manifest of this moment; with `lock` the owner's writes are refused until the lease ends.

        Raises:
            CreationRefused: the lease is lost, or the creation isn't in progress.
        """
        return await self._backend.begin_export(self._lease, lock)


def _checked(manifest: MemoryManifest, entry: Entry) -> MemoryManifest:
    if manifest.memory_id != entry.key.id:
        raise SourceMovedError(f"the source no longer has the content of memory {entry.key.id}")
    content = (manifest.final_checksum, manifest.total_size, manifest.chunk_size, manifest.total_chunks)
    if content != entry.content or len(manifest.chunk_checksums) != manifest.total_chunks:
        raise SourceMovedError(f"the manifest of memory {entry.key.id} doesn't match its entry")
    if content_checksum(manifest.chunk_checksums) != entry.content_checksum:
        raise ExportError(f"the chunk checksums of memory {entry.key.id} don't match its content checksum")
    return manifest
