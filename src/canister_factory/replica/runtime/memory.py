"""Transactional linear memory: what an execution wrote is committed, or undone, in proportion to what it wrote.

Owns: what every strategy promises, and the strategy that works everywhere; the other is in `copy_on_write`.
Does not own: the instance, its globals, or when to commit.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from canister_factory.replica.runtime.undo import BLOCK_BYTES, UndoLog

Extent = tuple[int, bytes]
"""An offset into a memory, and the bytes that stand there."""


@dataclass(frozen=True, slots=True)
class MemoryState:
    """A memory's content, or what changed of it since another state."""

    length: int
    """Bytes."""
    extents: tuple[Extent, ...]
    """Ascending, not overlapping. Bytes that no extent covers are zero where the state is complete; otherwise they are
    what they were before, or zero beyond the former length. `restore` takes any readable buffers."""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class InstanceState:
    """What an instance holds between executions.

    Tables are not part of it: as on the IC, each execution finds them as the module defines them.
    """

    memory: MemoryState
    globals: tuple[int, ...]
    """The mutable globals in the module's order, 64 raw bits each."""


# What is compared and exported at a time. Both strategies report changes in multiples of it.
GRANULE = 4096
CHUNK = 65536
ZEROES = bytes(CHUNK)


class MemoryTransaction(ABC):
    """The committed image of a linear memory, and the transaction on the memory that is attached to it.

    Addresses and lengths are bytes; lengths are multiples of 64 KiB. One thread at a time.
    """

    def __init__(self) -> None:
        self.committed = 0  # length of the image
        self._base = 0
        self.saved_as: object = None  # what `unsaved` goes on from: another with each `mark_saved`
        self._changed: list[tuple[int, int]] | None = None  # None: all of it, since nothing was saved yet
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

    def preparing(self, length: int) -> Iterator[None]:
        """Does beforehand, in pieces, what a large commit of `length` bytes takes; that or a rollback has to follow.

        Nobody sees anything of it before the commit. The linear memory must not be used after it has begun.
        """
        return iter(())

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
    def use_file(self, file: int, length: int) -> None:
        """Makes a file's content the image, which is saved there: it must not change as long as it is used here.

        Where something is attached, it must have this content already, and no transaction may be open. The descriptor
        is closed here. `length` bytes; the file is as long.
        """

    @property
    def is_saved(self) -> bool:
        """Whether the image is the file that it was saved in, and takes no memory of its own."""
        return False

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the committed image."""

    @abstractmethod
    def close(self) -> None:
        """Gives the image's memory back. An attached linear memory must not be used after it."""

    @abstractmethod
    def view(self) -> MemoryTransaction:
        """The committed image as it is now, for an instance that only reads: it stays that, whatever is committed here.

        What the instance itself writes is kept from one of its transactions to the next if that is committed, and
        never comes here. This image may not be reverted or cut while a view is in use.
        """

    def vacate(self) -> None:
        """Takes the image out of the linear memory, which holds anything from here on; `attach` has to follow."""
        self._base = 0

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
        """All of the image; 64 KiB blocks of zeroes are left out."""
        extents: list[Extent] = []
        for offset in range(0, self.committed, CHUNK):
            block = self.read(offset, CHUNK)
            if block != ZEROES:
                extents.append((offset, block))
        return MemoryState(self.committed, tuple(extents))

    @property
    def length(self) -> int:
        """Of the committed image, bytes."""
        return self.committed

    def read_committed(self, offset: int, size: int) -> bytes:
        """What `read` reads, by the name that a stable memory has for it."""
        return self.read(offset, size)

    def unsaved(self) -> list[tuple[int, int]] | None:
        """Where it may differ from what was last saved: ascending [(start, end)]; None: anywhere."""
        return None if self._changed is None else joined(sorted(self._changed), 0)

    def mark_saved(self) -> None:
        """Says that a checkpoint holds the present image: `unsaved` starts from here."""
        self._changed = []
        self.saved_as = object()

    def unmark_saved(self, unsaved: list[tuple[int, int]] | None, saved_as: object) -> None:
        """Takes `mark_saved` back: there is no such checkpoint. `unsaved`, `saved_as`: what these were before it."""
        self._changed = None if unsaved is None or self._changed is None else unsaved + self._changed
        self.saved_as = saved_as

    def _note(self, runs: list[tuple[int, int]]) -> None:
        if self._changed is not None:
            self._changed += runs
            if len(self._changed) > 100_000:  # nobody saves them: all of it is shorter than this list
                self._changed = None


