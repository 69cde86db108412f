"""A backup of a backend on disk: `owner.content_files`, whose chunks are the pieces of snapshots.

A state is a canister's whole snapshot: module, memories, globals. Beside it stands what a run has begun on the network
(`Journal`), so that the next one finds it, whatever became of the first.

Owns what a state is, and the journal. Does not own: the files' fate (`content_files`), taking (`backup`) and restoring.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from canister_factory.candid.binding import CandidModel
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import BackendInventory
from canister_factory.ic.management_snapshot_types import CanisterSnapshot, GlobalValue, LowWasmMemoryHook
from canister_factory.owner.content_files import ContentFiles, Damage, SavedState, parsed
from canister_factory.owner.disk import writing
from canister_factory.owner.errors import BackupError

FORMAT = "canister-factory-backend-backup-1"

PIECE_BYTES = 30 * 65_536
"""Whole pages of Wasm memory, so that a page that doesn't change stays in a piece of the same hash; a message carries
2,000,000 bytes."""

_NS = 10**9
_TAKEN_WITHIN_NS = int(timedelta(minutes=10).total_seconds()) * _NS
"""A request that was sent is executed within five minutes or not at all; as much again for clocks that differ."""


class About(CandidModel):
    """What a directory is a backup of: the backend by its first id, and the network by its root key (hexadecimal)."""

    format: str
    backend: Principal
    root_key: str


class Piece(NamedTuple):
    """A part of a snapshot: of `wasm_module`, `wasm_memory` or `stable_memory`, or a chunk of the chunk store."""

    kind: str
    offset: int
    size: int
    sha256: bytes


class SnapshotState(SavedState):
    """A backend as it was. Sizes in bytes, hashes by SHA-256; times in nanoseconds since 1970.

    `inventory`: what it held just before; `is_exact`: it held the same just after, so that the snapshot has that, too.
    """

    canister_id: Principal
    snapshot_id: bytes
    taken_at_ns: int
    module_hash: bytes
    api_version: str
    sizes: dict[str, int]
    pieces: dict[str, list[bytes]]
    chunk_store: list[bytes]
    chunk_sizes: list[int]
    globals: list[GlobalValue]
    certified_data: bytes
    hook: LowWasmMemoryHook | None = None
    controllers: list[Principal]
    freezing_threshold_s: int
    wasm_memory_limit: int | None = None
    inventory: BackendInventory | None = None
    is_exact: bool = False

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return sum(self.sizes.values()) + sum(self.chunk_sizes)

    def problem(self) -> str | None:
        """What contradicts itself, if anything does."""
        for kind, size in self.sizes.items():
            if len(self.pieces.get(kind, ())) != len(places(size)):
                return f"its pieces don't amount to its {kind}"
        return None if len(self.chunk_store) == len(self.chunk_sizes) else "its chunk store has no sizes"

    def digest(self) -> bytes:
        """The hash of all that the state says."""
        return hashlib.sha256(self.model_dump_json().encode()).digest()

    def all_pieces(self) -> Iterator[Piece]:
        """Everything that the snapshot is made of but its globals."""
        for kind, hashes in self.pieces.items():
            for (offset, size), sha256 in zip(places(self.sizes[kind]), hashes, strict=True):
                yield Piece(kind, offset, size, sha256)
        for sha256, size in zip(self.chunk_store, self.chunk_sizes, strict=True):
            yield Piece("wasm_chunk", 0, size, sha256)


def places(size: int) -> Sequence[tuple[int, int]]:
    """Offset and size of each piece of something with so many bytes."""
    return [(offset, min(PIECE_BYTES, size - offset)) for offset in range(0, size, PIECE_BYTES)]


class Begun(BaseModel):
    """What a run began on the network, at `at_ns` (nanoseconds since 1970). `state`: the one that is restored.

    `before`: the snapshots that the canister had; `snapshot`: the one that the run made, once it knew; `step`: how far
    it came, in its own words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")

    canister_id: Principal
    at_ns: int
    before: list[bytes]
    state: str = ""
    snapshot: bytes | None = None
    step: str = ""
    inventory: BackendInventory | None = None

    def own(self, listed: Sequence[CanisterSnapshot]) -> bytes | None:
        """The snapshot that the run made, of those that the canister has now.

        Raises:
            BackupError: it may be one of several.
        """
        if self.snapshot is not None:
            return self.snapshot if self.snapshot in {each.id for each in listed} else None
        made = [
            each.id
            for each in listed
            if each.id not in self.before and abs(each.taken_at_timestamp - self.at_ns) < _TAKEN_WITHIN_NS
        ]
        if len(made) > 1:
            raise BackupError(
                f"an interrupted run made one of the snapshots {', '.join(each.hex() for each in made)} of "
                f"{self.canister_id}, and nobody knows which: delete it (icp canister snapshot delete), and run this "
                "again"
            )
        return made[0] if made else None


