"""Files that hold the memories of canisters as they were at the last snapshot: `images/<canister>-<kind>-<generation>`.

Owns these files, and the checksums of what is in them. Does not own the memories (`runtime`), or which image is valid:
that is what the table in the snapshot's state says.

A snapshot writes what changed. Nothing that the valid state needs is overwritten before the next one is valid:
- a memory that is new, or new as a whole or for the greater part, goes into a file of its own;
- a part that was all zeroes isn't in the file, and goes straight to its place there;
- what replaces something goes into `changes-<generation>`, and into the image once the manifest is durable (`settle`).
  A process that is killed in between does that again at its next start.
"""

from __future__ import annotations

import errno
import os
import sys
import zlib
from array import array
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, Protocol

from canister_factory.replica.runtime.memory import MemoryState
from canister_factory.replica.store.files import ZEROES, DamagedError, Files, required
from canister_factory.replica.store.manifest import Seal
from canister_factory.replica.store.names import IMAGES, is_image

CHUNK_BYTES: Final = 1 << 16
_HOLE: Final = -1  # instead of a CRC-32: the chunk is all zeroes, whatever the file has there

Run = tuple[int, int]
"""From an offset to another, bytes."""


class StoredMemory(Protocol):
    """What an image is made of."""

    @property
    def length(self) -> int: ...

    def read_committed(self, offset: int, size: int) -> bytes: ...

    def unsaved(self) -> list[Run] | None: ...


@dataclass(frozen=True, slots=True)
class Image:
    """The image of one memory: the file's name, the memory's length in bytes, a CRC-32 for each 64 KiB of it."""

    name: str
    length: int
    checksums: array[int]

    def to_plain(self) -> list[object]:
        """As CBOR has it."""
        return [self.name, self.length, _little_endian(self.checksums).tobytes()]

    @classmethod
    def from_plain(cls, plain: list[object]) -> Image:
        """Reads what `to_plain` gave.

        Raises:
            ValueError, TypeError: it is something else.
        """
        name, length, checksums = plain
        if not (isinstance(name, str) and isinstance(length, int) and isinstance(checksums, bytes)):
            raise ValueError("no image")
        if (name or length) and not is_image(name):
            raise ValueError("the image's name is none")
        table = array("q")
        table.frombytes(checksums)
        if len(table) * CHUNK_BYTES != length:
            raise ValueError(f"{len(table)} checksums for {length} bytes")
        return cls(name, length, _little_endian(table))


NO_IMAGE: Final = Image("", 0, array("q"))
"""Of a memory without any pages: it has no file."""


def _little_endian(table: array[int]) -> array[int]:
    if sys.byteorder == "big":
        table = table[:]
        table.byteswap()
    return table


@dataclass(slots=True)
class Changes:
    """What one snapshot writes into images that are valid already: `runs` say where its file's bytes belong.

    Each run is (name of the image, offset, length); the bytes follow each other in that order.
    """

    path: Path
    runs: list[tuple[str, int, int]] = field(default_factory=list)
    size: int = 0
    crc32: int = 0
    file: int = -1

    @property
    def seal(self) -> Seal | None:
        return Seal(self.size, self.crc32) if self.runs else None


