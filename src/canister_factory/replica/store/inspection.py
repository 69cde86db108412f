"""A look at all files of a state directory: what is damaged, and what a repair would lose. Changes nothing.

Owns reading everything, and the words for what was found. Does not own the files' forms, or mending them (`repair`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from canister_factory.replica.store.files import DamagedError, Files, required
from canister_factory.replica.store.images import Image, Images, Pending
from canister_factory.replica.store.journal import JournalReader, Scan
from canister_factory.replica.store.kept_statuses import put
from canister_factory.replica.store.manifest import Manifest, OtherFormatError, read_manifest
from canister_factory.replica.store.names import (
    IMAGES,
    KEYS,
    MANIFEST,
    changes_name,
    is_ours,
    journal_name,
    module_name,
    state_name,
)
from canister_factory.replica.store.snapshot import Snapshot
from canister_factory.replica.store.state_codec import FORM, StateFormatError
from canister_factory.replica.subnet.canister import text_of
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.statuses import Statuses

NOTHING: Final = "nothing"
_SINCE: Final = "all that was answered since the last snapshot"


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged file, its name within the directory; `loss`: what goes with it, None where nothing can mend it."""

    name: str
    damage: str
    loss: str | None


@dataclass(slots=True)
class Inspection:
    """What was found.

    Attributes:
        manifest: of the state; None: there is none that can be made out.
        snapshot: its content; None: it can't be read.
        state: the subnet's, as far as it can be read.
        journal: None: it can't be read at all.
        damages: in the order of reading; empty: all is well.
        lost_canisters: ids of those whose code or memories are damaged.
        lost_snapshots: (canister id, snapshot id) of canister snapshots whose contents are.
        files, size: how much was read, bytes.
        is_empty: there is no state, nor was there ever one that was used.
    """

    manifest: Manifest | None = None
    snapshot: Snapshot | None = None
    state: SubnetState | None = None
    journal: Scan | None = None
    damages: list[Damage] = field(default_factory=list)
    lost_canisters: set[bytes] = field(default_factory=set)
    lost_snapshots: set[tuple[bytes, bytes]] = field(default_factory=set)
    files: int = 0
    size: int = 0
    is_empty: bool = False

    @property
    def damaged(self) -> set[str]:
        """The names of the damaged files."""
        return {damage.name for damage in self.damages}

    @property
    def lost_statuses(self) -> bool:
        """Whether what became of some requests can't be read any more."""
        return self.snapshot is not None and not self.snapshot.status_names.isdisjoint(self.damaged)

    @property
    def can_be_mended(self) -> bool:
        return self.state is not None and all(damage.loss is not None for damage in self.damages)


