"""A canister's stable memory: sparse pages that survive upgrades, with a journal that undoes what a trap left behind.

Owns: the bytes, growth, rollback, forks, readers and changes for checkpoints. Does not own: limits on subnet storage,
prices.
"""

from __future__ import annotations

import threading
from typing import Final
from weakref import WeakSet

from canister_factory.replica.runtime.memory import MemoryState, check_extents, joined
from canister_factory.replica.runtime.undo import UndoLog

WASM_PAGE_BYTES: Final = 65536
# Stable memory may grow to 500 GiB ("Resource limits" in the IC's documentation).
MAX_WASM_PAGES: Final = 500 * 1024**3 // WASM_PAGE_BYTES
_BLOCK: Final = 4096
_ZEROES: Final = bytes(_BLOCK)
_MANY_BLOCKS: Final = 32  # so many are put in their places one after the other, fewer are joined first


class _SharedBlocks:
    """The blocks of a memory as they were when somebody began to read it, and what the reader itself writes over them.

    What the memory commits meanwhile is kept here first, so that a reader costs what changes, not what there is. It may
    be read by another thread than the memory's.
    """

    def __init__(self, memory: StableMemory) -> None:
        self._memory = memory
        self._own: dict[int, bytes | None] = {}

    def __len__(self) -> int:
        return len(self.whole())

    def get(self, number: int) -> bytes | None:
        return self.between(number, number + 1)[0]

    def between(self, first: int, end: int) -> list[bytes | None]:
        """The blocks from one to before another."""
        memory = self._memory
        with memory.lock:
            blocks = memory.committed_between(first, end)
            for number in _within(self._own, first, end):
                blocks[number - first] = self._own[number]
        return blocks

    def update(self, blocks: dict[int, bytes]) -> None:
        self._own |= blocks

    def restore(self, former: dict[int, bytes | None]) -> None:
        self._own |= former

    def keep(self, former: dict[int, bytes | None]) -> None:
        """Notes what the memory is about to replace."""
        for number, block in former.items():
            self._own.setdefault(number, block)

    def keep_all(self) -> None:
        """Notes everything, since the memory is about to become another one."""
        self._own = dict(self.whole()) | {number: None for number, block in self._own.items() if block is None}
        self._memory = StableMemory()

    def whole(self) -> dict[int, bytes]:
        merged: dict[int, bytes | None] = {**self._memory.committed_blocks(), **self._own}
        return {number: block for number, block in merged.items() if block is not None}


class _Blocks(dict[int, bytes]):
    """A memory's own blocks, by their places."""

    def between(self, first: int, end: int) -> list[bytes | None]:
        """The blocks from one to before another."""
        return list(map(self.get, range(first, end)))

    def restore(self, former: dict[int, bytes | None]) -> None:
        """Brings former blocks back; None: there was none."""
        for number, block in former.items():
            if block is None:
                self.pop(number, None)
            else:
                self[number] = block


def _within(blocks: dict[int, bytes | None], first: int, end: int) -> list[int]:
    if len(blocks) < end - first:
        return [number for number in blocks if first <= number < end]
    return [number for number in range(first, end) if number in blocks]


