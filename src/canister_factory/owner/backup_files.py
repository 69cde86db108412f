"""A backup on disk: records and chunks by their hashes, and one file for each state that names what it is made of.

    backup.json              whose capsule it is
    states/TIME-HASH.json    a capsule as it was: its manifest, its entries, the chunks of its memories
    records/ab/abcd....json  a record by its checksum, that of the manifest's definition
    chunks/ab/abcd...        a chunk by its SHA-256

Nothing is overwritten. A file gets its name when all of it is on the disk, and a state when all that it names is there;
what breaks off leaves files without a name, which the next backup removes. So whatever happens, each state is whole,
and what is there already needn't be fetched again.

Owns the layout, and that what is read is what was written. Does not own: where it comes from (`backup`) and goes to
(`restore`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

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
from canister_factory.owner.disk import writing
from canister_factory.owner.errors import BackupError

FORMAT = "canister-factory-backup-1"

M = TypeVar("M", bound=BaseModel)


class About(CandidModel):
    """What a directory is a backup of; `canister_id`: where it was taken first."""

    format: str
    owner: Principal
    backend: Principal
    capsule_id: str
    canister_id: Principal


class State(BaseModel):
    """A capsule as it was. `chunks`: the SHA-256 of each memory's chunks, by the memory's id."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")

    manifest: CapsuleManifest
    entries: list[ManifestEntry]
    chunks: dict[str, list[bytes]]

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


class Damage(NamedTuple):
    """A file of a backup that isn't what its name says."""

    file: str
    problem: str


