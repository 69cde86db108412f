"""Which uploads have begun on a canister, noted on this computer: so the next attempt at a file goes on with its own.

A note has no names: the hash of what the file was (its path, size and time of change), and the number of the upload's
session, which the canister forgets after an hour without activity. Owns the notes. Does not own: uploads (`adding`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from canister_factory.candid.principal import Principal
from canister_factory.ic.home import HOME_VARIABLE, home_directory
from canister_factory.owner.errors import AddError

_MOST = 200
"""Notes that are kept, the newest: a canister has no more sessions of a caller for long."""


class UploadNotes:
    """The notes about one canister, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._notes = self._read()

    def __repr__(self) -> str:
        return f"UploadNotes({str(self._file)!r}, {len(self._notes)} uploads)"

    @classmethod
    def about(cls, canister_id: Principal) -> UploadNotes:
        """Those in this user's home."""
        return cls(home_directory() / "uploads" / f"{canister_id}.json")

    def get(self, path: Path, size: int, modified_ns: int) -> int | None:
        """The upload of this file, as it is now, that was begun before."""
        return self._notes.get(_key(path, size, modified_ns))

    def begun(self, path: Path, size: int, modified_ns: int, upload_id: int) -> None:
        """Notes an upload.

        Raises:
            AddError: the note can't be written.
        """
        self._notes[_key(path, size, modified_ns)] = upload_id
        self._write()

    def ended(self, path: Path, size: int, modified_ns: int) -> None:
        """Forgets the upload of this file, if there was one.

        Raises:
            AddError: the notes can't be written.
        """
        if self._notes.pop(_key(path, size, modified_ns), None) is not None:
            self._write()

    def _read(self) -> dict[str, int]:
        with _telling(self._file):
            try:
                known = json.loads(self._file.read_bytes())
            except (FileNotFoundError, ValueError):
                return {}  # a note that is lost costs an upload, no more
        return (
            {key: number for key, number in known.items() if isinstance(number, int)} if isinstance(known, dict) else {}
        )

    def _write(self) -> None:
        self._notes = dict(list(self._notes.items())[-_MOST:])
        part = self._file.with_suffix(f".{os.getpid()}.part")
        with _telling(self._file):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_text(json.dumps(self._notes))
            part.replace(self._file)


@contextmanager
def _telling(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AddError(
            f"{file}, which notes uploads that have begun, can't be used: {error.strerror}; {HOME_VARIABLE} names "
            "another directory"
        ) from error


def _key(path: Path, size: int, modified_ns: int) -> str:
    what = b"\0".join([os.fsencode(path.resolve()), str(size).encode(), str(modified_ns).encode()])
    return hashlib.sha256(what).hexdigest()
