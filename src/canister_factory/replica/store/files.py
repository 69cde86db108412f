"""The file operations of the store: everything that it reads or writes goes through `Files`.

Owns modes, whole writes, and whether anything is forced to disk. Does not own what is written, or in which order: tests
put a layer here that fails, tears and records.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from canister_factory.base_error import CanisterFactoryError
from canister_factory.replica.runtime import file_copies
from canister_factory.replica.runtime.workers import Workers

ZEROES: Final = bytes(1 << 16)
_COPY_BYTES: Final = 1 << 20
_ALLOCATED_ONLY_BYTES: Final = 2 << 20


class DamagedError(CanisterFactoryError):
    """A file isn't what was written.

    Attributes:
        name: of the file, within the state directory.
        damage: what is wrong with it, in words that follow the name.
    """

    def __init__(self, name: str, damage: str) -> None:
        super().__init__(f"{name} {damage}")
        self.name = name
        self.damage = damage


@contextmanager
def required(name: str) -> Iterator[None]:
    """Opens a file that a state needs; `name`: within the state directory.

    Raises:
        DamagedError: it is missing.
    """
    try:
        yield
    except FileNotFoundError:
        raise DamagedError(name, "is missing") from None


class SyncFailedError(OSError):
    """What was written is there, but it isn't known whether a power failure leaves it there."""


class Files:
    """Operations on files of one computer's disk. All raise OSError where the system refuses.

    Args:
        power: what was written survives a power failure once it was synced; otherwise the end of the process only.
    """

    _disk: Workers | None = None  # waits for it

    def __init__(self, *, power: bool = True) -> None:
        self.power = power

    def __repr__(self) -> str:
        return f"<Files power={self.power}>"

    # --- directories -------------------------------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        """Makes a directory for this user alone; one that exists is left as it is."""
        path.mkdir(mode=0o700, exist_ok=True)

    def names(self, directory: Path) -> list[str]:
        """The names in a directory, sorted; none where it is missing."""
        try:
            return sorted(os.listdir(directory))
        except FileNotFoundError:
            return []

    def sync_directory(self, path: Path) -> None:
        """Forces the names in a directory to disk."""
        if self.power:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def replace(self, source: Path, target: Path) -> None:
        """Gives a file another name; what had that before is gone."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Deletes a file; one that is missing is no error."""
        path.unlink(missing_ok=True)

    # --- files -------------------------------------------------------------------------------------------------------

    def create(self, path: Path) -> int:
        """An empty file that only this user can read, open; one that was there is gone."""
        self.remove(path)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path, *, writable: bool = False) -> int:
        """An existing file, open. A link is followed to read only: what it names may be somebody else's."""
        return os.open(path, (os.O_RDWR | os.O_NOFOLLOW if writable else os.O_RDONLY) | os.O_CLOEXEC)

    def close(self, file: int) -> None:
        """Lets go of a file."""
        os.close(file)

    def size(self, file: int) -> int:
        """Its length, bytes."""
        return os.fstat(file).st_size

    def read(self, file: int, size: int, offset: int) -> bytes:
        """`size` bytes, or less where the file ends before."""
        return file_copies.read(file, offset, size)

    def write(self, file: int, data: bytes | memoryview, offset: int) -> None:
        """All of the data. Where that fails, a part of it may be there."""
        file_copies.write(file, data, offset)

    def truncate(self, file: int, size: int) -> None:
        """Makes a file this long."""
        os.ftruncate(file, size)

    def has_data(self, file: int, offset: int, size: int) -> bool:
        """Whether there may be something else than a hole in this part of a file."""
        if not hasattr(os, "SEEK_DATA"):
            return any(self.read(file, size, offset))
        try:
            return os.lseek(file, offset, os.SEEK_DATA) < offset + size
        except OSError as error:
            if error.errno == errno.ENXIO:
                return False
            raise

    def reserve(self, file: int, offset: int, size: int) -> None:
        """Lengthens a file by zeroes, so that writing there doesn't run out of space. Nothing must be there yet."""
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file, offset, size)
                if size >= _ALLOCATED_ONLY_BYTES:
                    return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise  # else the file system can't, which is no reason to fail
        # Written as well: a flush of what was only allocated changes the file's extents, and takes twice as long. Where
        # much is written there at once, that is little beside the bytes.
        for at in range(offset, offset + size, len(ZEROES)):
            self.write(file, ZEROES[: offset + size - at], at)

    def sync(self, file: int) -> None:
        """Forces a file's content to disk. After an error it isn't known what is there."""
        if self.power:
            getattr(os, "fdatasync", os.fsync)(file)

    def expect_no_reads(self, file: int, offset: int, size: int) -> None:
        """Says that a part of a file won't be read soon. What isn't on the disk yet is on its way there, so that `sync`
        has less to wait for; the system doesn't keep what is there in memory. Only a hint, and Linux's.
        """
        if self.power and sys.platform == "linux":
            with suppress(OSError):
                os.posix_fadvise(file, offset, size, os.POSIX_FADV_DONTNEED)

    def sync_beside(self, file: int, meanwhile: Callable[[], None]) -> None:
        """The same in a thread, while `meanwhile` is done here; that must not use files, or raise."""
        if self.power:
            self._disk = self._disk or Workers("disk")
            self._disk.beside(lambda: self.sync(file), meanwhile)
        else:
            meanwhile()

    def end(self) -> None:
        """Nothing is synced any more: lets go of the thread."""
        if self._disk is not None:
            self._disk.end()

    # --- made of these -----------------------------------------------------------------------------------------------

    def read_whole(self, path: Path) -> bytes:
        """All of a file."""
        file = self.open(path)
        try:
            return self.read(file, self.size(file), 0)
        finally:
            self.close(file)

    def write_whole(self, path: Path, content: bytes) -> None:
        """A new file that is on disk before this returns. Its name isn't: see `sync_directory`."""
        file = self.create(path)
        try:
            self.write(file, content, 0)
            self.sync(file)
        finally:
            self.close(file)

    def publish(self, path: Path, content: bytes) -> None:
        """Replaces a file so that there is the old content or the new, whatever happens.

        Raises:
            SyncFailedError: it is the new content, but a power failure may bring back the old one.
            OSError: it is the old content.
        """
        draft = path.with_name(f"{path.name}.new")
        self.write_whole(draft, content)
        self.replace(draft, path)
        try:
            self.sync_directory(path.parent)
        except OSError as error:
            raise SyncFailedError(error.errno, error.strerror) from error

    def copy(self, source: int, source_offset: int, target: int, target_offset: int, size: int) -> None:
        """Copies between two files."""
        for at in range(0, size, _COPY_BYTES):
            data = self.read(source, min(_COPY_BYTES, size - at), source_offset + at)
            self.write(target, data, target_offset + at)
