"""An append-only file of records: which of them were promised to somebody can be told, whatever became of the file.

Owns the form of the file and what survives. Does not own what the records mean (`checkpoint`).

A file begins with a header that has its salt, which no other journal has. Each record has a header with its length, its
sequence number, a checksum of the content, a checksum of the header that is salted, and two numbers more:

- `durable`: the last record that was durable when this one was written. After each flush a mark, a record without
  content, says so at once. A record that can't be read is damaged if anything behind it says that it was durable;
  otherwise it is the torn end of a write that nobody was answered for, and is wiped.
- `reserved`: how long the file was at least. It is lengthened by zeroes ahead of what is appended, so a file that is
  shorter was cut off. It also means that the disk can't become full between a message's execution and its record.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from canister_factory.replica.store.files import ZEROES, DamagedError, Files, SyncFailedError

SALT_BYTES: Final = 16
FIRST_BYTES: Final = 1 << 17
_MOST_RESERVED_BYTES: Final = 1 << 20
LARGE_BYTES: Final = 1 << 18
"""A record that is worth being written in parts, and while it is executed; more room is made ahead of such."""
_MOST_RESERVED_FOR_LARGE_BYTES: Final = 1 << 24  # a flush for every eighth message of 2 MB, instead of every second one
_MAGIC: Final = b"CFjournal2\n\0"
_START: Final = struct.Struct(f"<12s{SALT_BYTES}sQI")  # magic, salt, length at first, CRC-32 of these
_RECORD_MAGIC: Final = b"\xa9rec"
_RECORD: Final = struct.Struct("<4sIQQQII")  # magic, length, sequence, durable, reserved, CRC of content, of the rest
_BLOCK_BYTES: Final = 1 << 20
_WORTH_A_WRITE: Final = 1 << 16  # copying so much takes longer than a system call


@dataclass(slots=True)
class Scan:
    """What a reading of a whole journal found.

    Attributes:
        end: offset behind the last record that can be read.
        sequence: of that record; 0: there is none.
        records: their number, marks left out.
        reserved: how long the file must be at least.
        damage: why the file can't be what was written; None: it can.
        beyond: records behind the damage whose headers can be read.
        torn: behind the end there is something else than the zeroes that were reserved.
    """

    end: int = _START.size
    sequence: int = 0
    records: int = 0
    reserved: int = 0
    damage: str | None = None
    beyond: int = 0
    torn: bool = False


class JournalReader:
    """Reads a journal, and changes nothing.

    Raises:
        OSError: it can't be opened.
        DamagedError: it isn't the journal with this salt.
    """

    def __init__(self, files: Files, path: Path, salt: bytes, *, writable: bool = False) -> None:
        self._files = files
        self.path = path
        self._salt = salt
        self._salt_checksum = zlib.crc32(salt)
        self._file = files.open(path, writable=writable)
        try:
            self._check_start()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<JournalReader {self.path.name}>"

    def close(self) -> None:
        """Closes the file. Closing twice is allowed."""
        if self._file >= 0:
            self._files.close(self._file)
            self._file = -1

    def _check_start(self) -> None:
        start = self._files.read(self._file, _START.size, 0)
        if not start:
            raise DamagedError(self.path.name, "is empty")
        magic, salt, self._first_length, checksum = _START.unpack(start.ljust(_START.size, b"\0"))
        if len(start) < _START.size or magic != _MAGIC or zlib.crc32(start[:-4]) != checksum:
            raise DamagedError(self.path.name, "is no journal, or its beginning is damaged")
        if salt != self._salt:
            raise DamagedError(self.path.name, "belongs to another state")

    def records(self) -> Iterator[bytes]:
        """The contents of all records up to the first that can't be read."""
        offset, sequence = _START.size, 0
        while (found := self._record(offset, sequence + 1)) is not None:
            content, offset, sequence = found.content, found.end, found.sequence
            if content:
                yield content

    def scan(self) -> Scan:
        """Reads everything, what can't be read included."""
        scan = Scan(reserved=self._first_length)
        while (found := self._record(scan.end, scan.sequence + 1)) is not None:
            scan.end, scan.sequence = found.end, found.sequence
            scan.records += bool(found.content)
            scan.reserved = max(scan.reserved, found.reserved)
        size = self._files.size(self._file)
        durable, nonzero = 0, False
        for header, something in self._rest(scan.end, size):
            nonzero |= something
            if header is not None:
                durable = max(durable, header.durable)
                scan.reserved = max(scan.reserved, header.reserved)
                scan.beyond += header.length > 0
        scan.torn = nonzero
        if durable > scan.sequence:
            scan.damage = f"is damaged at byte {scan.end}, and records behind it are whole"
        elif size < scan.reserved:
            scan.damage = f"was cut off: it has {size} bytes, and had at least {scan.reserved}"
        return scan

    def _record(self, offset: int, sequence: int) -> _Record | None:
        """The record with this number at an offset; None: there is none that can be read."""
        header = self._header(self._files.read(self._file, _RECORD.size, offset))
        if header is None or header.sequence != sequence:
            return None
        content = self._files.read(self._file, header.length, offset + _RECORD.size)
        if len(content) != header.length or zlib.crc32(content) != header.checksum:
            return None
        return _Record(sequence, content, offset + _RECORD.size + len(content), header.reserved)

    def _header(self, data: bytes) -> _Header | None:
        if len(data) != _RECORD.size or data[:4] != _RECORD_MAGIC:
            return None
        _, length, sequence, durable, reserved, checksum, own = _RECORD.unpack(data)
        if zlib.crc32(data[:-4], self._salt_checksum) != own:
            return None
        return _Header(length, sequence, durable, reserved, checksum)

    def _rest(self, start: int, size: int) -> Iterator[tuple[_Header | None, bool]]:
        """Every header from `start` on, wherever it stands; and whether there is anything but zeroes."""
        overlap = _RECORD.size - 1
        for offset in range(start, size, _BLOCK_BYTES):
            block = self._files.read(self._file, _BLOCK_BYTES + overlap, offset)
            yield None, block.count(0) != len(block)
            at = block.find(_RECORD_MAGIC)
            while 0 <= at < _BLOCK_BYTES:
                yield self._header(block[at : at + _RECORD.size]), True
                at = block.find(_RECORD_MAGIC, at + 1)


