"""How long the slices of an execution are.

Owns the number of instructions. Does not own stopping after them (`wasmtime_ffi`). What an execution does doesn't
depend on it, so that it may follow the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SLICE_INSTRUCTIONS: Final = 500_000
"""0.1 to 0.5 ms of usual code."""
_FIRST: Final = 100_000
_SHORTEST: Final = 10_000
_LONGEST: Final = 1_000_000
_FAST_NS: Final = 500_000
_SLOW_NS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Slices:
    """Slices of the same length; with a clock, of about a millisecond.

    Code that touches a new page with each of its instructions takes a hundred times as long as other code.
    """

    clock_ns: Callable[[], int] | None = None

    @property
    def first(self) -> int:
        """Instructions of an execution's first slice."""
        return SLICE_INSTRUCTIONS if self.clock_ns is None else _FIRST

    def now_ns(self) -> int:
        return 0 if self.clock_ns is None else self.clock_ns()

    def after(self, instructions: int, started_ns: int) -> int:
        """Instructions of the slice after one that had so many and has just ended."""
        if self.clock_ns is None:
            return instructions
        took_ns = self.clock_ns() - started_ns
        if took_ns > _SLOW_NS:
            return max(_SHORTEST, instructions * _SLOW_NS // (2 * took_ns))
        return min(_LONGEST, 2 * instructions) if took_ns < _FAST_NS else instructions
