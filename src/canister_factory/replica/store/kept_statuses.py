"""`statuses-<generation>`: the statuses of requests, of which a snapshot writes those that changed since the last one.

Owns these files. Does not own the rest of the state (`snapshot`), or how long statuses are kept (`subnet.upkeep`).

There may be a million statuses, one for each request of the last minutes, and a snapshot after every ten thousand. A
file has what became of requests, in the order of their arrival: a status, or that it was forgotten. The files together,
one after the other, give all statuses. The last one grows with each snapshot, which writes it anew, until it is full.
The first one goes when all of its requests are forgotten; what later ones say of these doesn't matter then.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cbor2

from canister_factory.ic.cbor import head
from canister_factory.replica.store.files import DamagedError, Files, required
from canister_factory.replica.store.manifest import Seal
from canister_factory.replica.store.names import statuses_name
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.request_status import RequestStatus

FULL: Final = 10_000
"""Requests after which a file is followed by another one."""

Changes = dict[bytes, bytes | None]
"""What became of requests, by their ids: the contents of their statuses; None: forgotten."""


@dataclass(frozen=True, slots=True)
class StatusFile:
    """One of the files: the generation in its name, and what it must be."""

    generation: int
    seal: Seal

    @property
    def name(self) -> str:
        return statuses_name(self.generation)

    def read(self, files: Files, directory: Path) -> Changes:
        """What it says.

        Raises:
            DamagedError: it is missing, or isn't what was written.
        """
        with required(self.name):
            content = files.read_whole(directory / self.name)
        self.seal.check(self.name, content)
        try:
            return _changes(cbor2.loads(content))
        except (cbor2.CBORError, LookupError, ValueError, TypeError, RecursionError) as error:
            raise DamagedError(self.name, f"can't be read ({type(error).__name__})") from error


def write_statuses(files: Files, directory: Path, generation: int, changes: Changes) -> StatusFile:
    """Makes a file, durable except for its name."""
    parts = [head(4, 2 * len(changes))]
    for request_id, content in changes.items():
        parts += (head(2, len(request_id)), request_id)
        parts += (_FORGOTTEN,) if content is None else (head(2, len(content)), content)
    whole = b"".join(parts)
    files.write_whole(directory / statuses_name(generation), whole)
    return StatusFile(generation, Seal.of(whole))


def put(changes: Changes, contents: dict[bytes, bytes]) -> None:
    """Makes the contents of statuses what they were after these changes."""
    for request_id, content in changes.items():
        if content is None:
            contents.pop(request_id, None)
        else:
            contents[request_id] = content


@dataclass(slots=True)
class _Known:
    """A file, and the requests in it."""

    file: StatusFile
    requests: Changes | tuple[bytes, ...]


@dataclass(slots=True)
class SavedStatuses:
    """What a snapshot has to say of statuses, as it was when that began."""

    closed: list[_Known]
    last: StatusFile | None
    changes: Changes | None  # None: the last file says all
    noted: int


@dataclass(slots=True)
class KeptStatuses:
    """The files of one state directory.

    Attributes:
        directory: of the state.
        files: how the disk is reached.
    """

    files: Files
    directory: Path
    _closed: list[_Known] = field(default_factory=list)
    _last: StatusFile | None = None
    _changes: Changes = field(default_factory=dict)  # what the last file says, and what came since
    _noted: int = 0  # changes, ever
    _written: int = 0  # of these, what the last file says

    def listening(self, listeners: Listeners) -> Listeners:
        """Listeners that are told what these are told, before this."""

        def request_status(request_id: bytes, status: RequestStatus | None) -> None:
            self._changes[request_id] = None if status is None else status.content
            self._noted += 1
            listeners.request_status(request_id, status)

        return replace(listeners, request_status=request_status)

    @property
    def valid(self) -> list[StatusFile]:
        """The files of the valid state."""
        return [known.file for known in self._closed] + ([] if self._last is None else [self._last])

    def load(self, valid: list[StatusFile]) -> dict[bytes, bytes]:
        """The contents of all statuses of a state with these files.

        Raises:
            DamagedError, OSError: a file can't be read, or isn't what was written.
        """
        contents: dict[bytes, bytes] = {}
        for position, file in enumerate(valid):
            changes = file.read(self.files, self.directory)
            put(changes, contents)
            if position == len(valid) - 1 and len(changes) < FULL:
                self._last, self._changes = file, changes
            else:
                self._closed.append(_Known(file, tuple(changes)))
        return contents

    def begin_saving(self, statuses: Container[bytes]) -> SavedStatuses:
        """What the snapshot that begins now has to say. `statuses`: all that there are."""
        closed = list(self._closed)
        while closed and not any(request_id in statuses for request_id in closed[0].requests):
            del closed[0]
        changes = None if self._written == self._noted else dict(self._changes)
        return SavedStatuses(closed, self._last, changes, self._noted)

    def save(self, saving: SavedStatuses, generation: int) -> list[StatusFile]:
        """Writes what changed; the files of the state that is to become the valid one. Any thread may do so.

        Raises:
            OSError: the disk refuses.
        """
        if saving.changes is not None:
            saving.last = write_statuses(self.files, self.directory, generation, saving.changes)
        return [known.file for known in saving.closed] + ([] if saving.last is None else [saving.last])

    def saved(self, saving: SavedStatuses) -> None:
        """What `save` has written is valid."""
        self._closed, self._last, self._written = saving.closed, saving.last, saving.noted
        changes = saving.changes
        if self._last is not None and changes is not None and len(changes) >= FULL:
            self._closed.append(_Known(self._last, tuple(changes)))
            missing = object()
            since = {it: content for it, content in self._changes.items() if changes.get(it, missing) is not content}
            self._last, self._changes = None, since


_FORGOTTEN: Final = b"\xf6"


def _changes(plain: list[Any]) -> Changes:
    """What a list of request ids and contents says, which follow one another."""
    each = iter(plain)
    changes = dict(zip(each, each, strict=True))
    if not {*map(type, changes)} <= {bytes} or not {*map(type, changes.values())} <= {bytes, type(None)}:
        raise TypeError
    return changes
