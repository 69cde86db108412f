"""What is done with a state directory while no replica uses it: check, repair, export, import.

Owns the lock meanwhile, and the order of steps. Does not own reading and mending (`store`), or what is said of it
(`cli`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.private_files import LOCK_NAME, LOG_NAME
from canister_factory.replica.node.server import ReplicaServer
from canister_factory.replica.node.state_lock import StateDirectoryError, acquire
from canister_factory.replica.store import archive
from canister_factory.replica.store.archive import ArchiveError
from canister_factory.replica.store.directory import explained
from canister_factory.replica.store.files import Files
from canister_factory.replica.store.inspection import Inspection, Inspector, size_of
from canister_factory.replica.store.manifest import read_manifest
from canister_factory.replica.store.names import FIRST_FORMAT, IMAGES, KEYS, MODULES, is_ours
from canister_factory.replica.store.repair import put_aside, repair

OnBytes = Callable[[int], object]


class MaintenanceError(CanisterFactoryError):
    """It can't be done; the message says why and what to do."""


@contextmanager
def held(path: Path) -> Iterator[IO[str]]:
    """An existing state directory, used by nobody else meanwhile.

    Raises:
        StateDirectoryError: there is none, or it is in use.
    """
    _require_state(path)
    with acquire(path) as lock:
        yield lock


def _require_state(path: Path) -> None:
    """Refuses a directory that is something else, which may be a person's, before anything is made or set there."""
    if not path.is_dir():
        raise StateDirectoryError(f"there is no state directory {path}")
    names = set(Files().names(path)) - {IMAGES, MODULES}  # which many a directory has
    if not any(is_ours(name) or name == FIRST_FORMAT for name in names):
        raise StateDirectoryError(f"there is no state in {path}")


def bytes_of(path: Path) -> int:
    """About how many bytes a check reads."""
    return size_of(path, Files())


def check(path: Path, on_bytes: OnBytes) -> Inspection:
    """Looks at all files of a directory that is `held`.

    Raises:
        CheckpointError: they can't be read, or another version wrote them.
    """
    with explained(path, "read"):
        return Inspector(path, Files(), on_bytes).inspect()


def mend(path: Path, inspection: Inspection) -> Path:
    """Gives up what the inspection says is lost; the damaged files are in the directory that is returned.

    Raises:
        CheckpointError: the disk refuses; nothing of the state was changed, or it can be done again.
        MaintenanceError: it can't be mended.
    """
    if not inspection.can_be_mended:
        raise MaintenanceError(
            f"the state in {path} can't be mended: the file with the subnet's state is damaged. Restore the directory "
            "from a copy, or import an export into a new one"
        )
    files = Files()
    with explained(path, "written"):
        aside = put_aside(path, files, inspection)
        if KEYS in inspection.damaged:
            ReplicaKeys.create(path)
        repair(path, files, inspection)
    return aside


def export(path: Path, target: Path, on_bytes: OnBytes) -> int:
    """Writes the state of a directory into a file; returns its length, bytes.

    The journal is executed and a snapshot taken first, so that the file doesn't depend on how code is executed.

    Raises:
        StateDirectoryError, KeyFileError, CheckpointError: the state can't be used.
        MaintenanceError: the file can't be written.
    """
    _require_state(path)
    if target.resolve().is_relative_to(path.resolve()):
        raise MaintenanceError(f"{target} is within the state directory: choose another place")
    if target.exists() and not target.is_file():
        raise MaintenanceError(f"{target} is no file that can be replaced: choose another name")
    with explained(path, "read"):
        if read_manifest(Files(), path) is None:  # a start would begin a new one
            raise StateDirectoryError(f"there is no state in {path}")
    server = ReplicaServer(path)
    try:
        server.subnet.close(in_full=True)
        with explained(path, "read"):
            if not _is_in_order(Inspector(path, Files()).inspect()):
                raise MaintenanceError(f"the state in {path} isn't in order: look at it with 'replica check {path}'")
        try:
            return archive.export(path, Files(), target, on_bytes)
        except OSError as error:
            raise MaintenanceError(f"{target} can't be written ({error.strerror or error})") from error
    finally:
        server.release()


def _is_in_order(inspection: Inspection) -> bool:
    """Whether all is in the snapshot, and the snapshot in its files."""
    manifest, journal = inspection.manifest, inspection.journal
    is_whole = not inspection.damages and manifest is not None and manifest.changes is None
    return is_whole and journal is not None and journal.records == 0


def import_(source: Path, path: Path, on_bytes: OnBytes) -> Inspection:
    """Makes a new state directory of an export. It is there wholly, or not at all.

    Raises:
        MaintenanceError: the directory isn't empty, or the file can't be used.
        StateDirectoryError: a replica began to use the directory meanwhile.
        CheckpointError: another version wrote it.
    """
    path = path.resolve()  # what takes its place must be on the same disk
    _require_empty(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{time.time_ns()}.new")
    try:
        draft.mkdir(mode=0o700)
        archive.unpack(source, Files(), draft, on_bytes)
        with explained(source, "read"):
            inspection = Inspector(draft, Files()).inspect()
        if inspection.damages or inspection.manifest is None:
            raise ArchiveError(f"{source} is damaged: {_first(inspection)}")
        with acquire(path):
            _require_empty(path)
            for name in (LOCK_NAME, LOG_NAME):
                (path / name).unlink(missing_ok=True)
            draft.rename(path)
        Files().sync_directory(path.parent)
    except OSError as error:
        raise MaintenanceError(
            f"{source} can't be imported ({error.strerror or error}: {error.filename or path})"
        ) from error
    except ArchiveError as error:
        raise MaintenanceError(f"{error}: nothing was imported") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return inspection


def _require_empty(path: Path) -> None:
    """Refuses a directory with more than what a replica that never had a state leaves."""
    if path.exists() and (
        not path.is_dir() or any(entry.name not in (LOCK_NAME, LOG_NAME) for entry in path.iterdir())
    ):
        raise MaintenanceError(f"{path} isn't empty: choose another directory with --state-dir")


def _first(inspection: Inspection) -> str:
    damage = inspection.damages[0] if inspection.damages else None
    return "it has no manifest" if damage is None else f"{damage.name} {damage.damage}"