class BackupDirectory:
    """A backup on disk.

    Args:
        path: the directory; `open` and `create` see to it that it is one.
    """

    def __init__(self, path: Path, about: About) -> None:
        self.path = path
        self.about = about

    def __repr__(self) -> str:
        return f"BackupDirectory({str(self.path)!r})"

    @classmethod
    def open(cls, path: Path) -> BackupDirectory:
        """The backup in a directory.

        Raises:
            BackupError: there is none, or it is of a format that this version doesn't know.
        """
        file = path / "backup.json"
        try:
            text = file.read_text()
        except FileNotFoundError:
            raise BackupError(f"{path} is no backup: it has no file backup.json") from None
        except OSError as error:
            raise BackupError(f"{file} can't be read: {error.strerror}") from None
        about = _parsed(About, text, file)
        if about.format != FORMAT:
            raise BackupError(f"{path} has a backup of the format {about.format[:60]!r}; this version knows {FORMAT}")
        return cls(path, about)

    @classmethod
    def create(cls, path: Path, about: About) -> BackupDirectory:
        """A backup without a state, in a directory that is empty or isn't there yet; only its user can read it.

        Raises:
            BackupError: the directory has other files, or can't be written.
        """
        with writing(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise BackupError(f"{path} isn't empty and no backup; give a directory of its own")
            path.chmod(0o700)
            directory = cls(path, about)
            directory._write(path / "backup.json", about.model_dump_json(indent=2).encode())
        return directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing; removes what an earlier one left without a name.

        Raises:
            BackupError: another process is writing.
        """
        with writing(self.path):
            file = (self.path / "lock").open("wb")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BackupError(f"another process writes the backup {self.path}; wait for its end") from None
            with writing(self.path):
                for left in self.path.glob("**/*.part"):
                    left.unlink()
            yield

    # ---- States ----

    def names(self) -> list[str]:
        """The states by name, the oldest first."""
        return sorted(file.stem for file in (self.path / "states").glob("*.json"))

    def state(self, name: str) -> State:
        """A state, which is consistent in itself.

        Raises:
            BackupError: there is no such state, or it is damaged.
        """
        file = self.path / "states" / f"{name}.json"
        try:
            state = _parsed(State, file.read_text(), file)
        except FileNotFoundError:
            raise BackupError(f"{self.path} has no state {name[:80]!r}; it has {', '.join(self.names())}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BackupError(f"{file} can't be read: {error}") from None
        problem = state.problem()
        if problem is not None:
            raise BackupError(f"{file} is damaged: {problem}; restore another state, or make another backup")
        return state

    def latest(self) -> State | None:
        """The newest state."""
        names = self.names()
        return self.state(names[-1]) if names else None

    def add(self, state: State) -> str:
        """Adds a state all of whose records and chunks are there; returns its name."""
        seconds, nanoseconds = divmod(state.manifest.taken_at, 10**9)
        moment = datetime.fromtimestamp(seconds, UTC)
        name = f"{moment:%Y%m%dT%H%M%S}.{nanoseconds:09}Z-{state.manifest.manifest_hash.hex()[:16]}"
        with writing(self.path):
            self._write(self.path / "states" / f"{name}.json", state.model_dump_json().encode())
        return name

    # ---- Records and chunks ----

    def _record_file(self, checksum: bytes) -> Path:
        name = checksum.hex()
        return self.path / "records" / name[:2] / f"{name}.json"

    def _chunk_file(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self.path / "chunks" / name[:2] / name

    def has_record(self, checksum: bytes) -> bool:
        """Whether there is such a record."""
        return self._record_file(checksum).exists()

    def has_chunk(self, sha256: bytes) -> bool:
        """Whether there is such a chunk."""
        return self._chunk_file(sha256).exists()

    def put_record(self, checksum: bytes, item: ExportItem) -> None:
        """Keeps a record, whose checksum this is."""
        with writing(self.path):
            self._write(self._record_file(checksum), item.model_dump_json(indent=1).encode())

    def put_chunk(self, sha256: bytes, data: bytes) -> None:
        """Keeps a chunk, whose SHA-256 this is."""
        with writing(self.path):
            self._write(self._chunk_file(sha256), data)

    def record(self, checksum: bytes) -> ExportItem:
        """The record with this checksum.

        Raises:
            BackupError: it isn't there, or isn't what it was.
        """
        file = self._record_file(checksum)
        item = _parsed(ExportItem, self._read(file).decode(errors="replace"), file)
        if record_checksum(item) != checksum:
            raise BackupError(f"{file} is damaged: another record is in it than its name says")
        return item

    def chunk(self, sha256: bytes) -> bytes:
        """The chunk with this SHA-256.

        Raises:
            BackupError: it isn't there, or isn't what it was.
        """
        file = self._chunk_file(sha256)
        data = self._read(file)
        if hashlib.sha256(data).digest() != sha256:
            raise BackupError(f"{file} is damaged: its SHA-256 isn't its name")
        return data

    def damages(self, state: State) -> Iterator[tuple[int, Damage | None]]:
        """Reads all that a state names; for each record and chunk its bytes, and what is wrong if anything is."""
        for entry in state.keyed().values():
            yield self._checked(entry)
            chunks = state.chunks.get(entry.key.id, []) if entry.content_checksum is not None else []
            sizes = _sizes(entry)
            for sha256, expected in zip(chunks, sizes, strict=False):
                try:
                    size = len(self.chunk(sha256))
                    wrong = None if size == expected else f"it has {size} bytes, not {expected}"
                except BackupError as error:
                    size, wrong = 0, str(error)
                name = str(self._chunk_file(sha256).relative_to(self.path))
                yield size, None if wrong is None else Damage(name, wrong)

    def _checked(self, entry: Entry) -> tuple[int, Damage | None]:
        file = self._record_file(entry.record_checksum)
        name = str(file.relative_to(self.path))
        try:
            found = key_of(self.record(entry.record_checksum))
        except BackupError as error:
            return 0, Damage(name, str(error))
        wrong = None if found == entry.key else Damage(name, f"it is of {found.kind.name} {found.id}")
        return file.stat().st_size, wrong

    def _read(self, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except FileNotFoundError:
            raise BackupError(f"{file} is missing; make another backup into this directory") from None
        except OSError as error:
            raise BackupError(f"{file} can't be read: {error.strerror}") from None

    def _write(self, file: Path, data: bytes) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)


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


def _parsed(model: type[M], text: str, file: Path) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BackupError(f"{file} is damaged: {first['msg']}; nothing was changed") from None