class Journal:
    """What a run began, and the pieces that are done with.

    Args:
        files: where it is kept; locked by the caller.
        name: of its files.
    """

    def __init__(self, files: ContentFiles[Any], name: str) -> None:
        self._files = files
        self._head = files.path / f"{name}.json"
        self._log = files.path / f"{name}.log"
        self.done: dict[tuple[str, int], bytes] = {}
        """SHA-256 of pieces by kind and offset."""

    def __repr__(self) -> str:
        return f"Journal({str(self._head)!r}, {len(self.done)} pieces)"

    def begun(self) -> Begun | None:
        """What the run before this one began and didn't end.

        Raises:
            BackupError: it can't be read.
        """
        if not self._head.exists():
            return None
        found = parsed(Begun, self._files.read(self._head).decode(errors="replace"), self._head)
        lines = self._files.read(self._log).decode(errors="replace").splitlines() if self._log.exists() else []
        for kind, offset, sha256 in (line.split(" ") for line in lines if line.count(" ") == 2 and line.endswith(";")):
            self.done[kind, int(offset)] = bytes.fromhex(sha256.removesuffix(";"))
        return found

    def start(self, begun: Begun) -> Begun:
        """Keeps what is going to be begun; pieces of before are nobody's."""
        self.done.clear()
        with writing(self._log):
            self._log.unlink(missing_ok=True)
        return self.save(begun)

    def save(self, begun: Begun) -> Begun:
        """Keeps how far it is, before it goes on."""
        with writing(self._head):
            self._files.write(self._head, begun.model_dump_json().encode())
        return begun

    def add(self, piece: Piece) -> None:
        """Notes a piece that needn't be moved again."""
        self.done[piece.kind, piece.offset] = piece.sha256
        with writing(self._log), self._log.open("a") as log:
            log.write(f"{piece.kind} {piece.offset} {piece.sha256.hex()};\n")

    def end(self) -> None:
        """Nothing is left to be found."""
        self.done.clear()
        with writing(self._files.path):
            self._head.unlink(missing_ok=True)
            self._log.unlink(missing_ok=True)


class SnapshotDirectory(ContentFiles[About]):
    """A backup of a backend on disk."""

    format = FORMAT
    about_model = About

    @classmethod
    def create_for(cls, backend: Principal, root_key: bytes, path: Path) -> SnapshotDirectory:
        """As `create`, of this backend on the network with this root key (DER)."""
        return cls.create(path, About(format=FORMAT, backend=backend, root_key=root_key.hex()))

    def taking(self) -> Journal:
        """Of a backup."""
        return Journal(self, "taking")

    def restoring(self, canister_id: Principal) -> Journal:
        """Of a restore into this canister."""
        return Journal(self, f"restoring-{canister_id}")

    def state(self, name: str) -> SnapshotState:
        """A state, which is consistent in itself.

        Raises:
            BackupError: there is no such state, or it is damaged.
        """
        state = self.read_state(name, SnapshotState)
        if not name.endswith(f"-{state.digest().hex()[:16]}"):
            raise BackupError(
                f"the state {name} in {self.path} is damaged: its hash isn't that of its name; restore another state, "
                "or make another backup"
            )
        return state

    def add(self, state: SnapshotState) -> str:
        """Adds a state all of whose pieces are there; returns its name."""
        return self.write_state(state, state.taken_at_ns, state.digest())

    def module(self, state: SnapshotState) -> bytes:
        """The backend's Wasm module."""
        return b"".join(map(self.chunk, state.pieces["wasm_module"]))

    def damages(self, state: SnapshotState) -> Iterator[tuple[int, Damage | None]]:
        """Reads all that a state names; for each piece its bytes, and what is wrong if anything is."""
        for piece in state.all_pieces():
            yield self.checked_chunk(piece.sha256, piece.size)
