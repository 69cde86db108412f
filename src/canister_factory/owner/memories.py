"""The memories of a capsule as its owner lists and names them.

Owns reading the list to its end, and finding one in it. Does not own: their bytes (`memory_file`), adding (`adding`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from canister_factory.candid.binding import CandidModel, Nat64, TimeNs
from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.memory_models import (
    BlobKind,
    MemoryAccess,
    MemoryPage,
    MemorySummary,
    MemoryType,
    PageRequest,
)
from canister_factory.contract.pages import Kept, pages
from canister_factory.ic.foreign_text import quoted
from canister_factory.owner.errors import MemoryNotFoundError

_PAGE = 1_000
_IDS_SHOWN = 10


class Listed(CandidModel):
    """A memory in a list; `size` in bytes. `elsewhere`: where its bytes are, when the canister doesn't have them."""

    id: str
    name: str
    memory_type: MemoryType
    content_type: str
    size: Nat64
    date_of_memory: TimeNs | None
    created_at: TimeNs
    access: MemoryAccess
    elsewhere: str | None

    @classmethod
    def of(cls, summary: MemorySummary) -> Listed:
        """What a list says of it."""
        memory = summary.memory
        return cls(
            id=memory.id,
            name=memory.info.name,
            memory_type=memory.info.memory_type,
            content_type=memory.info.content_type,
            size=summary.size,
            date_of_memory=memory.info.date_of_memory,
            created_at=memory.info.created_at,
            access=memory.access,
            elsewhere=None if is_here(summary) else memory.blob_ref.locator,
        )


def is_here(summary: MemorySummary) -> bool:
    """Whether the canister has the memory's bytes."""
    return summary.memory.blob_ref.kind == BlobKind.ICPCapsule


async def memories(client: CapsuleClient, capsule_id: str | None = None) -> AsyncIterator[MemorySummary]:
    """All memories of a capsule, by default the caller's own, in the order of their ids; a page at a time.

    Raises:
        PagingError: the list doesn't advance, or doesn't end.
        CapsuleRefused: the caller may not.
        IcError: a call failed for good.
    """

    async def fetch(after: str | None) -> MemoryPage:
        return await client.list_capsule_memories(capsule_id, PageRequest(after=after, limit=_PAGE))

    kept: Kept[MemoryPage] = Kept("the list of memories", rank=_id_of, sparse=True)
    async for page in pages(fetch, kept):
        for summary in page.items:
            yield summary


def _id_of(item: MemorySummary | str) -> str:
    return item if isinstance(item, str) else item.memory.id


async def find(client: CapsuleClient, capsule_id: str | None, wanted: str) -> MemorySummary:
    """The memory with this id or, when there is none, with this name.

    Raises:
        MemoryNotFoundError: there is none, or several have the name; says their ids.
        PagingError, CapsuleRefused, IcError: as in `memories`.
    """
    named = []
    async for summary in memories(client, capsule_id):
        if summary.memory.id == wanted:
            return summary
        if summary.memory.info.name == wanted:
            named.append(summary)
    if not named:
        raise MemoryNotFoundError(f"no memory has the id or the name {quoted(wanted)}; 'owner ls' lists them")
    if len(named) > 1:
        ids = [summary.memory.id for summary in named]
        more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
        shown = ", ".join(ids[:_IDS_SHOWN])
        raise MemoryNotFoundError(f"{len(ids)} memories have the name {quoted(wanted)}; give an id: {shown}{more}")
    return named[0]
