"""What an execution writes into its canister's log, bounded while it is written.

Owns the lines of one execution. Does not own the log that is kept (`subnet.canister`).
"""

from __future__ import annotations

from collections import deque


class ExecutionLog:
    """The newest lines, at most `limit_bytes` in all and, as some are empty, so many; of a longer line its beginning.

    Attributes:
        dropped: how many older lines there were.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.dropped = 0
        self._lines: deque[bytes] = deque()
        self._size_bytes = 0

    def __repr__(self) -> str:
        return f"<ExecutionLog lines={len(self._lines)} dropped={self.dropped}>"

    @property
    def room_bytes(self) -> int:
        """What can be written before an older line goes."""
        return self.limit_bytes - self._size_bytes

    @property
    def lines(self) -> list[str]:
        return [line.decode(errors="replace") for line in self._lines]

    def append(self, line: bytes) -> None:
        """Adds a line; the oldest go where there isn't room for all."""
        line = line[: self.limit_bytes]
        self._lines.append(line)
        self._size_bytes += len(line)
        while self._size_bytes > self.limit_bytes or len(self._lines) > max(1, self.limit_bytes):
            self._size_bytes -= len(self._lines.popleft())
            self.dropped += 1
