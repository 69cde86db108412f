"""Transactional linear memory: what an execution wrote is committed, or undone, in proportion to what it wrote.

Owns: the committed image of one canister's main memory, and putting it under an instance's linear memory.
Does not own: the instance, its globals, or when to commit.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from canister_factory.replica.runtime.undo import BLOCK_BYTES, UndoLog

Extent = tuple[int, bytes]
"""An offset into a memory, and the bytes that stand there."""


@dataclass(frozen=True, slots=True)
class MemoryState:
    """A memory's content, or what changed of it since the state taken before."""

    length: int
    """Bytes."""
    extents: tuple[Extent, ...]
    """Ascending, not overlapping. Bytes that no extent covers are zero where the state is complete; otherwise they are
    what they were before, or zero beyond the former length. `restore` takes any readable buffers."""
    complete: bool = True


# What is compared and exported at a time. Both strategies report changes in multiples of it.
GRANULE = 4096
_CHUNK = 65536
_ZEROES = bytes(_CHUNK)
# Two dirty runs closer than this are handled as one: copying 16 KiB costs less than two more system calls.
_WORTH_A_CALL = 16384


class MemoryTransaction(ABC):
    """The committed image of a linear memory, and the transaction on the memory that is attached to it.

    Addresses and lengths are bytes; lengths are multiples of 64 KiB. One thread at a time.
    """

    def __init__(self) -> None:
        self.committed = 0  # length of the image
        self._base = 0
        self._changed: list[tuple[int, int]] | None = None  # None: all of it, since nothing was taken yet
        self._undo = UndoLog()

    @abstractmethod
    def adopt(self, base: int, length: int) -> None:
        """Makes what stands in the linear memory at `base` the committed image."""

    @abstractmethod
    def attach(self, base: int) -> None:
        """Puts the committed image into a linear memory at `base` that has at least its length."""

    def detach(self) -> None:
        """Forgets the linear memory: the image stays."""
        self._base = 0

    @abstractmethod
    def commit(self, length: int) -> None:
        """Makes the linear memory's present content, `length` bytes, the committed image."""

    @abstractmethod
    def rollback(self) -> None:
        """Makes the linear memory's first `committed` bytes what they were. Beyond them it undoes nothing."""

    @abstractmethod
    def restore(self, state: MemoryState) -> None:
        """Makes a complete state the image. Nothing may be attached.

        Raises:
            ValueError: an extent ends beyond the length.
        """

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the committed image."""

    @abstractmethod
    def close(self) -> None:
        """Gives the image's memory back. An attached linear memory must not be used after it."""

    @abstractmethod
    def _put(self, offset: int, data: bytes) -> None:
        """Writes into the image, and so into the linear memory that is attached."""

    @abstractmethod
    def _resize(self, length: int) -> None:
        """Cuts the image, or adds zeroes to it."""

    # --- anchors ---

    @property
    def anchored(self) -> bool:
        """Whether an anchor is open; then nothing may replace the image as a whole."""
        return bool(self._undo)

    @property
    def copied_bytes(self) -> int:
        """What the open anchors keep of the image: the blocks that were written since."""
        return self._undo.copied_bytes

    def anchor(self) -> None:
        """Remembers the image for `revert`. Anchors nest."""
        self._undo.open(self.committed)

    def revert(self) -> None:
        """Makes the image what it was at the innermost anchor, and ends that. An attached memory follows.

        To be called between transactions, and detached where the memory has grown since: see `grown`.
        """
        former = self._undo.revert()
        if former.length != self.committed:
            self._resize(former.length)
            self._changed = None
        runs = []
        for offset, data in former.runs():
            self._put(offset, data)
            runs.append((offset, offset + len(data)))
        self._note(runs)

    def release(self) -> None:
        """Ends the innermost anchor and leaves the image as it is."""
        self._undo.release()

    @property
    def grown(self) -> bool:
        """Whether the image is longer than at the innermost anchor."""
        return self._undo.length_at_anchor != self.committed

    def _keep(self, start: int, end: int) -> None:
        """To be called before a part of the image is overwritten."""
        missing = self._undo.missing(start, end)
        if not missing:
            return
        first = missing[0]
        content = self.read(first * BLOCK_BYTES, (missing[-1] + 1 - first) * BLOCK_BYTES)
        for number in missing:
            at = (number - first) * BLOCK_BYTES
            self._undo.keep(number, content[at : at + BLOCK_BYTES])

    def export_state(self) -> MemoryState:
        """All of the image; 64 KiB blocks of zeroes are left out. Doesn't touch what `take_changes` reports."""
        found: list[Extent] = []
        for offset in range(0, self.committed, _CHUNK):
            block = self.read(offset, _CHUNK)
            if block != _ZEROES:
                found.append((offset, block))
        return MemoryState(self.committed, tuple(found))

    def take_changes(self) -> MemoryState:
        """What was committed since the last time this was called; the first time, all of the image."""
        changed, self._changed = self._changed, []
        if changed is None:
            return self.export_state()
        runs = _joined(sorted(changed), 0)
        extents = tuple((start, self.read(start, end - start)) for start, end in runs)
        return MemoryState(self.committed, extents, complete=False)

    def mark_saved(self) -> None:
        """Says that a checkpoint holds the present image: `take_changes` starts from here."""
        self._changed = []

    def _note(self, runs: list[tuple[int, int]]) -> None:
        if self._changed is not None:
            self._changed += runs
            if len(self._changed) > 100_000:  # nobody takes them: all of it is shorter than this list
                self._changed = None


