"""An append-only file of records, each with its length and checksum; a torn end is cut off.

Owns the framing and what survives a process that is killed. Does not own what the records mean (`checkpoint`).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_HEADER = struct.Struct("<II")  # length, CRC-32 of the content


class Journal:
    """Records in the order of `append`; `flush` hands them to the operating system, which keeps them if we are killed.

    Args:
        path: created if missing; whatever follows the last whole record is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._unwritten: list[bytes] = []
        self.size_bytes = 0
        self.torn = False
        for record in self.records():
            self.size_bytes += _HEADER.size + len(record)
        os.ftruncate(self._file, self.size_bytes)
        os.lseek(self._file, self.size_bytes, os.SEEK_SET)

    def __repr__(self) -> str:
        return f"<Journal {self.path.name} size_bytes={self.size_bytes} unwritten={len(self._unwritten) // 2}>"

    def records(self) -> Iterator[bytes]:
        """All whole records in the file; ends at the first that is cut off or damaged."""
        offset = 0
        while len(header := os.pread(self._file, _HEADER.size, offset)) == _HEADER.size:
            length, checksum = _HEADER.unpack(header)
            content = os.pread(self._file, length, offset + _HEADER.size)
            if len(content) != length or zlib.crc32(content) != checksum:
                return
            offset += _HEADER.size + length
            yield content

    def append(self, record: bytes) -> None:
        """Adds a record, in memory until `flush`."""
        self._unwritten += (_HEADER.pack(len(record), zlib.crc32(record)), record)
        self.size_bytes += _HEADER.size + len(record)

    def flush(self) -> None:
        """Writes what was appended: all of it or, where the disk refuses, nothing.

        Raises:
            OSError: the disk refuses; nothing may be appended any more. `torn` tells whether a part may be there.
        """
        if not self._unwritten:
            return
        unwritten = memoryview(b"".join(self._unwritten))
        whole_bytes = self.size_bytes - len(unwritten)
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._file, unwritten) :]
        except OSError:
            self.torn = True
            with suppress(OSError):
                os.ftruncate(self._file, whole_bytes)
                self.torn = False
            raise
        self._unwritten.clear()

    def close(self) -> None:
        """Closes the file; what was not flushed is lost."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
