"""Takes a backup: what a capsule has now and the directory doesn't, compared with what the network certifies.

Owns the passes until nothing was written meanwhile. Does not own: the files (`backup_files`), and what is believed of
what is read (`factory.source`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.import_models import CertifiedManifest
from canister_factory.contract.manifest_models import ExportItem, ItemRef, ManifestPage, MemoryManifest
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import ExportError, SourceMovedError
from canister_factory.factory.manifest import Entry, ItemKey, manifest_hash
from canister_factory.factory.retry import Retry
from canister_factory.factory.source import Listing, Source
from canister_factory.factory.verify import check_certificate
from canister_factory.factory.window import Window
from canister_factory.ic.agent import Agent
from canister_factory.owner.backup_files import BackupDirectory, State
from canister_factory.owner.errors import BackupError
from canister_factory.owner.kept_settings import settings_of
from canister_factory.owner.proof import Proof

_PASSES = 10


class PersonalCapsule:
    """Reads the capsule of a personal canister, as its owner may."""

    def __init__(self, client: PersonalClient) -> None:
        self.place = str(client.canister_id)
        self._client = client

    def __repr__(self) -> str:
        return f"PersonalCapsule({self._client.canister_id})"

    async def entries(self, after: ItemRef | None, limit: int) -> ManifestPage:
        """A page of the manifest's entries."""
        return await self._client.list_import_entries(after, limit)

    async def items(self, refs: list[ItemRef]) -> list[ExportItem]:
        """The records of these items, or of the first of them."""
        return await self._client.get_items(refs)

    async def memory_manifests(self, memory_ids: list[str]) -> list[MemoryManifest]:
        """The chunks of these memories, or of the first of them."""
        return await self._client.get_memory_manifests(memory_ids)

    async def chunk(self, memory_id: str, index: int) -> bytes:
        """One chunk of a memory's bytes."""
        return await self._client.read_memory_chunk(memory_id, index)


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup did: the state that is there now, whether it's a new one, and what was fetched for it."""

    name: str
    state: State
    is_new: bool
    records: int
    chunks: int
    bytes: int


class _Wanted(NamedTuple):
    """A chunk that the directory lacks."""

    memory_id: str
    number: int
    sha256: bytes