class FullCopyMemory(MemoryTransaction):
    """Keeps a second copy. Works everywhere; a commit or rollback costs a pass over the whole memory."""

    def __init__(self) -> None:
        super().__init__()
        self._image = bytearray()

    def adopt(self, base: int, length: int) -> None:
        self._base = base
        self._image = bytearray(_view(base, length))
        self.committed = length
        self._changed = None

    def attach(self, base: int) -> None:
        self._base = base
        _view(base, self.committed)[:] = self._image

    def commit(self, length: int) -> None:
        view = _view(self._base, length)
        self._resize(length)
        runs = []
        for offset in range(0, length, _CHUNK):
            block = bytes(view[offset : offset + _CHUNK])
            known = self._image[offset : offset + _CHUNK]
            if block == known:
                continue
            for at in range(0, len(block), GRANULE):
                if block[at : at + GRANULE] != known[at : at + GRANULE]:
                    runs.append((offset + at, offset + at + GRANULE))
                    self._keep(*runs[-1])
            self._image[offset : offset + _CHUNK] = block
        self._note(_joined(runs, 0))

    def rollback(self) -> None:
        _view(self._base, self.committed)[:] = self._image

    def restore(self, state: MemoryState) -> None:
        check_extents(state)
        self._image = bytearray(state.length)
        self.committed = state.length
        self._changed = None
        for offset, data in state.extents:
            self._image[offset : offset + len(data)] = data

    def _put(self, offset: int, data: bytes) -> None:
        self._image[offset : offset + len(data)] = data
        if self._base:
            _view(self._base + offset, len(data))[:] = data

    def _resize(self, length: int) -> None:
        self._image = self._image[:length] + bytes(max(0, length - len(self._image)))
        self.committed = length

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._image[offset : offset + size])

    def close(self) -> None:
        self._image = bytearray()