class StableMemory:
    """Bytes in blocks of 4 KiB; a block is immutable and replaced when written, so journal and forks share blocks.

    A write outside `begin` ... `commit`/`rollback` takes effect at once. What forks, exports and `size_bytes` tell is
    the committed state, also while a transaction is open. Sizes are Wasm pages (64 KiB) where the name says so, bytes
    elsewhere. One thread at a time, but for readers: `lock` is held while what they see changes.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._blocks: _Blocks | _SharedBlocks = _Blocks()
        self._readers: WeakSet[_SharedBlocks] = WeakSet()
        self._wasm_pages = 0
        self._journal: dict[int, bytes | None] | None = None
        self._pages_before = 0
        self.saved_as: object = None  # what `unsaved` goes on from: another with each `mark_saved`, a fork has the same
        self._changed: set[int] | None = None  # None: all of it, since nothing was saved yet
        self._undo = UndoLog()

    def __repr__(self) -> str:
        return f"<StableMemory wasm_pages={self._wasm_pages} blocks_used={len(self._blocks)}>"

    @property
    def wasm_pages(self) -> int:
        """Its size in pages of 64 KiB, within the open transaction."""
        return self._wasm_pages

    @property
    def size_bytes(self) -> int:
        """Its committed size."""
        return (self._wasm_pages if self._journal is None else self._pages_before) * WASM_PAGE_BYTES

    def grow(self, wasm_pages: int) -> int:
        """Adds pages of zeroes; returns the size before, or -1 where that would exceed 500 GiB."""
        before = self._wasm_pages
        if before + wasm_pages > MAX_WASM_PAGES:
            return -1
        self._wasm_pages += wasm_pages
        return before

    def read(self, offset: int, size: int) -> bytes:
        """A copy of `size` bytes.

        Raises:
            IndexError: the range isn't within the memory.
        """
        target = bytearray(size)
        self.read_into(memoryview(target), offset)
        return bytes(target)

    def read_into(self, target: memoryview, offset: int) -> None:
        """Fills `target` from `offset`.

        Raises:
            IndexError: the range isn't within the memory.
        """
        size = len(target)
        self._check(offset, size)
        first, start = divmod(offset, _BLOCK)
        blocks = self._blocks.between(first, -(-(offset + size) // _BLOCK))
        if len(blocks) < _MANY_BLOCKS:
            content = b"".join([block or _ZEROES for block in blocks])
            target[:] = memoryview(content)[start : start + size]
            return
        at = _BLOCK - start
        target[:at] = (blocks[0] or _ZEROES)[start:]
        for block in blocks[1:-1]:
            target[at : at + _BLOCK] = block or _ZEROES
            at += _BLOCK
        target[at:] = (blocks[-1] or _ZEROES)[: size - at]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Overwrites what stands at `offset`.

        Raises:
            IndexError: the range isn't within the memory.
        """
        self._check(offset, len(data))
        if not len(data):
            return
        first, start = divmod(offset, _BLOCK)
        last, rest = divmod(offset + len(data), _BLOCK)
        view, new = memoryview(data), {}
        at = 0
        if start:
            at = min(_BLOCK - start, len(view))
            former = self._blocks.get(first) or _ZEROES
            new[first] = b"".join((former[:start], view[:at], former[start + at :]))
            first += 1
        for number in range(first, last):
            new[number] = view[at : at + _BLOCK].tobytes()
            at += _BLOCK
        if at < len(view):
            new[last] = view[at:].tobytes() + (self._blocks.get(last) or _ZEROES)[rest:]
        self._replace(new)

    def _replace(self, new: dict[int, bytes]) -> None:
        blocks, journal = self._blocks, self._journal
        if self._undo:
            for number in new:
                if self._undo.wants(number):
                    self._undo.keep(number, blocks.get(number))
        if journal is None and self._changed is not None:
            self._changed.update(new)
        with self.lock:
            if journal is not None:
                journal |= {number: blocks.get(number) for number in new if number not in journal}
            elif self._readers:
                self._keep_for_readers({number: blocks.get(number) for number in new})
            blocks.update(new)

    def _check(self, offset: int, size: int) -> None:
        if offset + size > (length := self._wasm_pages * WASM_PAGE_BYTES):
            raise IndexError(f"bytes {offset} to {offset + size} of a stable memory of {length} bytes")

    # --- transaction ---

    def begin(self) -> None:
        """Starts a transaction. They don't nest."""
        assert self._journal is None, "a transaction on this stable memory is already open"
        self._journal = {}
        self._pages_before = self._wasm_pages

    def commit(self) -> None:
        """Keeps what was written since `begin`."""
        if self._changed is not None and self._journal:
            self._changed.update(self._journal)
        with self.lock:
            if self._journal:
                self._keep_for_readers(self._journal)
            self._journal = None

    def rollback(self) -> None:
        """Undoes what was written and grown since `begin`."""
        assert self._journal is not None, "no transaction on this stable memory is open"
        with self.lock:
            self._blocks.restore(self._journal)
            self._journal = None
        self._wasm_pages = self._pages_before

    # --- anchors ---

    @property
    def copied_bytes(self) -> int:
        """What the open anchors keep: the blocks that were written since."""
        return self._undo.copied_bytes

    def anchor(self) -> None:
        """Remembers the content for `revert`, at the price of the blocks that are written from here on. Nests."""
        self._undo.open(self.size_bytes)

    def revert(self) -> None:
        """Makes the content what it was at the innermost anchor, and ends that; not within a transaction."""
        assert self._journal is None, "a transaction on this stable memory is open"
        for reader in self._readers:
            reader.keep_all()
        former = self._undo.revert()
        self._blocks.restore(former.blocks)
        if self._changed is not None:
            self._changed.update(former.blocks)
        self._wasm_pages = former.length // WASM_PAGE_BYTES

    def release(self) -> None:
        """Ends the innermost anchor and leaves the content as it is."""
        self._undo.release()

    # --- copies and checkpoints ---

    def committed_between(self, first: int, end: int) -> list[bytes | None]:
        """Blocks of 4 KiB, from one to before another; None where nothing was ever written."""
        blocks = self._blocks.between(first, end)
        if self._journal:
            for number in _within(self._journal, first, end):
                blocks[number - first] = self._journal[number]
        return blocks

    def committed_blocks(self) -> dict[int, bytes]:
        """All blocks, to be read only."""
        present = self._blocks if isinstance(self._blocks, _Blocks) else self._blocks.whole()
        if not self._journal:
            return present
        blocks = present | {number: block for number, block in self._journal.items() if block is not None}
        for number, block in self._journal.items():
            if block is None:
                del blocks[number]
        return blocks

    def reader(self) -> StableMemory:
        """The committed content as it is now, whatever is committed later. What is written there stays there.

        It takes what changes in the meantime, while a fork takes time in proportion to the whole.
        """
        blocks = _SharedBlocks(self)
        self._readers.add(blocks)
        twin = StableMemory()
        twin._blocks = blocks
        twin._wasm_pages = self.size_bytes // WASM_PAGE_BYTES
        return twin

    def _keep_for_readers(self, former: dict[int, bytes | None]) -> None:
        for reader in self._readers:
            reader.keep(former)

    def fork(self) -> StableMemory:
        """An independent memory with the same content; blocks are shared until written."""
        twin = StableMemory()
        twin._blocks = _Blocks(self.committed_blocks())
        twin._wasm_pages = self.size_bytes // WASM_PAGE_BYTES
        twin._changed = None if self._changed is None else set(self._changed)
        twin.saved_as = self.saved_as
        return twin

    def export_state(self) -> MemoryState:
        """All of its content; blocks of zeroes are left out."""
        blocks = sorted(self.committed_blocks().items())
        extents = tuple((number * _BLOCK, block) for number, block in blocks if block != _ZEROES)
        return MemoryState(self.size_bytes, extents)

    @property
    def length(self) -> int:
        """Bytes, as committed."""
        return self.size_bytes

    def read_committed(self, offset: int, size: int) -> bytes:
        """Whole blocks, without what an open transaction wrote. Zeroes beyond the end."""
        blocks = self.committed_between(offset // _BLOCK, (offset + size) // _BLOCK)
        return b"".join([block or _ZEROES for block in blocks])

    def unsaved(self) -> list[tuple[int, int]] | None:
        """Where it may differ from what was last saved: ascending [(start, end)]; None: anywhere."""
        if self._changed is None:
            return None
        # What a transaction wrote into pages that it grew, and that were rolled back, lies beyond the end.
        size = self.size_bytes
        return joined([(n * _BLOCK, (n + 1) * _BLOCK) for n in sorted(self._changed) if n * _BLOCK < size], 0)

    def mark_saved(self) -> None:
        """Says that a checkpoint holds the present content: `unsaved` starts from here."""
        self._changed = set()
        self.saved_as = object()

    def unmark_saved(self, unsaved: list[tuple[int, int]] | None, saved_as: object) -> None:
        """Takes `mark_saved` back: there is no such checkpoint. `unsaved`, `saved_as`: what these were before it."""
        if unsaved is None:
            self._changed = None
        elif self._changed is not None:
            for start, end in unsaved:
                self._changed.update(range(start // _BLOCK, end // _BLOCK))
        self.saved_as = saved_as

    def restore(self, state: MemoryState, *, saved: bool = False) -> None:
        """Replaces the whole content.

        Args:
            state: complete, as exported.
            saved: True when it was read from the checkpoint that `unsaved` goes on from.

        Raises:
            ValueError: an extent ends beyond the length, or the length isn't whole pages.
        """
        check_extents(state)
        assert not self._undo, "an anchor on this stable memory is open"
        if state.length % WASM_PAGE_BYTES:
            raise ValueError(f"a stable memory of {state.length} bytes isn't whole pages of {WASM_PAGE_BYTES}")
        for reader in self._readers:
            reader.keep_all()
        self._blocks = _Blocks()
        self._wasm_pages = state.length // WASM_PAGE_BYTES
        for offset, data in state.extents:
            self.write(offset, data)
        self._changed = None
        if saved:
            self.mark_saved()