class Backup:
    """Copies the capsule of a personal canister into a directory: `take` is called once.

    Args:
        agent: calls as the owner; its certificates and its clock judge those of the network.
        client: of the personal canister, as its owner; it repeats queries that fail in passing.
        directory: where to; locked by the caller.
        on_bytes: told how many bytes of chunks more are there.
    """

    def __init__(
        self,
        agent: Agent,
        client: PersonalClient,
        directory: BackupDirectory,
        config: FactoryConfig,
        *,
        on_bytes: Callable[[int], None] = lambda _more: None,
    ) -> None:
        self._agent = agent
        self._client = client
        self._directory = directory
        self._on_bytes = on_bytes
        self._retry = Retry(config)
        self._source = Source(PersonalCapsule(client), config)
        self._window = Window(config.start_window, config.max_window)
        self._records = self._chunks = self._bytes = 0

    def __repr__(self) -> str:
        return f"Backup({self._client.canister_id} to {self._directory})"

    async def take(self) -> BackedUp:
        """Fetches what the directory lacks of the capsule, and adds its state.

        Raises:
            BackupError: the directory can't be written, or the capsule was written all the time.
            VerifyError, CertificateError: what the canister says isn't what the network certifies.
            ExportError: the canister's data aren't what its manifest says.
            CapsuleRefused: the caller isn't the owner.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        before = self._directory.latest()
        for _ in range(_PASSES):
            held = await self._certified()
            try:
                listing = await self._source.listing()
                state = await self._fetched(held, listing, before)
            except (SourceMovedError, ExportError, CapsuleRefused):
                # Whatever went wrong may be due to a write in between; if there was none, it isn't.
                if (await self._certified()).manifest.manifest_hash == held.manifest.manifest_hash:
                    raise
                continue
            if state is None:
                continue
            if before is not None and before.proof is not None and _is_same(before, state):
                return self._done(self._directory.names()[-1], before, is_new=False)
            return self._done(self._directory.add(state), state, is_new=True)
        raise BackupError(
            f"the capsule on {self._client.canister_id} was written while it was read, {_PASSES} times; what was read "
            "is kept: make the backup again when nobody writes"
        )

    def _done(self, name: str, state: State, *, is_new: bool) -> BackedUp:
        return BackedUp(name, state, is_new, self._records, self._chunks, self._bytes)

    async def _certified(self) -> CertifiedManifest:
        held = await self._client.get_manifest()
        check_certificate(held, self._client.canister_id, self._agent.certificates, self._agent.clock())
        return held

    async def _fetched(self, held: CertifiedManifest, listing: Listing, before: State | None) -> State | None:
        """The state of this listing, all of it in the directory; `None` when it isn't what is certified."""
        if manifest_hash(listing.entries.values()) != held.manifest.manifest_hash:
            return None
        entries = list(listing.entries.values())
        await self._fetch_records([entry for entry in entries if not self._directory.has_record(entry.record_checksum)])
        chunks = await self._chunk_lists([entry for entry in entries if entry.content_checksum is not None], before)
        await self._window.run(self._missing(chunks), self._fetch_chunk)
        return State(
            manifest=held.manifest,
            entries=[entry.told() for entry in entries],
            chunks=chunks,
            name=(await self._client.get_personal_info()).name,
            proof=self._proof(held),
            settings=await settings_of(self._agent, self._client.canister_id, self._retry),
        )

    def _proof(self, held: CertifiedManifest) -> Proof:
        assert held.imported is not None, "its certificate was checked"
        assert held.certificate is not None, "its certificate was checked"
        return Proof(
            canister_id=self._client.canister_id,
            imported_hash=held.imported.manifest_hash,
            certificate=held.certificate,
            root_key=self._agent.certificates.root_key,
        )

    async def _fetch_records(self, entries: list[Entry]) -> None:
        async for entry, item in self._source.records(entries):
            self._directory.put_record(entry.record_checksum, item)
            self._records += 1

    async def _chunk_lists(self, entries: list[Entry], before: State | None) -> dict[str, list[bytes]]:
        """The chunks of each memory; those of contents that the last state has, too, aren't asked for again."""
        known: dict[tuple[bytes | None, int, int, int], list[bytes]] = {}
        if before is not None:
            earlier = before.keyed()
            known = {earlier[ItemKey.memory(id)].content: chunks for id, chunks in before.chunks.items()}
        lists = {entry.key.id: known[entry.content] for entry in entries if entry.content in known}
        unknown = [entry for entry in entries if entry.content not in known]
        async for manifest in self._source.memory_manifests(unknown):
            lists[manifest.memory_id] = manifest.chunk_checksums
        return lists

    def _missing(self, lists: dict[str, list[bytes]]) -> Iterator[_Wanted]:
        asked: set[bytes] = set()
        for memory_id, chunks in lists.items():
            for index, sha256 in enumerate(chunks):
                if sha256 not in asked and not self._directory.has_chunk(sha256):
                    asked.add(sha256)
                    yield _Wanted(memory_id, index, sha256)

    async def _fetch_chunk(self, wanted: _Wanted) -> None:
        data = await self._source.chunk(wanted.memory_id, wanted.number, wanted.sha256)
        await asyncio.to_thread(self._directory.put_chunk, wanted.sha256, data)
        self._chunks += 1
        self._bytes += len(data)
        self._on_bytes(len(data))


def _is_same(before: State, now: State) -> bool:
    """Whether nothing has changed that a state keeps, but for its proof."""
    return before.manifest.manifest_hash == now.manifest.manifest_hash and before.settings == now.settings