class Journal(JournalReader):
    """Records in the order of `append`; `flush` makes them durable. What a crash left of a last write is wiped.

    Args:
        files: how the disk is reached, and what durable means.
        path: an existing journal.
        salt: of this journal.

    Attributes:
        written_ahead: the file may have records that weren't flushed.

    Raises:
        OSError: it can't be read, or not be written.
        DamagedError: it is another file, or something durable can't be read.
    """

    def __init__(self, files: Files, path: Path, salt: bytes) -> None:
        super().__init__(files, path, salt, writable=True)
        self._unwritten: list[bytes] = []
        self._unwritten_bytes = 0
        self._ahead = self._ahead_bytes = 0  # so many of these, with so many bytes, are in the file already
        self.written_ahead = False
        try:
            scan = self.scan()
            if scan.damage is not None:
                raise DamagedError(path.name, scan.damage)
            self._end = scan.end
            self._reserved = files.size(self._file)
            self._durable = self._sequence = scan.sequence
            self._torn_bytes = self._reserved - scan.end if scan.torn else 0
            self._wipe()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, files: Files, path: Path, salt: bytes) -> Journal:
        """A new journal, durable except for its name."""
        file = files.create(path)
        try:
            files.write(file, _start(salt), 0)
            files.reserve(file, _START.size, FIRST_BYTES - _START.size)
            files.sync(file)
        finally:
            files.close(file)
        return cls(files, path, salt)

    def __repr__(self) -> str:
        return f"<Journal {self.path.name} size_bytes={self.size_bytes} unwritten={len(self._unwritten) // 2}>"

    @property
    def size_bytes(self) -> int:
        """The records' length, of those appended too."""
        return self._end - _START.size + self._unwritten_bytes

    def make_room(self, content_bytes: int) -> None:
        """Makes sure that a record of this length, and a mark, can be appended without finding the disk full.

        Raises:
            OSError: there is no room; nothing has changed.
        """
        missing = self._missing(content_bytes)
        if missing <= 0:
            return
        try:
            most = _MOST_RESERVED_FOR_LARGE_BYTES if content_bytes >= LARGE_BYTES else _MOST_RESERVED_BYTES
            self._lengthen(missing + min(self._reserved, most))
        except OSError:
            self._lengthen(missing)

    def has_room(self, content_bytes: int) -> bool:
        """Whether `make_room` would have nothing to do."""
        return self._missing(content_bytes) <= 0

    def _missing(self, content_bytes: int) -> int:
        return self._end + self._unwritten_bytes + content_bytes + 2 * _RECORD.size - self._reserved

    def _lengthen(self, size: int) -> None:
        self._files.reserve(self._file, self._reserved, size)
        self._files.sync(self._file)  # a record that says so must not be there before
        self._reserved += size

    def append(self, *record: bytes, checksum: int | None = None) -> None:
        """Adds a record, in memory until `flush`, in parts that are written as they are. `checksum`: its CRC-32."""
        length = sum(map(len, record))
        assert length, "a record without content is a mark"
        self._sequence += 1
        checksum = checksum_of(record) if checksum is None else checksum
        self._unwritten += (self._header_of(self._sequence, length, checksum), *record)
        self._unwritten_bytes += _RECORD.size + length

    def write_ahead(self) -> None:
        """Has what was appended on its way to the disk while it is executed, so that less is left for `flush`.

        What fails here `flush` does again, or tells.
        """
        self.written_ahead = True
        with suppress(OSError):
            self._wipe()
            self._write_out()
            self._files.expect_no_reads(self._file, self._end, self._unwritten_bytes)

    def flush(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Makes durable what was appended. `meanwhile` is done while the disk is at work, if it has any.

        Raises:
            OSError: writing failed; nothing of it is durable, and it may be tried again.
            SyncFailedError: it isn't known what is durable.
        """
        if not self._unwritten:
            return
        self._wipe()
        try:
            self._write_out()
        except OSError:
            self._torn_bytes = self._unwritten_bytes
            self._ahead = self._ahead_bytes = 0
            with suppress(OSError):  # else before anything is written again
                self._wipe()
            raise
        try:
            if meanwhile is None:
                self._files.sync(self._file)
            else:
                self._files.sync_beside(self._file, meanwhile)
        except OSError as error:
            raise SyncFailedError(error.errno, error.strerror) from error
        if self._unwritten_bytes >= LARGE_BYTES:  # where these bytes were the next ones go: new memory costs more
            self._files.expect_no_reads(self._file, self._end, self._unwritten_bytes)
        self._written()
        self._durable = self._sequence
        self._mark()

    def _write_out(self) -> None:
        """Writes what was appended: much that is small together, records of megabytes without copying them."""
        offset = self._end + self._ahead_bytes
        for large, parts in groupby(self._unwritten[self._ahead :], lambda part: len(part) >= _WORTH_A_WRITE):
            for piece in parts if large else (b"".join(parts),):
                self._files.write(self._file, piece, offset)
                offset += len(piece)
        self._ahead, self._ahead_bytes = len(self._unwritten), self._unwritten_bytes

    def _written(self) -> None:
        self._end += self._unwritten_bytes
        self._unwritten.clear()
        self._unwritten_bytes = self._ahead = self._ahead_bytes = 0
        self.written_ahead = False

    # --- while it isn't valid yet ---

    def write(self) -> None:
        """Writes what was appended; only `begin` makes it durable.

        Raises:
            OSError: the journal can't be used any more.
        """
        self._write_out()
        self._written()
        self._reserved = max(self._reserved, self._end)

    def sync(self) -> None:
        """Forces to disk what was written so far, so that less is left for `begin`. Any thread may do so."""
        self._files.sync(self._file)

    def begin(self) -> None:
        """Makes durable what was written. From here on it is used with `flush`.

        Raises:
            OSError: it can't be used.
        """
        if self._sequence:
            self._files.sync(self._file)
            self._durable = self._sequence
            self._mark()
            self._reserved = max(self._reserved, self._end)

    # --- within the file ---

    def _mark(self) -> None:
        """Says that all of it is durable, for whoever finds it damaged."""
        mark = self._header_of(self._sequence + 1, 0, 0)
        try:
            self._files.write(self._file, mark, self._end)
        except OSError:  # the next one will say it, and stands in its place
            self._torn_bytes = len(mark)
            return
        self._sequence += 1
        self._end += len(mark)

    def _wipe(self) -> None:
        """Overwrites by zeroes what a write that failed left behind the end."""
        for at in range(0, self._torn_bytes, len(ZEROES)):
            self._files.write(self._file, ZEROES[: self._torn_bytes - at], self._end + at)
        self._torn_bytes = 0

    def _header_of(self, sequence: int, length: int, checksum: int) -> bytes:
        header = _RECORD.pack(_RECORD_MAGIC, length, sequence, self._durable, self._reserved, checksum, 0)
        return header[:-4] + zlib.crc32(header[:-4], self._salt_checksum).to_bytes(4, "little")


def checksum_of(record: Iterable[bytes]) -> int:
    """The CRC-32 of a record in parts."""
    return functools.reduce(lambda checksum, part: zlib.crc32(part, checksum), record, 0)


def _start(salt: bytes) -> bytes:
    start = _START.pack(_MAGIC, salt, FIRST_BYTES, 0)[:-4]
    return start + zlib.crc32(start).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class _Header:
    length: int
    sequence: int
    durable: int
    reserved: int
    checksum: int


@dataclass(frozen=True, slots=True)
class _Record:
    sequence: int
    content: bytes
    end: int
    reserved: int