class CopyOnWriteMemory(MemoryTransaction):
    """Keeps the image in an anonymous file that is mapped privately over the linear memory (Linux 6.7 and later).

    The kernel copies a page when it is first written, and lists those copies (`PAGEMAP_SCAN`). Rollback drops them;
    commit writes them to the file first. Reading costs nothing, an execution pays for the pages that it wrote.
    """

    _MAX_RUNS = 4096
    # A scan walks the page tables of all that was ever touched, 1 to 9 ms for 640 MB. Mapping the image anew empties
    # them, which is worth it after so many bytes, or transactions, for images of some size.
    _REMAP_AFTER_BYTES = 64 << 20
    _REMAP_AFTER_TRANSACTIONS = 32
    _REMAP_FROM_LENGTH = 16 << 20
    _file = -1

    def __init__(self) -> None:
        super().__init__()
        import fcntl  # not everywhere there, as little as the rest of this class

        self._ioctl = fcntl.ioctl
        self._file = os.memfd_create("canister memory", os.MFD_CLOEXEC)
        self._runs = (_PageRegion * self._MAX_RUNS)()
        self._touched = 0  # bytes written since all of it was mapped
        self._transactions = 0  # ended since then

    def adopt(self, base: int, length: int) -> None:
        self._base = base
        self._resize(0)
        self._resize(length)
        # Everything is copied: wasmtime maps initial data from a file too, so pagemap can't tell it from untouched
        # memory. Blocks of zeroes stay holes.
        view = _view(base, length)
        for offset in range(0, length, _CHUNK):
            if bytes(view[offset : offset + _CHUNK]) != _ZEROES:
                self._save(offset, offset + _CHUNK)
        self._map(0, length)
        self._changed = None

    def attach(self, base: int) -> None:
        self._base = base
        self._map(0, self.committed)

    def commit(self, length: int) -> None:
        before = self.committed
        dirty = self._dirty(0, before)
        if length > before:
            grown = self._dirty(before, length, only_private=False)
            self._resize(length)
        else:
            grown = []
        for start, end in dirty + grown:
            self._keep(start, end)
            self._save(start, end)
        if not self._remapped(dirty + grown):
            for start, end in dirty:
                self._drop(start, end)
            self._map(before, length)
        self._note(dirty + grown)

    def rollback(self) -> None:
        dirty = self._dirty(0, self.committed)
        if not self._remapped(dirty):
            for start, end in dirty:
                self._drop(start, end)

    def _remapped(self, dirty: list[tuple[int, int]]) -> bool:
        """Maps the whole image anew where that is due, which drops all private pages."""
        self._touched += sum(end - start for start, end in dirty)
        self._transactions += 1
        often = self._transactions >= self._REMAP_AFTER_TRANSACTIONS and self.committed >= self._REMAP_FROM_LENGTH
        if not often and self._touched < self._REMAP_AFTER_BYTES:
            return False
        self._map(0, self.committed)
        return True

    def restore(self, state: MemoryState) -> None:
        check_extents(state)
        self._resize(0)
        self._resize(state.length)
        self._changed = None
        for offset, data in state.extents:
            self._put(offset, data)

    def _put(self, offset: int, data: bytes) -> None:
        unwritten = memoryview(data)
        while unwritten:
            written = os.pwrite(self._file, unwritten, offset)
            unwritten, offset = unwritten[written:], offset + written

    def read(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0:
            parts.append(os.pread(self._file, size, offset))
            offset, size = offset + len(parts[-1]), size - len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.close()

    def _resize(self, length: int) -> None:
        os.ftruncate(self._file, length)
        self.committed = length

    def _map(self, start: int, end: int) -> None:
        if start == end:
            return
        address = self._base + start
        if start == 0:
            self._touched = self._transactions = 0
        flags = mmap.MAP_PRIVATE | _MAP_FIXED | _MAP_NORESERVE
        _checked(
            _libc().mmap(address, end - start, mmap.PROT_READ | mmap.PROT_WRITE, flags, self._file, start) == address
        )

    def _save(self, start: int, end: int) -> None:
        while start < end:
            written = _libc().pwrite(self._file, self._base + start, end - start, start)
            _checked(written > 0)
            start += written

    def _drop(self, start: int, end: int) -> None:
        _checked(_libc().madvise(self._base + start, end - start, mmap.MADV_DONTNEED) == 0)

    def _dirty(self, start: int, end: int, *, only_private: bool = True) -> list[tuple[int, int]]:
        """Runs of pages that hold something else than the image, neighbours joined: [(start, end)].

        Under the image's mapping that is what is private. Beyond it, everything that isn't the kernel's page of zeroes.
        """
        if start == end:
            return []
        base = self._base
        unwanted = _PAGE_IS_FILE | _PAGE_IS_ZERO if only_private else _PAGE_IS_ZERO
        scan = _ScanArguments(
            size=ctypes.sizeof(_ScanArguments),
            start=base + start,
            end=base + end,
            vec=ctypes.addressof(self._runs),
            vec_len=self._MAX_RUNS,
            category_inverted=unwanted,
            category_mask=unwanted,
            category_anyof_mask=_PAGE_IS_PRESENT | _PAGE_IS_SWAPPED,
            return_mask=_PAGE_IS_PRESENT,
        )
        found: list[tuple[int, int]] = []
        while True:
            count = self._ioctl(_pagemap(os.getpid()), _PAGEMAP_SCAN, scan)
            found += [(region.start - base, region.end - base) for region in self._runs[:count]]
            if scan.walk_end >= scan.end:
                return _joined(found, _WORTH_A_CALL)
            scan.start = scan.walk_end


def check_extents(state: MemoryState) -> None:
    """Raises ValueError where a state isn't complete, or has an extent beyond its length."""
    if not state.complete:
        raise ValueError("only a complete state can be restored, this one holds changes")
    for offset, data in state.extents:
        if offset + len(data) > state.length:
            raise ValueError(
                f"an extent of {len(data)} bytes at {offset} ends beyond the memory's {state.length} bytes"
            )


def _joined(runs: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Sorted runs with those merged that overlap or lie at most `gap` bytes apart."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start <= joined[-1][1] + gap:
            if end > joined[-1][1]:
                joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _view(base: int, length: int) -> memoryview:
    return memory_view(base, length) if length else memoryview(bytearray())


_from_memory = ctypes.pythonapi.PyMemoryView_FromMemory
_from_memory.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
_from_memory.restype = ctypes.py_object
_WRITABLE = 0x200


def memory_view(base: int, length: int) -> memoryview:
    """A writable view of `length` bytes at an address; valid only as long as these stay mapped."""
    view: memoryview = _from_memory(base, length, _WRITABLE)
    return view


# --- Linux: PAGEMAP_SCAN (Documentation/admin-guide/mm/pagemap.rst, include/uapi/linux/fs.h) ---

_PAGEMAP_SCAN = 0xC0606610
_PAGE_IS_FILE, _PAGE_IS_PRESENT, _PAGE_IS_SWAPPED, _PAGE_IS_ZERO = 4, 8, 16, 32
_MAP_FIXED, _MAP_NORESERVE = 0x10, 0x4000


class _PageRegion(ctypes.Structure):
    _fields_ = (("start", ctypes.c_uint64), ("end", ctypes.c_uint64), ("categories", ctypes.c_uint64))


class _ScanArguments(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages"),
            *("category_inverted", "category_mask", "category_anyof_mask", "return_mask"),
        )
    )


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_longlong)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    libc.pwrite.restype = ctypes.c_ssize_t
    libc.pwrite.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_longlong)
    return libc


