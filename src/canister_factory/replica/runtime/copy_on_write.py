"""Transactional linear memory with the kernel's help: pages are copied when they are first written.

Owns: the strategy for Linux, whether it works here, and the choice of the best one. Does not own: what a strategy
promises (`memory`).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import weakref
from collections.abc import Callable, Iterator

from canister_factory.replica.runtime.file_copies import copy, data_in, pieces, read, write
from canister_factory.replica.runtime.linux_pages import (
    MADV_POPULATE_WRITE,
    PAGE_IS_FILE,
    PAGE_IS_PRESENT,
    PAGE_IS_SWAPPED,
    PAGE_IS_ZERO,
    PAGEMAP_SCAN,
    PageRegion,
    ScanArguments,
    checked,
    files_allowed,
    libc,
    map_nothing,
    map_privately,
    pagemap,
)
from canister_factory.replica.runtime.memory import (
    CHUNK,
    ZEROES,
    FullCopyMemory,
    MemoryState,
    MemoryTransaction,
    check_extents,
    joined,
    memory_view,
)

_NOT_PRIVATE = PAGE_IS_FILE | PAGE_IS_ZERO
# Two dirty runs closer than this are handled as one: copying 16 KiB costs less than two more system calls.
_WORTH_A_CALL = 16384
# A commit of so much is prepared in pieces of that size; less takes some 20 ms at once.
_LARGE_COMMIT = 16 << 20
_PIECE = 4 << 20
# Files that are left for connections, the state directory and readers, which must work when no canister can be added.
_FILES_RESERVED = 256


class CopyOnWriteMemory(MemoryTransaction):
    """Keeps the image in an anonymous file that is mapped privately over the linear memory (Linux 6.7 and later).

    A saved image is mapped from the file that it was saved in, and copied to an anonymous one with the first commit:
    what nobody changes takes no memory of its own.

    The kernel copies a page when it is first written, and lists those copies (`PAGEMAP_SCAN`). Rollback drops them;
    commit writes them to the file first. Reading costs nothing, an execution pays for the pages that it wrote.
    """

    _MAX_RUNS = 256  # in a call; each memory has room for so many, 6 KB
    # A scan walks the page tables of all that was ever touched, 1 to 9 ms for 640 MB. Mapping the image anew empties
    # them, which is worth it after so many bytes, or transactions, for images of some size.
    _REMAP_AFTER_BYTES = 64 << 20
    _REMAP_AFTER_TRANSACTIONS = 32
    _REMAP_FROM_LENGTH = 16 << 20
    _file = -1
    _prepared: tuple[int, list[tuple[int, int]]] | None = None  # the next image's file, and what is new in it

    def __init__(self, file: int | None = None) -> None:
        """Holds an image in `file`, a descriptor that is closed here; by default in a new one."""
        super().__init__()
        import fcntl  # not everywhere there, as little as the rest of this class

        self._ioctl = fcntl.ioctl
        self._file = os.memfd_create("canister memory", os.MFD_CLOEXEC) if file is None else file
        if file is None and self._file >= files_allowed() - _FILES_RESERVED:
            self.close()  # the lowest free number is taken, so nearly all are
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self._runs = (PageRegion * self._MAX_RUNS)()
        self._scan = ScanArguments(
            size=ctypes.sizeof(ScanArguments),
            vec=ctypes.addressof(self._runs),
            vec_len=self._MAX_RUNS,
            category_anyof_mask=PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask=PAGE_IS_PRESENT,
        )
        self._touched = 0  # bytes written since all of it was mapped
        self._transactions = 0  # ended since then
        self._saved = False  # the file is one that others keep: it must not be written
        self._views: weakref.WeakSet[_CommittedView] | None = None  # few have any

    def adopt(self, base: int, length: int) -> None:
        self._base = base
        self._resize(0)
        self._resize(length)
        # Everything is copied: wasmtime maps initial data from a file too, so pagemap can't tell it from untouched
        # memory. Blocks of zeroes stay holes.
        view = memory_view(base, length)
        for offset in range(0, length, CHUNK):
            if bytes(view[offset : offset + CHUNK]) != ZEROES:
                self._save(offset, offset + CHUNK)
        self._map(0, length)
        self._changed = None

    def attach(self, base: int) -> None:
        self._base = base
        self._map(0, self.committed)

    def detach(self) -> None:
        super().detach()
        self._forget_prepared()

    def preparing(self, length: int) -> Iterator[None]:
        """Makes a file of the next image, so that the commit is nothing but mapping that.

        It is copied whole, which is worth it where a good part of it is new, and has to be where it is another's.
        """
        if length < _LARGE_COMMIT and not self._saved:
            return  # nor can what is new in it be so much: looking for it costs more than most messages
        before = self.committed
        dirty = self._dirty(0, before) + self._dirty(before, length, only_private=False)
        is_large = sum(end - start for start, end in dirty) >= max(_LARGE_COMMIT, length // 8)
        is_change = bool(dirty) or length != before
        if not (is_change if self._saved else is_large):
            return
        file = os.memfd_create("canister memory", os.MFD_CLOEXEC)
        prepared = self._prepared = file, dirty
        try:
            os.ftruncate(file, length)
            unchanged, at = [], 0
            for start, end in dirty:
                unchanged.append((at, min(start, before)))
                at = end
            unchanged.append((at, before))
            for start, end in pieces(data_in(self._file, unchanged), _PIECE):
                copy(self._file, file, start, end)
                yield
            for start, end in pieces(dirty, _PIECE):
                self._save(start, end, file)
                self._drop(start, end)  # for a rollback the former image is right, and for a commit the file
                yield
        except BaseException:
            if self._prepared is prepared:
                self._forget_prepared()
            raise

    def _take_prepared(self, length: int, file: int, dirty: list[tuple[int, int]]) -> None:
        self._prepared = None
        for start, end in dirty:
            self._keep(start, end)
            if self._saved:  # whose it is will write there; another file stays as it is for its views
                self._preserve(start, end)
        os.close(self._file)
        self._file, self._saved, self.committed = file, False, length
        self._map(0, length)
        self._note(dirty)

    def _forget_prepared(self) -> None:
        if self._prepared is not None:
            os.close(self._prepared[0])
            self._prepared = None

    def use_file(self, file: int, length: int) -> None:
        os.close(self._file)
        self._file, self._saved = file, True
        self.committed = length
        self.mark_saved()
        if self._base:
            self._map(0, length)

    @property
    def is_saved(self) -> bool:
        """Whether the image is in a file that it was saved in."""
        return self._saved

    def commit(self, length: int) -> None:
        if self._saved and self._prepared is None:
            for _ in self.preparing(length):
                pass
        if self._prepared is not None:
            self._take_prepared(length, *self._prepared)
            return
        before = self.committed
        dirty, grown = self._dirty(0, before), self._dirty(before, length, only_private=False)
        if length != before:
            self._resize(length)
        for start, end in dirty + grown:
            self._keep(start, end)
            self._preserve(start, end)
            self._save(start, end)
        if not self._remapped(dirty + grown):
            for start, end in dirty:
                self._drop(start, end)
            self._map(before, length)
        self._note(dirty + grown)

    def _preserve(self, start: int, end: int) -> None:
        for view in self._views or ():
            view.preserve(start, end)

    def rollback(self) -> None:
        self._forget_prepared()
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
        assert not self._saved, "only what has no anchor uses a file"
        write(self._file, data, offset)

    def read(self, offset: int, size: int) -> bytes:
        content = read(self._file, offset, size)
        if len(content) < size:
            raise OSError(errno.EIO, "the file with a canister's memory was cut off")
        return content

    def view(self) -> MemoryTransaction:
        view = _CommittedView(self._file, self.committed)
        if self._views is None:
            self._views = weakref.WeakSet()
        self._views.add(view)
        return view

    def close(self) -> None:
        self._forget_prepared()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.close()

    def _resize(self, length: int) -> None:
        assert not self._saved, "a saved image is replaced or kept, it isn't cut"
        os.ftruncate(self._file, length)
        self.committed = length

    def _map(self, start: int, end: int) -> None:
        if start == 0:
            self._touched = self._transactions = 0
        map_privately(self._base + start, end - start, self._file, start)

    def _save(self, start: int, end: int, file: int | None = None) -> None:
        while start < end:
            written = libc().pwrite(self._file if file is None else file, self._base + start, end - start, start)
            checked(written > 0)
            start += written

    def _drop(self, start: int, end: int) -> None:
        checked(libc().madvise(self._base + start, end - start, mmap.MADV_DONTNEED) == 0)

    def _dirty(self, start: int, end: int, *, only_private: bool = True) -> list[tuple[int, int]]:
        """Runs of pages that hold something else than the image, neighbours joined: [(start, end)].

        Under the image's mapping that is what is private. Beyond it, everything that isn't the kernel's page of zeroes.
        """
        if start == end:
            return []
        base = self._base
        scan = self._scan
        scan.start, scan.end = base + start, base + end
        scan.category_inverted = scan.category_mask = _NOT_PRIVATE if only_private else PAGE_IS_ZERO
        dirty: list[tuple[int, int]] = []
        while True:
            count = self._ioctl(pagemap(os.getpid()), PAGEMAP_SCAN, scan)
            dirty += [(region.start - base, region.end - base) for region in self._runs[:count]]
            if scan.walk_end >= scan.end:
                return joined(dirty, _WORTH_A_CALL)
            scan.start = scan.walk_end


class _CommittedView(CopyOnWriteMemory):
    """Another instance's look at an image, by the same file.

    What it has to find again and the file doesn't have (any more) is in `_kept`, by page.
    """

    def __init__(self, file: int, length: int) -> None:
        super().__init__(os.dup(file))
        self.committed = length
        self._shared = length  # pages beyond come from this instance
        self._kept: dict[int, bytes] = {}

    def attach(self, base: int) -> None:
        self._base = base
        self._map(0, self._shared)
        for at, content in self._kept.items():
            ctypes.memmove(base + at, content, mmap.PAGESIZE)

    def preparing(self, length: int) -> Iterator[None]:
        return iter(())  # nothing is committed to a file

    def preserve(self, start: int, end: int) -> None:
        """To be called before a part of the file is overwritten."""
        end = min(end, self._shared)
        missing = [at for at in range(start, end, mmap.PAGESIZE) if at not in self._kept]
        if self._file < 0 or not missing:  # it may be closed, and somebody still holds it
            return
        former = CopyOnWriteMemory.read(self, start, end - start)
        self._kept |= {at: former[at - start : at - start + mmap.PAGESIZE] for at in missing}
        if self._base:  # becomes private as by writing, but harms nothing that another thread writes there now
            checked(libc().madvise(self._base + start, end - start, MADV_POPULATE_WRITE) == 0)

    def vacate(self) -> None:
        if self._base:
            map_nothing(self._base, self.committed)
        super().vacate()

    def commit(self, length: int) -> None:
        for at in self._private(length):
            self._kept[at] = ctypes.string_at(self._base + at, mmap.PAGESIZE)
        self.committed = length

    def rollback(self) -> None:
        for at in self._private(self.committed):
            if at in self._kept:
                ctypes.memmove(self._base + at, self._kept[at], mmap.PAGESIZE)
            else:
                self._drop(at, at + mmap.PAGESIZE)

    def read(self, offset: int, size: int) -> bytes:
        content = super().read(offset, max(0, min(size, self._shared - offset)))
        kept = [at for at in range(offset - offset % mmap.PAGESIZE, offset + size, mmap.PAGESIZE) if at in self._kept]
        if not kept and len(content) == size:
            return content
        changed = bytearray(content.ljust(size, b"\0"))
        for at in kept:
            start, end = max(at, offset), min(at + mmap.PAGESIZE, offset + size)
            changed[start - offset : end - offset] = self._kept[at][start - at : end - at]
        return bytes(changed)

    def _private(self, length: int) -> Iterator[int]:
        """The pages of the linear memory that aren't the file's."""
        for start, end in self._dirty(0, self._shared) + self._dirty(self._shared, length, only_private=False):
            yield from range(start, end, mmap.PAGESIZE)


@functools.cache
def copy_on_write_works() -> bool:
    """Whether this kernel can do it, found out by committing and rolling back on a small memory."""
    length = 4 * CHUNK
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
