"""A damaged state made usable again, without what is lost: the damaged files are kept aside.

Owns what becomes of each kind of damage. Does not own finding it (`inspection`), making keys (`node.keys`), or asking a
person whether the loss is accepted (`cli`).
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

from canister_factory.replica.store.files import Files
from canister_factory.replica.store.images import CHUNK_BYTES, NO_IMAGE, Images
from canister_factory.replica.store.inspection import Inspection
from canister_factory.replica.store.journal import SALT_BYTES, Journal, JournalReader
from canister_factory.replica.store.kept_statuses import write_statuses
from canister_factory.replica.store.manifest import Manifest, Seal
from canister_factory.replica.store.names import (
    DAMAGED_PREFIX,
    IMAGES,
    KEYS,
    MANIFEST,
    changes_name,
    journal_name,
    state_name,
)
from canister_factory.replica.store.snapshot import Snapshot, StoredCanister
from canister_factory.replica.store.state_codec import encode_state
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.cycles import prices_named
from canister_factory.replica.subnet.install import uninstall
from canister_factory.replica.subnet.listeners import NOBODY
from canister_factory.replica.subnet.state import SubnetState

_EMPTY = StoredCanister(None, (), NO_IMAGE, NO_IMAGE)


def put_aside(path: Path, files: Files, inspection: Inspection) -> Path:
    """Copies what a repair changes or deletes into a new directory `damaged-<n>`, durably; returns that.

    Raises:
        OSError: the disk refuses; the directory isn't there.
    """
    taken = set(files.names(path))
    aside = path / next(name for number in count(1) if (name := f"{DAMAGED_PREFIX}{number}") not in taken)
    files.make_directory(aside)
    manifest = inspection.manifest
    names = inspection.damaged | {MANIFEST}
    if manifest is not None:
        names |= manifest.names
    if inspection.snapshot is not None:
        names |= {f"{IMAGES}/{name}" for name in _lost_images(inspection, inspection.snapshot)}
    try:
        for name in names:
            source = path / name
            if source.is_file():
                _copy(files, source, aside / name.replace("/", "-"))
        files.sync_directory(aside)
        files.sync_directory(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return aside


def _copy(files: Files, source: Path, target: Path) -> None:
    original, copy = files.open(source), files.create(target)
    try:
        size = files.size(original)
        files.truncate(copy, size)
        for at in range(0, size, CHUNK_BYTES):  # holes stay holes: an image may be much longer than there is room
            length = min(CHUNK_BYTES, size - at)
            if files.has_data(original, at, length):
                files.copy(original, at, copy, at, length)
        files.sync(copy)
    finally:
        files.close(original)
        files.close(copy)


def repair(path: Path, files: Files, inspection: Inspection) -> None:
    """Makes the state usable. Keys that are missing or damaged must have been made anew before.

    Args:
        path: the directory, which no process may use meanwhile.
        files: how the disk is reached.
        inspection: of this directory as it is; `can_be_mended`.
    """
    manifest, snapshot, state = inspection.manifest, inspection.snapshot, inspection.state
    assert manifest is not None
    assert snapshot is not None
    assert state is not None
    lost = inspection.lost_canisters or inspection.lost_snapshots or inspection.lost_statuses
    if not (lost or KEYS in inspection.damaged):
        _mend_journal(path, files, manifest, inspection)
        if changes_name(manifest.generation) in inspection.damaged:
            manifest = replace(manifest, changes=None)  # the images have them
        manifest.save(files, path)
        return
    _without(inspection.lost_canisters, state)
    stored = {
        id_: replace(_EMPTY, snapshots=its.snapshots) if id_ in inspection.lost_canisters else its
        for id_, its in snapshot.canisters.items()
    }
    for canister_id, snapshot_id in inspection.lost_snapshots:
        del state.canisters[canister_id].snapshots[snapshot_id]
        its = stored[canister_id]
        left = {id_: it for id_, it in its.snapshots.items() if id_ != snapshot_id}
        stored[canister_id] = replace(its, snapshots=left)
    _write(path, files, inspection, state, stored)


def _lost_images(inspection: Inspection, snapshot: Snapshot) -> set[str]:
    """The names of the images that the mended state goes without."""
    canisters = snapshot.canisters
    images = [image for id_ in inspection.lost_canisters for image in (canisters[id_].main, canisters[id_].stable)]
    for canister_id, snapshot_id in inspection.lost_snapshots:
        its = canisters[canister_id].snapshots[snapshot_id]
        images += [its.main, its.stable]
    return {image.name for image in images if image.name}


def _without(canister_ids: set[bytes], state: SubnetState) -> None:
    """Empties canisters as `uninstall_code` does: their open calls are rejected."""
    calls = Calls(state, prices_named(state.prices), NOBODY, b"", b"")
    for canister_id in canister_ids:
        uninstall(state.canisters[canister_id], calls, state)


def _mend_journal(path: Path, files: Files, manifest: Manifest, inspection: Inspection) -> None:
    """Keeps the records up to the damage."""
    name = journal_name(manifest.generation)
    if name not in inspection.damaged:
        return
    salt = bytes.fromhex(manifest.salt)
    records: list[bytes] = []
    if inspection.journal is not None:
        reader = JournalReader(files, path / name, salt)
        try:
            records += reader.records()
        finally:
            reader.close()
    draft = path / f"{name}.new"
    journal = Journal.create(files, draft, salt)
    try:
        for record in records:
            journal.make_room(len(record))
            journal.append(record)
        journal.flush()
    finally:
        journal.close()
    files.replace(draft, path / name)
    files.sync_directory(path)


def _write(
    path: Path, files: Files, inspection: Inspection, state: SubnetState, stored: dict[bytes, StoredCanister]
) -> None:
    """A new generation that goes on with the images of the former one, and with an empty journal."""
    former, snapshot = inspection.manifest, inspection.snapshot
    assert former is not None
    assert snapshot is not None
    number, salt = former.generation + 1, secrets.token_bytes(SALT_BYTES)
    keys = Seal.of(files.read_whole(path / KEYS)) if former.keys is not None else None
    if former.changes is not None and changes_name(former.generation) not in inspection.damaged:
        lost = _lost_images(inspection, snapshot)
        changes = path / changes_name(former.generation)
        Images(files, path).settle(changes, former.changes, snapshot.change_runs, without=lost)
    manifest = Manifest(number, former.form, salt.hex(), keys, Seal(0, 0))
    statuses = [write_statuses(files, path, number, dict(state.statuses.contents))]
    content = Snapshot(manifest, stored, [], encode_state(state), statuses).encoded()
    files.write_whole(path / state_name(number), content)
    Journal.create(files, path / journal_name(number), salt).close()
    files.sync_directory(path)
    replace(manifest, state=Seal.of(content)).save(files, path)