@functools.cache
def _pagemap(process: int) -> int:
    """This process's page map; a forked child must not read its parent's."""
    return os.open(f"/proc/{process}/pagemap", os.O_RDONLY | os.O_CLOEXEC)


def _checked(succeeded: bool) -> None:
    if not succeeded:
        code = ctypes.get_errno()
        raise OSError(code, f"mapping a canister's memory failed: {os.strerror(code)}")


@functools.cache
def copy_on_write_works() -> bool:
    """Whether this kernel can do it, found out by committing and rolling back on a small memory."""
    length = 4 * _CHUNK
    memory = None
    try:
        with mmap.mmap(-1, length) as area:
            anchor = ctypes.c_char.from_buffer(area)
            try:
                memory = CopyOnWriteMemory()
                memory.adopt(ctypes.addressof(anchor), length)
                area[5] = 1
                if memory._dirty(0, length) != [(0, mmap.PAGESIZE)]:
                    return False
                memory.commit(length)
                area[5] = 2
                area[length - 1] = 3
                memory.rollback()
                return area[5] == 1 and area[length - 1] == 0 and not memory._dirty(0, length)
            finally:
                del anchor
    except (AttributeError, ImportError, OSError):
        return False
    finally:
        if memory is not None:
            memory.close()


def best_memory() -> Callable[[], MemoryTransaction]:
    """The cheapest strategy that works here."""
    return CopyOnWriteMemory if copy_on_write_works() else FullCopyMemory
