"""A backup of a capsule on disk: `content_files`, and beside its chunks

    backup.json              whose capsule it is
    states/TIME-HASH.json    a capsule as it was: its manifest, its entries, the chunks of its memories
    records/ab/abcd....json  a record by its checksum, that of the manifest's definition

Owns what a state is, and the records. Does not own: the files' fate (`content_files`), where they come from (`backup`)
and go to (`restore`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from canister_factory.candid.binding import CandidModel
from canister_factory.candid.principal import Principal
from canister_factory.contract.manifest_models import (
    CapsuleManifest,
    ExportItem,
    ItemRef,
    ManifestEntry,
    ManifestPage,
    MemoryManifest,
)
from canister_factory.factory.manifest import Entry, ItemKey, content_checksum, key_of, manifest_hash, record_checksum
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.owner.content_files import ContentFiles, Damage, SavedState, parsed, without_name
from canister_factory.owner.disk import writing
from canister_factory.owner.errors import BackupError
from canister_factory.owner.proof import Proof

FORMAT = "canister-factory-backup-1"


class About(CandidModel):
    """What a directory is a backup of; `canister_id`: where it was taken first."""

    format: str
    owner: Principal
    backend: Principal
    capsule_id: str
    canister_id: Principal


class State(SavedState):
    """A capsule as it was. `chunks`: the SHA-256 of each memory's chunks, by the memory's id.

    `name`: the canister's; `proof`: what the network certified; `settings`: what of the canister's is kept. These are
    `None` in states of versions before they were; settings also where the owner didn't control the canister.
    """

    manifest: CapsuleManifest
    entries: list[ManifestEntry]
    chunks: dict[str, list[bytes]]
    name: str | None = None
    proof: Proof | None = None
    settings: CanisterSettings | None = None

    def keyed(self) -> dict[ItemKey, Entry]:
        """The entries as the factory compares them."""
        return {entry.key: entry for entry in map(Entry.of, self.entries)}

    def problem(self) -> str | None:
        """What contradicts itself, if anything does."""
        entries = self.keyed()
        if manifest_hash(entries.values()) != self.manifest.manifest_hash:
            return "its entries don't amount to its manifest"
        for key, entry in entries.items():
            if entry.content_checksum is None:
                continue
            chunks = self.chunks.get(key.id, [])
            if len(chunks) != entry.total_chunks or content_checksum(chunks) != entry.content_checksum:
                return f"the chunks of memory {key.id} aren't those of its entry"
        return None


class BackupDirectory(ContentFiles[About]):
    """A backup on disk."""

    format = FORMAT
    about_model = About

    # ---- States ----

    def state(self, name: str) -> State:
        """A state, which is consistent in itself.

        Raises:
            BackupError: there is no such state, or it is damaged.
        """
        return self.read_state(name, State)

    def latest(self) -> State | None:
        """The newest state."""
        names = self.names()
        return self.state(names[-1]) if names else None

    def add(self, state: State) -> str:
        """Adds a state all of whose records and chunks are there; returns its name."""
        return self.write_state(state, state.manifest.taken_at, state.manifest.manifest_hash)

    # ---- Records ----

    def _record_file(self, checksum: bytes) -> Path:
        name = checksum.hex()
        return self.path / "records" / name[:2] / f"{name}.json"

    def has_record(self, checksum: bytes) -> bool:
        """Whether there is such a record."""
        return self._record_file(checksum).exists()

    def put_record(self, checksum: bytes, item: ExportItem) -> None:
        """Keeps a record, whose checksum this is."""
        with writing(self.path):
            self.write(self._record_file(checksum), item.model_dump_json(indent=1).encode())

    def record(self, checksum: bytes) -> ExportItem:
        """The record with this checksum.

        Raises:
            BackupError: it isn't there, or isn't what it was.
        """
        file = self._record_file(checksum)
        item = parsed(ExportItem, self.read(file).decode(errors="replace"), file)
        if record_checksum(item) != checksum:
            raise BackupError(f"{file} is damaged: another record is in it than its name says")
        return item

    def damages(self, state: State) -> Iterator[tuple[int, Damage | None]]:
        """Reads all that a state names; for each record and chunk its bytes, and what is wrong if anything is."""
        for entry in state.keyed().values():
            yield self._checked(entry)
            chunks = state.chunks.get(entry.key.id, []) if entry.content_checksum is not None else []
            sizes = _sizes(entry)
            for sha256, expected in zip(chunks, sizes, strict=False):
                yield self.checked_chunk(sha256, expected)

    def _checked(self, entry: Entry) -> tuple[int, Damage | None]:
        file = self._record_file(entry.record_checksum)
        name = str(file.relative_to(self.path))
        try:
            found = key_of(self.record(entry.record_checksum))
        except BackupError as error:
            return 0, Damage(name, without_name(error, file))
        wrong = None if found == entry.key else Damage(name, f"is of {found.kind.name} {found.id}")
        return file.stat().st_size, wrong


class BackupReader:
    """Reads a state of a backup, as `factory.source` reads a capsule."""

    def __init__(self, directory: BackupDirectory, state: State) -> None:
        self._directory = directory
        self._state = state
        self.place = str(directory.path)
        self._by_key = dict(sorted(state.keyed().items()))
        self._keys = list(self._by_key)
        self._positions = {key: position for position, key in enumerate(self._keys)}

    def __repr__(self) -> str:
        return f"BackupReader({self._directory}, {self._state.manifest.manifest_hash.hex()[:16]})"

    async def entries(self, after: ItemRef | None, limit: int) -> ManifestPage:
        """A page of the entries, at most `limit`; they are of one revision."""
        start = 0 if after is None else self._positions[ItemKey.of(after)] + 1
        page = self._keys[start : start + limit]
        more = start + limit < len(self._keys)
        return ManifestPage(
            entries=[self._by_key[key].told() for key in page],
            next=page[-1].ref() if more else None,
            revision=self._state.manifest.revision,
        )

    async def items(self, refs: list[ItemRef]) -> list[ExportItem]:
        """The records of these items."""
        return [self._directory.record(self._by_key[ItemKey.of(ref)].record_checksum) for ref in refs]

    async def memory_manifests(self, memory_ids: list[str]) -> list[MemoryManifest]:
        """The chunks of these memories; those without bytes are left out."""
        return [self._manifest(id) for id in memory_ids if id in self._state.chunks]

    def _manifest(self, memory_id: str) -> MemoryManifest:
        chunks = self._state.chunks[memory_id]
        entry = self._by_key[ItemKey.memory(memory_id)]
        return MemoryManifest(
            memory_id=memory_id,
            total_chunks=entry.total_chunks,
            total_size=entry.size,
            chunk_size=entry.chunk_size,
            chunk_checksums=chunks,
            final_checksum=content_checksum(chunks),
        )

    async def chunk(self, memory_id: str, index: int) -> bytes:
        """One chunk."""
        return self._directory.chunk(self._state.chunks[memory_id][index])


def _sizes(entry: Entry) -> Sequence[int]:
    return [min(entry.chunk_size, entry.size - index * entry.chunk_size) for index in range(entry.total_chunks)]
