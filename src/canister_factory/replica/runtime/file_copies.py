"""Parts of files, by their descriptors: read, written, in pieces, without holes, from one to another.

Owns these. Does not own what the files mean (`copy_on_write`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator


def pieces(runs: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Runs in pieces of at most `size` bytes."""
    for start, end in runs:
        for at in range(start, end, size):
            yield at, min(at + size, end)


def data_in(file: int, runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Where a file has data in runs that rise, as far as its file system tells: [(start, end)].

    It is asked once for each stretch of data, however many runs there are in it: it looks for the end of a stretch page
    by page, as far as that is.
    """
    found: list[tuple[int, int]] = []
    first = last = 0
    for start, end in runs:
        while start < end:
            if start >= last:
                try:
                    first = os.lseek(file, start, os.SEEK_DATA)
                except OSError as error:
                    if error.errno == errno.ENXIO:
                        return found  # nothing but a hole
                    raise
                last = os.lseek(file, first, os.SEEK_HOLE)
            if first >= end:
                break
            found.append((max(start, first), min(end, last)))
            start = min(end, last)
    return found


def copy(source: int, target: int, start: int, end: int) -> None:
    """Copies what stands between two offsets of a file to the same place of another."""
    os.lseek(target, start, os.SEEK_SET)
    while start < end:
        start += os.sendfile(target, source, start, end - start)


def read(file: int, offset: int, size: int) -> bytes:
    """`size` bytes from an offset, or less where the file ends before."""
    parts = []
    while size > 0:
        part = os.pread(file, size, offset)
        if not part:
            break
        parts.append(part)
        size, offset = size - len(part), offset + len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write(file: int, data: bytes | memoryview, offset: int) -> None:
    """All of the data. Where that fails, a part of it may be there."""
    unwritten = memoryview(data)
    while unwritten:
        written = os.pwrite(file, unwritten, offset)
        unwritten, offset = unwritten[written:], offset + written
