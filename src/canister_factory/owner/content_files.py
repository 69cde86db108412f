"""Copies on disk: chunks by their SHA-256, and one file for each state that names what it is made of.

    backup.json              of what it is a copy, and in which format
    states/NAME.json         what was there at a time
    chunks/ab/abcd...        a chunk by its SHA-256

Nothing is overwritten. A file gets its name when all of it is on the disk, and a state when all that it names is there;
what breaks off leaves files without a name, which the next copy removes. So whatever happens, each state is whole, and
what is there already needn't be written again.

Owns this layout, who may write, and that what is read is what was written. Does not own: what states are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident
from typing import ClassVar, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from canister_factory.owner.disk import writing
from canister_factory.owner.errors import BackupError

M = TypeVar("M", bound=BaseModel)
A = TypeVar("A", bound=BaseModel)
S = TypeVar("S", bound="SavedState")


class SavedState(BaseModel):
    """What was there at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")

    def problem(self) -> str | None:
        """What contradicts itself, if anything does."""
        raise NotImplementedError


class Damage(NamedTuple):
    """A file of a copy that isn't what its name says."""

    file: str
    problem: str


class _Format(BaseModel):
    format: str


class ContentFiles(Generic[A]):
    """A directory of copies; each kind of them has its format, and a model that says what it is a copy of.

    Args:
        path: the directory; `open` and `create` see to it that it is one.
    """

    format: ClassVar[str]
    about_model: type[A]

    def __init__(self, path: Path, about: A) -> None:
        self.path = path
        self.about = about

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    # ---- The directory ----

    @classmethod
    def open(cls, path: Path) -> Self:
        """The copies in a directory.

        Raises:
            BackupError: there are none, or they are of another format.
        """
        file = path / "backup.json"
        try:
            text = file.read_text()
        except FileNotFoundError:
            raise BackupError(f"{path} is no backup: it has no file backup.json") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BackupError(f"{file} can't be read: {error}") from None
        found = parsed(_Format, text, file).format
        if found != cls.format:
            raise BackupError(f"{path} has a backup of the format {found[:60]!r}; this command knows {cls.format}")
        return cls(path, parsed(cls.about_model, text, file))

    @classmethod
    def create(cls, path: Path, about: A) -> Self:
        """Copies without a state, where there is an empty directory or none; only its user can read it.

        Raises:
            BackupError: the directory has other files, or can't be written.
        """
        made = cls(path, about)
        with writing(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise BackupError(f"{path} isn't empty and no backup; give a directory of its own")
            path.chmod(0o700)
            made.write(path / "backup.json", about.model_dump_json(indent=2).encode())
        return made

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

    def read_state(self, name: str, model: type[S]) -> S:
        """A state, which is consistent in itself.

        Raises:
            BackupError: there is no such state, or it is damaged.
        """
        file = self.path / "states" / f"{name}.json"
        try:
            state = parsed(model, file.read_text(), file)
        except FileNotFoundError:
            raise BackupError(f"{self.path} has no state {name[:80]!r}; it has {', '.join(self.names())}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BackupError(f"{file} can't be read: {error}") from None
        problem = state.problem()
        if problem is not None:
            raise BackupError(f"{file} is damaged: {problem}; restore another state, or make another backup")
        return state

    def write_state(self, state: SavedState, taken_at_ns: int, digest: bytes) -> str:
        """Adds a state all of whose chunks are there; returns its name, by its time (since 1970) and hash."""
        seconds, nanoseconds = divmod(taken_at_ns, 10**9)
        moment = datetime.fromtimestamp(seconds, UTC)
        name = f"{moment:%Y%m%dT%H%M%S}.{nanoseconds:09}Z-{digest.hex()[:16]}"
        with writing(self.path):
            self.write(self.path / "states" / f"{name}.json", state.model_dump_json().encode())
        return name

    # ---- Chunks ----

    def chunk_file(self, sha256: bytes) -> Path:
        """Where the chunk is, or would be."""
        name = sha256.hex()
        return self.path / "chunks" / name[:2] / name

    def has_chunk(self, sha256: bytes) -> bool:
        """Whether there is such a chunk."""
        return self.chunk_file(sha256).exists()

    def put_chunk(self, sha256: bytes, data: bytes) -> None:
        """Keeps a chunk, whose SHA-256 this is."""
        with writing(self.path):
            self.write(self.chunk_file(sha256), data)

    def chunk(self, sha256: bytes) -> bytes:
        """The chunk with this SHA-256.

        Raises:
            BackupError: it isn't there, or isn't what it was.
        """
        file = self.chunk_file(sha256)
        data = self.read(file)
        if hashlib.sha256(data).digest() != sha256:
            raise BackupError(f"{file} is damaged: its SHA-256 isn't its name")
        return data

    def checked_chunk(self, sha256: bytes, expected: int) -> tuple[int, Damage | None]:
        """Reads a chunk: its bytes, and what is wrong if anything is; `expected`: how many it has to have."""
        file = self.chunk_file(sha256)
        name = str(file.relative_to(self.path))
        try:
            size = len(self.chunk(sha256))
        except BackupError as error:
            return 0, Damage(name, without_name(error, file))
        return size, None if size == expected else Damage(name, f"has {size} bytes, not {expected}")

    # ---- Files ----

    def read(self, file: Path) -> bytes:
        """A file's bytes.

        Raises:
            BackupError: it can't be read.
        """
        try:
            return file.read_bytes()
        except FileNotFoundError:
            raise BackupError(f"{file} is missing; make another backup into this directory") from None
        except OSError as error:
            raise BackupError(f"{file} can't be read: {error.strerror}") from None

    def write(self, file: Path, data: bytes) -> None:
        """Writes a file, which has its name when all of it is on the disk.

        Raises:
            OSError: that failed.
        """
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{get_ident()}.part")  # another thread may write the same
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)


def without_name(error: BackupError, file: Path) -> str:
    """What is wrong with a file, beside whose name it stands."""
    return str(error).removeprefix(f"{file} ")


def parsed(model: type[M], text: str, file: Path) -> M:
    """The model in a file's text.

    Raises:
        BackupError: it isn't one.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BackupError(f"{file} is damaged: {first['msg']}; nothing was changed") from None
