"""The files of a state directory as one state: what is valid, and how the next state takes its place.

Owns the order of all writes but the journal's records, and the words for what is wrong. Does not own the form of each
file (`manifest`, `snapshot`, `images`, `journal`), or when a snapshot is due (`checkpoint`).

docs/replica.md, "The state directory", has the files, the order, and what each state of them means.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import cbor2

from canister_factory.replica.store.canister_snapshots import CanisterSnapshots
from canister_factory.replica.store.files import DamagedError, Files, SyncFailedError, required
from canister_factory.replica.store.images import NO_IMAGE, Changes, Images
from canister_factory.replica.store.journal import SALT_BYTES, Journal
from canister_factory.replica.store.kept_statuses import KeptStatuses
from canister_factory.replica.store.manifest import Manifest, OtherFormatError, Seal, read_manifest
from canister_factory.replica.store.names import (
    CREATING,
    IMAGES,
    KEYS,
    MODULES,
    changes_name,
    is_ours,
    journal_name,
    module_name,
    state_name,
    statuses_name,
)
from canister_factory.replica.store.snapshot import Snapshot, StoredCanister
from canister_factory.replica.store.state_codec import FORM, StateFormatError, encode_without_statuses
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.durability import CheckpointError
from canister_factory.replica.subnet.state import SubnetState


class StateDirectory:
    """One directory's state.

    Args:
        path: existing, and used by no other process.
        files: how the disk is reached.

    Attributes:
        manifest: of the valid state; None: there is none yet.
        stored: the valid state's canisters, by id.
        statuses: the files with statuses of requests.

    Raises:
        OSError, DamagedError, OtherFormatError: there is something, but not a state that can be used.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self.path = path
        self.files = files
        self.images = Images(files, path)
        self.manifest = read_manifest(files, path)
        self.stored: dict[bytes, StoredCanister] = {}
        self.snapshots = CanisterSnapshots(self.images)
        self.statuses = KeptStatuses(files, path)
        self._saved_as: dict[bytes, tuple[object, object]] = {}  # what `unsaved` of these memories goes on from
        self._change_runs: list[tuple[str, int, int]] = []

    def __repr__(self) -> str:
        return f"<StateDirectory {self.path} generation={self.manifest.generation if self.manifest else None}>"

    @contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Says of an error which directory it is about, and what to do.

        Raises:
            CheckpointError: instead of what the store raises.
        """
        with explained(self.path, what):
            yield

    # --- reading -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Says that a state is being made, and removes what an attempt that never finished has left."""
        files, path = self.files, self.path
        if CREATING not in files.names(path):
            files.write_whole(path / CREATING, b"")
            files.sync_directory(path)
        for name in (IMAGES, MODULES):
            files.make_directory(path / name)
        for name in files.names(path):
            if is_ours(name) and name not in (CREATING, IMAGES, MODULES):
                files.remove(path / name)

    def load(self) -> Snapshot:
        """The valid state; its images are complete afterwards.

        Raises:
            OSError, DamagedError: it can't be read, or isn't what was written.
        """
        manifest = self.valid_manifest
        if manifest.keys is not None:
            manifest.keys.check(KEYS, self.content(KEYS))
        name = state_name(manifest.generation)
        content = self.content(name)
        manifest.state.check(name, content)
        snapshot = Snapshot.decoded(name, content)
        self.stored, self._change_runs = snapshot.canisters, snapshot.change_runs
        self._settle()
        return snapshot

    @property
    def valid_manifest(self) -> Manifest:
        assert self.manifest is not None, "there is no state yet"
        return self.manifest

    def content(self, name: str) -> bytes:
        """A file's content.

        Raises:
            DamagedError: it is missing.
        """
        with required(name):
            return self.files.read_whole(self.path / name)

    def module(self, module_hash: bytes) -> bytes:
        """A module's Wasm.

        Raises:
            DamagedError: it is missing, or another one.
        """
        name = module_name(module_hash)
        wasm = self.content(name)
        if hashlib.sha256(wasm).digest() != module_hash:
            raise DamagedError(name, "is damaged")
        return wasm

    def open_journal(self) -> Journal:
        """The valid state's journal; a torn end is wiped.

        Raises:
            DamagedError: it is missing, another one, or something durable in it can't be read.
        """
        manifest = self.valid_manifest
        name = journal_name(manifest.generation)
        with required(name):
            return Journal(self.files, self.path / name, bytes.fromhex(manifest.salt))

    def loaded(self, canister: CanisterState) -> None:
        """The canister's memories are those of its images."""
        main = None if canister.instance is None else canister.instance.memory.saved_as
        self._saved_as[canister.id] = main, canister.stable.saved_as

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, state: SubnetState) -> Journal:
        """Makes a snapshot the valid state; returns its journal, which is empty.

        What is written of memories is what they call unsaved, and of statuses what has changed.

        Raises:
            SyncFailedError: it isn't known which state a power failure leaves. Nothing must be noted any more.
            OSError, DamagedError: the former state and journal are valid, and nothing is lost.
        """
        canisters = list(state.canisters.values())
        self._settle()
        number = self.manifest.generation + 1 if self.manifest else 1
        salt = secrets.token_bytes(SALT_BYTES)
        try:
            manifest, stored, changes = self._write_files(number, salt, state, canisters)
            journal = Journal.create(self.files, self.path / journal_name(number), salt)
            try:
                for directory in (self.path / IMAGES, self.path / MODULES, self.path):
                    self.files.sync_directory(directory)
                manifest.save(self.files, self.path)
            except BaseException:
                journal.close()
                raise
        except SyncFailedError:
            raise
        except BaseException:
            self._discard(number)
            raise
        former, self.manifest = self._names(), manifest
        before = self.stored
        self.stored, self._change_runs = stored, changes.runs
        for canister in canisters:
            canister.stable.mark_saved()
            if canister.instance is not None:
                canister.instance.memory.mark_saved()
        self.statuses.saved()
        self.snapshots.written = {id_: it for canister in canisters for id_, it in canister.snapshots.items()}
        with suppress(OSError, DamagedError):  # the next snapshot does it, or the next start; or they say why not
            self._settle()
            self._map_idle(before, canisters)
        self._saved_as = {}
        for canister in canisters:
            self.loaded(canister)
        self._remove(former - self._names())
        return journal

    def _write_files(
        self, number: int, salt: bytes, state: SubnetState, canisters: list[CanisterState]
    ) -> tuple[Manifest, dict[bytes, StoredCanister], Changes]:
        files, path = self.files, self.path
        changes = Changes(path / changes_name(number))
        try:
            stored = {canister.id: self._store(canister, number, changes) for canister in canisters}
            if changes.runs:
                files.sync(changes.file)
        finally:
            if changes.file >= 0:
                files.close(changes.file)
        known = set().union(*(its.module_hashes for its in self.stored.values()))
        for canister in canisters:
            modules = {} if canister.module is None else {canister.module.hash: canister.module.wasm}
            its_snapshots = stored[canister.id].snapshots
            modules |= {its_snapshots[id_].module_hash: it.wasm for id_, it in canister.snapshots.items()}
            for hash_ in modules.keys() - known:
                files.write_whole(path / module_name(hash_), modules[hash_])
                known.add(hash_)
        # They never change: read again, keys that were lost or damaged meanwhile would be the right ones from now on.
        keys = self._first_keys() if self.manifest is None else self.manifest.keys
        draft = Manifest(number, FORM, salt.hex(), keys, Seal(0, 0), changes.seal)
        statuses = self.statuses.save(number, state.statuses)
        content = Snapshot(draft, stored, changes.runs, encode_without_statuses(state), statuses).encoded()
        files.write_whole(path / state_name(number), content)
        return replace(draft, state=Seal.of(content)), stored, changes

    def _first_keys(self) -> Seal | None:
        try:
            return Seal.of(self.files.read_whole(self.path / KEYS))
        except FileNotFoundError:
            return None

    def _store(self, canister: CanisterState, number: int, changes: Changes) -> StoredCanister:
        former = self.stored.get(canister.id)
        saved_main, saved_stable = self._saved_as.get(canister.id, (None, None))
        name = f"{canister.id.hex()}-{{}}-{number}".format
        known = former.stable if former is not None and canister.stable.saved_as is saved_stable else None
        stable = self.images.save(canister.stable, known, name("stable"), changes)
        snapshots = self.snapshots.save(canister, former, number, changes)
        instance = canister.instance
        if instance is None:
            return StoredCanister(None, (), NO_IMAGE, stable, snapshots)
        known = former.main if former is not None and instance.memory.saved_as is saved_main else None
        main = self.images.save(instance.memory, known, name("main"), changes)
        return StoredCanister(instance.module.hash, instance.global_values, main, stable, snapshots)

    def _map_idle(self, before: dict[bytes, StoredCanister], canisters: list[CanisterState]) -> None:
        """Memories that didn't change since the last snapshot are mapped from their images: they take no room then."""
        for canister in canisters:
            instance, former, stored = canister.instance, before.get(canister.id), self.stored[canister.id]
            if instance is None or former is None or former.main is not stored.main or not stored.main.name:
                continue
            if not (instance.busy or instance.memory.is_saved):
                file = self.files.open(self.images.path(stored.main))
                instance.memory.use_file(file, stored.main.length)

    def _settle(self) -> None:
        """Puts the snapshot's changes into its images, if that wasn't done yet."""
        manifest = self.manifest
        if manifest is None or manifest.changes is None:
            return
        path = self.path / changes_name(manifest.generation)
        with required(path.name):
            self.images.settle(path, manifest.changes, self._change_runs)
        settled = replace(manifest, changes=None)
        settled.save(self.files, self.path)
        self.manifest, self._change_runs = settled, []
        self._remove({path.name})

    def _names(self) -> set[str]:
        """All files of the valid state, below the directory."""
        if self.manifest is None:
            return set()
        images = {f"{IMAGES}/{name}" for stored in self.stored.values() for name in stored.image_names}
        hashes = set().union(*(stored.module_hashes for stored in self.stored.values()))
        statuses = {file.name for file in self.statuses.valid}
        return self.manifest.names | images | statuses | {module_name(hash_) for hash_ in hashes}

    def _discard(self, number: int) -> None:
        """Gives the room back that a snapshot took which didn't succeed."""
        made = {state_name(number), journal_name(number), changes_name(number), statuses_name(number), "manifest.new"}
        with suppress(OSError):
            made |= {name for name in self._below(IMAGES) if name.endswith(f"-{number}")}
        self._remove(made - self._names())

    def sweep(self) -> None:
        """Removes what former states have left. To be called once the valid state is known to be good."""
        left = {name for name in self.files.names(self.path) if is_ours(name)} - {IMAGES, MODULES}
        self._remove((left | self._below(IMAGES) | self._below(MODULES)) - self._names())

    def _below(self, directory: str) -> set[str]:
        """Our files in a directory of the state. A person may have put others there, or a link in its place."""
        names = (f"{directory}/{name}" for name in self.files.names(self.path / directory))
        return {name for name in names if is_ours(name)}

    def _remove(self, names: set[str]) -> None:
        for name in names:
            with suppress(OSError):  # the next start tries again
                self.files.remove(self.path / name)


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Says of an error which state directory it is about, and what to do.

    Raises:
        CheckpointError: instead of what the store raises.
    """
    elsewhere = "or choose another directory with --state-dir"
    try:
        yield
    except OtherFormatError as error:
        raise CheckpointError(f"{error} ({path}): use the version that wrote it, {elsewhere}") from error
    except DamagedError as error:
        raise CheckpointError(
            f"the state can't be trusted: {path / error.name} {error.damage}. Nothing was deleted. 'canister-factory "
            f"replica check {path}' looks at all files. Restore the directory from a copy or an export, give up what "
            f"is lost with 'canister-factory replica repair {path} --accept-loss', {elsewhere}"
        ) from error
    except (OSError, StateFormatError, cbor2.CBORError) as error:
        cause = (isinstance(error, OSError) and error.strerror) or error
        if isinstance(error, OSError) and error.filename is not None:
            cause = f"{cause}: {error.filename}"
        raise CheckpointError(
            f"the state in {path} can't be {what} ({cause}): check space and permissions, {elsewhere}"
        ) from error