class FullCopyMemory(MemoryTransaction):
    """Keeps a second copy. Works everywhere; a commit or rollback costs a pass over the whole memory."""

    def __init__(self) -> None:
        super().__init__()
        self._image = bytearray()

    def adopt(self, base: int, length: int) -> None:
        self._base = base
        self._image = bytearray(memory_view(base, length))
        self.committed = length
        self._changed = None

    def attach(self, base: int) -> None:
        self._base = base
        memory_view(base, self.committed)[:] = self._image

    def commit(self, length: int) -> None:
        view = memory_view(self._base, length)
        self._resize(length)
        runs = []
        for offset in range(0, length, CHUNK):
            block = bytes(view[offset : offset + CHUNK])
            known = self._image[offset : offset + CHUNK]
            if block == known:
                continue
            for at in range(0, len(block), GRANULE):
                if block[at : at + GRANULE] != known[at : at + GRANULE]:
                    runs.append((offset + at, offset + at + GRANULE))
                    self._keep(*runs[-1])
            self._image[offset : offset + CHUNK] = block
        self._note(joined(runs, 0))

    def rollback(self) -> None:
        memory_view(self._base, self.committed)[:] = self._image

    def restore(self, state: MemoryState) -> None:
        check_extents(state)
        self._image = bytearray(state.length)
        self.committed = state.length
        self._changed = None
        for offset, data in state.extents:
            self._image[offset : offset + len(data)] = data

    def use_file(self, file: int, length: int) -> None:
        with open(file, "rb", buffering=0) as content:
            if not self._base:
                self._image = bytearray(length)
                view = memoryview(self._image)
                while view and (count := content.readinto(view)):
                    view = view[count:]
                self.committed = length
        self.mark_saved()

    def view(self) -> MemoryTransaction:
        view = FullCopyMemory()
        view._image = bytearray(self._image)
        view.committed = self.committed
        return view

    def _put(self, offset: int, data: bytes) -> None:
        self._image[offset : offset + len(data)] = data
        if self._base:
            memory_view(self._base + offset, len(data))[:] = data

    def _resize(self, length: int) -> None:
        self._image = self._image[:length] + bytes(max(0, length - len(self._image)))
        self.committed = length

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._image[offset : offset + size])

    def close(self) -> None:
        self._image = bytearray()


def check_extents(state: MemoryState) -> None:
    """Refuses what isn't a whole state.

    Raises:
        ValueError: it holds changes only, or has an extent beyond its length.
    """
    if not state.complete:
        raise ValueError("only a complete state can be restored, this one holds changes")
    for offset, data in state.extents:
        if offset + len(data) > state.length:
            raise ValueError(
                f"an extent of {len(data)} bytes at {offset} ends beyond the memory's {state.length} bytes"
            )


def joined(runs: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Sorted runs with those merged that overlap or lie at most `gap` bytes apart."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start <= joined[-1][1] + gap:
            if end > joined[-1][1]:
                joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


_from_memory = ctypes.pythonapi.PyMemoryView_FromMemory
_from_memory.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
_from_memory.restype = ctypes.py_object
_WRITABLE = 0x200


def memory_view(base: int, length: int) -> memoryview:
    """A writable view of `length` bytes at an address; valid only as long as these stay mapped."""
    if not length:
        return memoryview(bytearray())
    view: memoryview = _from_memory(base, length, _WRITABLE)
    return view