class Inspector:
    """Reads one state directory, which no process may use meanwhile.

    Args:
        path: the directory.
        files: how the disk is reached.
        on_bytes: told how many more bytes were read.
    """

    def __init__(self, path: Path, files: Files, on_bytes: Callable[[int], object] = lambda count: None) -> None:
        self._path = path
        self._files = files
        self._on_bytes = on_bytes
        self._found = Inspection()

    def inspect(self) -> Inspection:
        """Reads everything.

        Raises:
            OSError: the system refuses.
            OtherFormatError, StateFormatError: another version wrote the state.
        """
        found = self._found
        found.manifest = self._manifest()
        if found.manifest is None:
            found.is_empty = not found.damages
            return found
        if found.manifest.form != FORM:
            raise StateFormatError(f"its form is {found.manifest.form}, this version's {FORM}")
        self._keys(found.manifest)
        self._state(found.manifest)
        if found.snapshot is not None:
            self._memories(found.manifest, found.snapshot)
            self._modules(found.snapshot)
            self._journal(found.manifest)
        return found

    @contextmanager
    def _noting(self, loss: str | None) -> Iterator[None]:
        try:
            yield
        except DamagedError as error:
            self._found.damages.append(Damage(error.name, error.damage, loss))

    def _read(self, name: str) -> bytes:
        with required(name):
            content = self._files.read_whole(self._path / name)
        self._count(len(content))
        return content

    def _count(self, size: int) -> None:
        self._found.files += 1
        self._found.size += size
        self._on_bytes(size)

    def _manifest(self) -> Manifest | None:
        """The manifest or, where that is damaged, the newest one that a file with a state still tells."""
        try:
            manifest = read_manifest(self._files, self._path)
        except OtherFormatError:
            raise
        except DamagedError as error:
            told = self._told_by_states()
            loss = None if told is None else f"what came after snapshot {told.generation}, if there was a later one"
            self._found.damages.append(Damage(MANIFEST, error.damage, loss))
            return told
        if manifest is not None:
            self._count(len(manifest.encoded()))
        return manifest

    def _told_by_states(self) -> Manifest | None:
        numbers = [int(name.removeprefix("state-")) for name in self._files.names(self._path) if _is_state(name)]
        for number in sorted(numbers, reverse=True):
            name = state_name(number)
            try:
                return Snapshot.decoded(name, self._files.read_whole(self._path / name)).manifest
            except DamagedError:
                continue
        return None

    def _keys(self, manifest: Manifest) -> None:
        if manifest.keys is not None:
            loss = f"the network's keys: clients have to take its new root key; and {_SINCE}"
            with self._noting(loss):
                manifest.keys.check(KEYS, self._read(KEYS))

    def _state(self, manifest: Manifest) -> None:
        name = state_name(manifest.generation)
        with self._noting(None):
            content = self._read(name)
            manifest.state.check(name, content)
            snapshot = Snapshot.decoded(name, content)
            self._found.state = snapshot.subnet_state()
            self._found.snapshot = snapshot
            self._statuses(snapshot, self._found.state)

    def _statuses(self, snapshot: Snapshot, state: SubnetState) -> None:
        contents: dict[bytes, bytes] = {}
        for file in snapshot.statuses:
            with self._noting(f"what became of some earlier requests; and {_SINCE}"):
                put(file.read(self._files, self._path), contents)
                self._count(file.seal.size)
        state.statuses = Statuses(contents)

    def _memories(self, manifest: Manifest, snapshot: Snapshot) -> None:
        images = Images(self._files, self._path)
        pending = None
        if manifest.changes is not None:
            path = self._path / changes_name(manifest.generation)
            with self._noting(NOTHING):
                images.check_changes(path, manifest.changes)
                pending = Pending(self._files, path, snapshot.change_runs)
                self._count(manifest.changes.size)
        try:
            for canister_id, stored in snapshot.canisters.items():
                for image in (stored.main, stored.stable):
                    if self._is_damaged(images, image, pending, self._loss_of(canister_id)):
                        self._found.lost_canisters.add(canister_id)
                for id_, its in stored.snapshots.items():
                    for image in (its.main, its.stable):
                        if self._is_damaged(images, image, pending, self._loss_of_snapshot(canister_id, id_)):
                            self._found.lost_snapshots.add((canister_id, id_))
        finally:
            if pending is not None:
                pending.close()

    def _is_damaged(self, images: Images, image: Image, pending: Pending | None, loss: str) -> bool:
        self._found.files += bool(image.name)
        try:
            for _, data in images.chunks(image, pending):
                self._on_bytes(len(data))
                self._found.size += len(data)
        except DamagedError as error:
            self._found.damages.append(Damage(error.name, error.damage, loss))
            return True
        return False

    def _modules(self, snapshot: Snapshot) -> None:
        for hash_ in sorted(snapshot.module_hashes):
            name = module_name(hash_)
            try:
                if hashlib.sha256(self._read(name)).digest() != hash_:
                    raise DamagedError(name, "is damaged")
            except DamagedError as error:
                self._lose_module(snapshot, hash_, error)

    def _lose_module(self, snapshot: Snapshot, hash_: bytes, error: DamagedError) -> None:
        owners = [id_ for id_, stored in snapshot.canisters.items() if stored.module_hash == hash_]
        of_snapshots = [
            (canister_id, id_)
            for canister_id, stored in snapshot.canisters.items()
            for id_, its in stored.snapshots.items()
            if its.module_hash == hash_
        ]
        self._found.lost_canisters.update(owners)
        self._found.lost_snapshots.update(of_snapshots)
        losses = [self._loss_of(*owners)] if owners else []
        losses += [self._loss_of_snapshot(*both) for both in of_snapshots]
        self._found.damages.append(Damage(error.name, error.damage, "; ".join(losses)))

    @staticmethod
    def _loss_of_snapshot(canister_id: bytes, snapshot_id: bytes) -> str:
        return f"snapshot {snapshot_id.hex()} of {text_of(canister_id)}; and {_SINCE}"

    @staticmethod
    def _loss_of(*canister_ids: bytes) -> str:
        return f"code and memories of {', '.join(map(text_of, canister_ids))}; and {_SINCE}"

    def _journal(self, manifest: Manifest) -> None:
        name = journal_name(manifest.generation)
        with self._noting(_SINCE):
            with required(name):
                reader = JournalReader(self._files, self._path / name, bytes.fromhex(manifest.salt))
            try:
                self._found.journal = scan = reader.scan()
            finally:
                reader.close()
            self._count(scan.end)
        if self._found.journal is not None and self._found.journal.damage is not None:
            scan = self._found.journal
            loss = f"what was answered after record {scan.records}, at least {scan.beyond} records"
            self._found.damages.append(Damage(name, scan.damage or "", loss))


def _is_state(name: str) -> bool:
    return name.startswith("state-") and is_ours(name) and not name.endswith(".new")


def size_of(path: Path, files: Files) -> int:
    """About how many bytes an inspection reads, for its progress."""
    names = [*files.names(path), *(f"{IMAGES}/{name}" for name in files.names(path / IMAGES))]
    return sum((path / name).stat().st_blocks * 512 for name in names if (path / name).is_file())
