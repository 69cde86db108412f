"""The files of a state directory as one state: what is valid, and how the next state takes its place.

Owns the order of all writes but the journal's records, and the words for what is wrong. Does not own the form of each
file (`manifest`, `snapshot`, `images`, `journal`), or when a snapshot is due (`checkpoint`).

docs/replica.md, "The state directory", has the files, the order, and what each state of them means.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import cbor2

from canister_factory.replica.store.canister_snapshots import CanisterSnapshots
from canister_factory.replica.store.files import DamagedError, Files, required
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
from canister_factory.replica.store.saving import SavedCanister, Saving, saved_canister
from canister_factory.replica.store.snapshot import Snapshot, StoredCanister
from canister_factory.replica.store.state_codec import FORM, StateFormatError, encode_state
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

    def begin_saving(self, state: SubnetState, *, beside: bool) -> Saving:
        """Begins a snapshot of what is there now; the four methods that follow have to be called in their order.

        What is written of memories is what they call unsaved, and of statuses what has changed. `beside`: all of it may
        change before the snapshot ends.

        Raises:
            OSError: nothing has begun.
        """
        number = self.manifest.generation + 1 if self.manifest else 1
        salt = secrets.token_bytes(SALT_BYTES)
        self.images.given_up = False
        statuses, encoded = self.statuses.begin_saving(state.statuses), encode_state(state)
        journal = Journal.create(self.files, self.path / journal_name(number), salt)
        saving = Saving(number, salt, encoded, statuses, journal)
        try:
            for each in state.canisters.values():
                known_as = self._saved_as.get(each.id, (None, None))
                saving.canisters.append(saved_canister(each, known_as, beside=beside))
        except BaseException:
            self.fail(saving)
            raise
        return saving

    def write_files(self, saving: Saving) -> None:
        """Writes all files of the snapshot, none of which is valid yet. Any thread may do so.

        Raises:
            OSError, DamagedError: `fail` has to follow.
        """
        self._settle()
        self._write_files(saving)
        for directory in (self.path / IMAGES, self.path / MODULES, self.path):
            self.files.sync_directory(directory)
        saving.journal.sync()

    def publish(self, saving: Saving) -> None:
        """Makes the snapshot the valid state, and its journal the one that is.

        Raises:
            SyncFailedError: it isn't known which state a power failure leaves. Nothing must be noted any more.
            OSError: `fail` has to follow.
        """
        manifest = saving.manifest
        assert manifest is not None, "its files weren't written"
        saving.journal.begin()
        manifest.save(self.files, self.path)
        former, self.manifest = self._names(), manifest
        self.statuses.saved(saving.statuses)
        saving.before, self.stored, self._change_runs = self.stored, saving.stored, saving.change_runs
        saving.former = former - self._names()
        self.snapshots.written = {id_: it for canister in saving.canisters for id_, it in canister.snapshots.items()}
        self._saved_as = {canister.id: canister.saved_as for canister in saving.canisters}
        saving.end(saved=True)

    def fail(self, saving: Saving) -> None:
        """Takes back a snapshot that didn't become valid: the former state and journal are, and nothing is lost."""
        saving.journal.close()
        self._discard(saving.number)
        saving.end(saved=False)

    def settle(self, saving: Saving) -> None:
        """Puts the valid snapshot's changes into its images, and removes what isn't needed any more. Any thread may."""
        with suppress(OSError, DamagedError):  # the next snapshot does it, or the next start; or they say why not
            self._settle()
        self._remove(saving.former)

    def conclude(self, saving: Saving, canisters: Iterable[CanisterState]) -> None:
        """Ends a snapshot that was settled. `canisters`: all that there are now.

        Memories that didn't change since the snapshot before are mapped from their images: they take no room then.
        """
        if self.valid_manifest.changes is not None:
            return
        for canister in canisters:
            instance, former, stored = canister.instance, saving.before.get(canister.id), self.stored.get(canister.id)
            if instance is None or former is None or stored is None:
                continue
            image, known_as = stored.main, self._saved_as.get(canister.id, (None, None))[0]
            if former.main is not image or not image.name or instance.busy or instance.memory.is_saved:
                continue
            if instance.memory.saved_as is known_as and instance.memory.unsaved() == []:
                with suppress(OSError):
                    instance.memory.use_file(self.files.open(self.images.path(image)), image.length)
                    self.loaded(canister)

    def _write_files(self, saving: Saving) -> None:
        files, path, number = self.files, self.path, saving.number
        changes = Changes(path / changes_name(number))
        try:
            stored = {canister.id: self._store(canister, number, changes) for canister in saving.canisters}
            if changes.runs:
                files.sync(changes.file)
        finally:
            if changes.file >= 0:
                files.close(changes.file)
        known = set().union(*(its.module_hashes for its in self.stored.values()))
        for canister in saving.canisters:
            modules = {} if canister.module is None else {canister.module.hash: canister.module.wasm}
            its_snapshots = stored[canister.id].snapshots
            modules |= {its_snapshots[id_].module_hash: it.wasm for id_, it in canister.snapshots.items()}
            for hash_ in modules.keys() - known:
                files.write_whole(path / module_name(hash_), modules[hash_])
                known.add(hash_)
        # They never change: read again, keys that were lost or damaged meanwhile would be the right ones from now on.
        keys = self._first_keys() if self.manifest is None else self.manifest.keys
        draft = Manifest(number, FORM, saving.salt.hex(), keys, Seal(0, 0), changes.seal)
        statuses = self.statuses.save(saving.statuses, number)
        content = Snapshot(draft, stored, changes.runs, saving.state, statuses).encoded()
        files.write_whole(path / state_name(number), content)
        saving.manifest = replace(draft, state=Seal.of(content))
        saving.stored, saving.change_runs = stored, changes.runs

    def _first_keys(self) -> Seal | None:
        try:
            return Seal.of(self.files.read_whole(self.path / KEYS))
        except FileNotFoundError:
            return None

    def _store(self, canister: SavedCanister, number: int, changes: Changes) -> StoredCanister:
        former = self.stored.get(canister.id)
        name = f"{canister.id.hex()}-{{}}-{number}".format
        known = former.stable if former is not None and canister.stable.has_image else None
        stable = self.images.save(canister.stable, known, name("stable"), changes)
        snapshots = self.snapshots.save(canister.snapshots, former, number, changes)
        if canister.main is None or canister.module is None:
            return StoredCanister(None, (), NO_IMAGE, stable, snapshots)
        known = former.main if former is not None and canister.main.has_image else None
        main = self.images.save(canister.main, known, name("main"), changes)
        return StoredCanister(canister.module.hash, canister.globals, main, stable, snapshots)

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

    def _remove(self, names: Set[str]) -> None:
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
