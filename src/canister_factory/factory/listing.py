"""How both sides keep the lists that a copy reads: a canister that its owner controls may list anything, for ever; and
the list of open requests.

Owns order and bounds of these lists. Does not own: reading them (`contract.pages`), and what is made of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import OpenRequest, OpenRequestPage, OwnerPageRequest
from canister_factory.contract.errors import PagingError
from canister_factory.contract.import_models import ImportStatus, PendingMemory
from canister_factory.contract.manifest_models import ItemRef, ManifestEntry, ManifestPage
from canister_factory.contract.pages import Kept, pages
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.manifest import CHECKSUM_BYTES, ItemKey

MAX_ID_CHARACTERS = 300
"""Ids have 255 characters at most; those of connections a word in front."""
MAX_PENDING = 1_000_000
"""Memories that an import has begun, and their chunks: 60 GB in chunks of 60 kB."""


def entries_kept(place: str, config: FactoryConfig) -> Kept[ManifestPage]:
    """Manifest entries, by kind and id."""
    name = f"the list of entries of {place}"

    def rank(item: ManifestEntry | ItemRef) -> ItemKey:
        _check_id(name, item.id)
        if isinstance(item, ManifestEntry):
            _check_checksum(name, item.record_checksum)
            if item.content_checksum is not None:
                _check_checksum(name, item.content_checksum)
        return ItemKey.of(item)

    return Kept(name, lambda page: page.entries, rank, most=config.max_entries)


def pending_kept(canister_id: Principal) -> Kept[ImportStatus]:
    """Memories that aren't committed, by id; each of their chunks counts."""
    name = f"the list of pending memories of {canister_id}"

    def rank(item: PendingMemory | str) -> str:
        id = item if isinstance(item, str) else item.memory_id
        _check_id(name, id)
        if not isinstance(item, str):
            for chunk in item.chunks:
                _check_checksum(name, chunk.sha256)
        return id

    def count(page: ImportStatus) -> int:
        return sum(1 + len(memory.chunks) for memory in page.pending)

    return Kept(name, lambda page: page.pending, rank, most=MAX_PENDING, count=count)


async def open_requests(backend: BackendClient) -> AsyncIterator[OpenRequest]:
    """All creations that need an operator, the oldest request first.

    Raises:
        PagingError: the list doesn't advance.
        CreationRefused: the caller is neither operator nor admin.
        IcError: a call failed.
    """

    async def fetch(after: Principal | None) -> OpenRequestPage:
        return await backend.list_open_requests(OwnerPageRequest(after=after))

    async for page in pages(fetch, Kept("the list of open requests")):
        for request in page.items:
            yield request


def _check_id(name: str, id: str) -> None:
    if len(id) > MAX_ID_CHARACTERS:
        raise PagingError(name, f"has an id of {len(id):,} characters, above the {MAX_ID_CHARACTERS} that ids have")


def _check_checksum(name: str, checksum: bytes) -> None:
    if len(checksum) != CHECKSUM_BYTES:
        raise PagingError(name, f"has a checksum of {len(checksum):,} bytes, not of {CHECKSUM_BYTES}")
