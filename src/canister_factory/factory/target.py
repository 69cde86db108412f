"""A personal canister during its import: what it has already, and what is put into it within a session.

Owns the import session. Does not own: what should be there (`difference`), installing and handing over
(`personal_canister`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.import_models import (
    ImportBatch,
    ImportSession,
    ImportState,
    ImportStatus,
    MemoryChunk,
)
from canister_factory.contract.manifest_models import ExportItem, ItemRef, ManifestPage, MemoryManifest
from canister_factory.contract.memory_models import PageRequest
from canister_factory.contract.pages import pages
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.listing import entries_kept, pending_kept
from canister_factory.factory.manifest import Entry, ItemKey
from canister_factory.ic.errors import RejectedError

_PENDING_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Pending:
    """A memory that the target has begun to store: whether its record is there, and its chunks' SHA-256 by index."""

    has_record: bool
    chunks: Mapping[int, bytes]


NOTHING = Pending(False, MappingProxyType({}))


class Target:
    """The import side of a personal canister. What comes first begins a session, which expires without activity.

    `is_ready`: what is put waits for it; not set while the canister is still being made.
    """

    def __init__(self, client: PersonalClient, config: FactoryConfig) -> None:
        self.client = client
        self.is_ready = asyncio.Event()
        self.is_ready.set()
        self._config = config
        self._session = 0

    def __repr__(self) -> str:
        return f"Target({self.client.canister_id}, session {self._session or None})"

    async def begin(self) -> ImportSession:
        """The session in progress, or a new one that keeps what is stored."""
        session = await self.client.begin_import()
        self._session = session.id
        return session

    async def latest(self) -> ImportSession | None:
        """The session in progress, or the last one; `None` before the first."""
        return (await self.client.get_import_status(PageRequest(limit=1))).session

    async def entries(self) -> dict[ItemKey, Entry]:
        """All entries that the target has.

        Raises:
            PagingError: the list doesn't advance, or has more entries than a capsule can have.
        """

        async def fetch(after: ItemRef | None) -> ManifestPage:
            return await self.client.list_import_entries(after, self._config.entries_per_page)

        kept = entries_kept(str(self.client.canister_id), self._config)
        return {entry.key: entry async for page in pages(fetch, kept) for entry in map(Entry.of, page.entries)}

    async def pending(self) -> dict[str, Pending]:
        """The memories that aren't committed yet, by id.

        Raises:
            PagingError: the list doesn't advance, or has more than an import can have begun.
        """

        async def fetch(after: str | None) -> ImportStatus:
            return await self.client.get_import_status(PageRequest(after=after, limit=_PENDING_PER_PAGE))

        pending: dict[str, Pending] = {}
        async for status in pages(fetch, pending_kept(self.client.canister_id)):
            for memory in status.pending:
                chunks = {chunk.index: chunk.sha256 for chunk in memory.chunks}
                pending[memory.memory_id] = Pending(memory.has_record, chunks)
        return pending

    async def remove(self, keys: Sequence[ItemKey]) -> None:
        """Drops items and pending memories."""
        step = self._config.items_per_message
        for start in range(0, len(keys), step):
            await self.client.remove_items(self._session, [key.ref() for key in keys[start : start + step]])

    async def put(self, items: list[ExportItem]) -> None:
        """Stores or replaces records; as many as a part of `Source.items` has."""
        await self.is_ready.wait()
        if self._session:
            await self.client.put_items(self._session, items)
        else:
            await self.batch(ImportBatch(removed=[], items=items, chunks=[], commits=[], finalize=False))

    async def put_chunks(self, chunks: list[MemoryChunk]) -> None:
        """Stores chunks; together they fit a message."""
        await self.is_ready.wait()
        if self._session:
            await self.client.put_memory_chunks(self._session, chunks)
        else:
            await self.batch(ImportBatch(removed=[], items=[], chunks=chunks, commits=[], finalize=False))

    async def commit(self, manifests: list[MemoryManifest]) -> None:
        """Makes memories final whose record and chunks are there."""
        await self.client.commit_memories(self._session, manifests)

    async def batch(self, batch: ImportBatch) -> None:
        """Stores a batch, in the session in progress or a new one, and ends the import if it says so. That an earlier
        call, whose outcome was unknown then, has ended it is a success.

        Raises:
            CapsuleRefused: a step of it was refused.
            IngressTooLargeError: it doesn't fit a message.
        """
        await self.is_ready.wait()
        try:
            outcome = await self.client.import_batch(batch)
        except (CapsuleRefused, RejectedError):
            latest = await self.latest() if batch.finalize else None
            if latest is None or latest.state != ImportState.Completed:
                raise
        else:
            self._session = outcome.session
