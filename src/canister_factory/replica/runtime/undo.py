"""The way back to an anchor: what blocks of a memory held before they were first written after it.

Owns the open anchors of one memory and the former blocks. Does not own the memory, which asks before it overwrites a
block and puts former ones back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

BLOCK_BYTES: Final = 4096


@dataclass(slots=True)
class Former:
    """A memory at the time of an anchor, as far as it was changed since.

    Attributes:
        length: of the memory, in bytes.
        blocks: former content by number; None: there was none, it was zero.
    """

    length: int
    blocks: dict[int, bytes | None] = field(default_factory=dict)

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """(offset, content) of neighbouring blocks, put together; ascending, none beyond the length."""
        numbers = sorted(number for number in self.blocks if number * BLOCK_BYTES < self.length)
        start = 0
        for index in range(1, len(numbers) + 1):
            if index == len(numbers) or numbers[index] != numbers[index - 1] + 1:
                parts = (self.blocks[number] or bytes(BLOCK_BYTES) for number in numbers[start:index])
                yield numbers[start] * BLOCK_BYTES, b"".join(parts)
                start = index


class UndoLog:
    """The open anchors of one memory. Each block is kept once, by the innermost anchor, when it is first written."""

    def __init__(self) -> None:
        self._open: list[Former] = []

    def __bool__(self) -> bool:
        """Whether an anchor is open."""
        return bool(self._open)

    def __repr__(self) -> str:
        return f"<UndoLog anchors={len(self._open)} copied_bytes={self.copied_bytes}>"

    @property
    def copied_bytes(self) -> int:
        """What the open anchors keep of the memory."""
        return sum(len(block) for former in self._open for block in former.blocks.values() if block is not None)

    @property
    def length_at_anchor(self) -> int:
        """The memory's length at the innermost anchor, bytes."""
        return self._open[-1].length

    def open(self, length: int) -> None:
        """Begins an anchor within those that are open; the memory has `length` bytes."""
        self._open.append(Former(length))

    def missing(self, start: int, end: int) -> list[int]:
        """The blocks between two offsets whose content is to be kept before they are written."""
        if not self._open:
            return []
        innermost = self._open[-1]
        numbers = range(start // BLOCK_BYTES, -(-min(end, innermost.length) // BLOCK_BYTES))
        return [number for number in numbers if number not in innermost.blocks]

    def wants(self, number: int) -> bool:
        """Whether a block is to be kept before it is written, wherever it lies."""
        return bool(self._open) and number not in self._open[-1].blocks

    def keep(self, number: int, content: bytes | None) -> None:
        """Keeps a block that is about to be written for the first time."""
        self._open[-1].blocks[number] = content

    def revert(self) -> Former:
        """Ends the innermost anchor; the memory is to become what is returned."""
        return self._open.pop()

    def release(self) -> None:
        """Ends the innermost anchor; the memory stays as it is. The one around it still finds its way back."""
        inner = self._open.pop()
        if self._open:
            outer = self._open[-1].blocks
            for number, content in inner.blocks.items():
                outer.setdefault(number, content)