class Images:
    """The image files of one state directory.

    Attributes:
        written_bytes: how much this object has written, for whoever wants to know what a snapshot costs.
        given_up: the snapshot that is being written isn't wanted any more; it fails with the next chunk.
    """

    def __init__(self, files: Files, directory: Path) -> None:
        self._files = files
        self._directory = directory / IMAGES
        self.written_bytes = 0
        self.given_up = False

    def __repr__(self) -> str:
        return f"<Images {self._directory}>"

    def path(self, image: Image) -> Path:
        return self._directory / image.name

    # --- writing -----------------------------------------------------------------------------------------------------

    def save(self, memory: StoredMemory, former: Image | None, new_name: str, changes: Changes) -> Image:
        """Writes what a memory has that its former image hasn't; the image that is valid from the next manifest on.

        Raises:
            OSError: the disk refuses; the former image is as it was.
        """
        runs = memory.unsaved()
        length = memory.length
        if not length:
            return NO_IMAGE
        if former is None or not former.name or runs is None or length < former.length:
            return self._create(memory, new_name)
        if not runs and length == former.length:
            return former
        checksums = array("q", former.checksums)
        checksums.extend([_HOLE] * (length // CHUNK_BYTES - len(checksums)))
        replaced = sum(
            end - start for chunk, pieces in _by_chunk(runs) for start, end in pieces if checksums[chunk] != _HOLE
        )
        if 2 * replaced > length:  # each of these is written twice, in a new file once
            return self._create(memory, new_name)
        file = self._files.open(self._directory / former.name, writable=True)
        written_bytes = self.written_bytes - changes.size
        try:
            if length > former.length:
                self._files.truncate(file, length)
            for chunk, pieces in _by_chunk(runs):
                start = chunk * CHUNK_BYTES
                data = memory.read_committed(start, CHUNK_BYTES)
                if checksums[chunk] == _HOLE:
                    if data == ZEROES:
                        continue
                    self._write(file, data, start)
                else:
                    for begin, end in pieces:
                        self._note(changes, former.name, begin, data[begin - start : end - start])
                checksums[chunk] = zlib.crc32(data)
            if self.written_bytes - changes.size != written_bytes or length > former.length:
                self._files.sync(file)
        finally:
            self._files.close(file)
        return Image(former.name, length, checksums)

    def _create(self, memory: StoredMemory, name: str) -> Image:
        checksums = array("q")
        file = self._files.create(self._directory / name)
        try:
            self._files.truncate(file, memory.length)
            for start in range(0, memory.length, CHUNK_BYTES):
                data = memory.read_committed(start, CHUNK_BYTES)
                if data == ZEROES:
                    checksums.append(_HOLE)
                else:
                    self._write(file, data, start)
                    checksums.append(zlib.crc32(data))
            self._files.sync(file)
        finally:
            self._files.close(file)
        return Image(name, memory.length, checksums)

    def _write(self, file: int, data: bytes, offset: int) -> None:
        if self.given_up:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        self._files.write(file, data, offset)
        self.written_bytes += len(data)

    def _note(self, changes: Changes, name: str, offset: int, data: bytes) -> None:
        if changes.file < 0:
            changes.file = self._files.create(changes.path)
        self._write(changes.file, data, changes.size)
        changes.size += len(data)
        changes.crc32 = zlib.crc32(data, changes.crc32)
        last = changes.runs[-1] if changes.runs else ("", 0, 0)
        if last[0] == name and last[1] + last[2] == offset:
            changes.runs[-1] = (name, last[1], last[2] + len(data))
        else:
            changes.runs.append((name, offset, len(data)))

    def settle(
        self, path: Path, seal: Seal, runs: Iterable[tuple[str, int, int]], without: Container[str] = ()
    ) -> None:
        """Puts a snapshot's changes into the images. It may be done again, and is durable afterwards.

        Images named in `without` are left alone.

        Raises:
            OSError: the disk refuses.
            DamagedError: the changes aren't what was written, or an image is missing.
        """
        source = self._files.open(path)
        try:
            self._check_changes(source, path.name, seal)
            at = 0
            for name, of_one in groupby(runs, key=itemgetter(0)):
                pieces = [(offset, length) for _, offset, length in of_one]
                if name not in without:
                    self._settle_one(source, at, name, pieces)
                at += sum(length for _, length in pieces)
        finally:
            self._files.close(source)

    def _settle_one(self, source: int, at: int, name: str, pieces: list[tuple[int, int]]) -> None:
        with required(f"{IMAGES}/{name}"):
            target = self._files.open(self._directory / name, writable=True)
        try:
            for offset, length in pieces:
                self._files.copy(source, at, target, offset, length)
                self.written_bytes += length
                at += length
            self._files.sync(target)
        finally:
            self._files.close(target)

    def _check_changes(self, file: int, name: str, seal: Seal) -> None:
        size, checksum = self._files.size(file), 0
        for at in range(0, size, 1 << 20):
            checksum = zlib.crc32(self._files.read(file, 1 << 20, at), checksum)
        if (size, checksum) != (seal.size, seal.crc32):
            raise DamagedError(name, "is damaged, or belongs to another state")

    # --- reading -----------------------------------------------------------------------------------------------------

    def load(self, image: Image) -> MemoryState:
        """The memory of an image.

        Raises:
            DamagedError, OSError: as `chunks`.
        """
        return MemoryState(image.length, tuple(self.chunks(image)))

    def open(self, image: Image) -> int:
        """A file, open to be read, whose content is the memory: checked, and zeroes where it has to be.

        Raises:
            DamagedError, OSError: as `chunks`.
        """
        if not image.name:
            return self._files.open(Path(os.devnull))
        for _ in self.chunks(image):
            pass
        path = self._directory / image.name
        file = self._files.open(path, writable=True)
        try:
            for number, checksum in enumerate(image.checksums):
                # What a snapshot has left there that wasn't finished.
                if checksum == _HOLE and self._files.has_data(file, number * CHUNK_BYTES, CHUNK_BYTES):
                    self._files.write(file, ZEROES, number * CHUNK_BYTES)
        finally:
            self._files.close(file)
        return self._files.open(path)

    def open_all(self, images: Iterable[Image]) -> list[int]:
        """What `open` gives for each, read on all processors at once.

        Raises:
            DamagedError, OSError: of the first that fails; none is open then.
        """
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
            opened = [threads.submit(self.open, image) for image in images]
        failed = [each for each in opened if each.exception() is not None]
        if failed:
            for each in opened:
                if each not in failed:
                    self._files.close(each.result())
        return [each.result() for each in failed or opened]

    def chunks(self, image: Image, pending: Pending | None = None) -> Iterator[tuple[int, bytes]]:
        """(offset, content) of all chunks that aren't zeroes.

        Args:
            image: as the state's table has it.
            pending: changes that aren't in the file yet, or only partly.

        Raises:
            DamagedError: the file is missing, or a chunk isn't what was written.
            OSError: the file can't be read.
        """
        if not image.name:
            return
        name = f"{IMAGES}/{image.name}"
        with required(name):
            file = self._files.open(self._directory / image.name)
        try:
            if self._files.size(file) < image.length:
                raise DamagedError(name, f"was cut off: it has {self._files.size(file)} of {image.length} bytes")
            for number, checksum in enumerate(image.checksums):
                if checksum == _HOLE:
                    continue
                offset = number * CHUNK_BYTES
                data = self._files.read(file, CHUNK_BYTES, offset)
                if pending is not None:
                    data = pending.applied(image.name, offset, data)
                if zlib.crc32(data) != checksum:
                    raise DamagedError(name, f"is damaged at byte {offset}")
                yield offset, data
        finally:
            self._files.close(file)

    def check_changes(self, path: Path, seal: Seal) -> None:
        """Refuses a file with changes that isn't what was written.

        Raises:
            DamagedError: it is missing, or another one.
        """
        with required(path.name):
            file = self._files.open(path)
        try:
            self._check_changes(file, path.name, seal)
        finally:
            self._files.close(file)


class Pending:
    """The changes of a snapshot as they would be in the images, for whoever must not write them there."""

    def __init__(self, files: Files, path: Path, runs: list[tuple[str, int, int]]) -> None:
        self._files = files
        self._file = files.open(path)
        self._by_chunk: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
        at = 0
        for name, offset, length in runs:
            for chunk, pieces in _by_chunk([(offset, offset + length)]):
                here = [(start, end, at + start - offset) for start, end in pieces]
                self._by_chunk.setdefault((name, chunk), []).extend(here)
            at += length

    def close(self) -> None:
        self._files.close(self._file)

    def applied(self, name: str, offset: int, chunk: bytes) -> bytes:
        """A chunk of an image with its changes."""
        pieces = self._by_chunk.get((name, offset // CHUNK_BYTES))
        if not pieces:
            return chunk
        changed = bytearray(chunk)
        for start, end, at in pieces:
            changed[start - offset : end - offset] = self._files.read(self._file, end - start, at)
        return bytes(changed)


def _by_chunk(runs: list[Run]) -> Iterator[tuple[int, list[Run]]]:
    """Ascending runs, cut at the bounds of chunks, for each chunk that they touch."""
    number = -1
    pieces: list[Run] = []
    for start, end in runs:
        while start < end:
            chunk = start // CHUNK_BYTES
            if chunk != number:
                if pieces:
                    yield number, pieces
                number, pieces = chunk, []
            stop = min(end, (chunk + 1) * CHUNK_BYTES)
            pieces.append((start, stop))
            start = stop
    if pieces:
        yield number, pieces
