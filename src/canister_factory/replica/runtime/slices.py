"""How long the slices of an execution are, and how many of them are executed before others have their turn.

Owns the number of instructions. Does not own stopping after them (`wasmtime_ffi`). What an execution does doesn't
depend on it, so that it may follow the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

SLICE_INSTRUCTIONS: Final = 500_000
"""0.1 to 0.5 ms of usual code."""
_FIRST: Final = 100_000
_SHORTEST: Final = 10_000
_LONGEST: Final = 1_000_000
_LONGEST_BESIDE: Final = 4_000_000
_FAST_NS: Final = 500_000
_SLOW_NS: Final = 2_000_000
_TOGETHER_NS: Final = 500_000
_BESIDE_NS: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Slices:
    """Slices of the same length, one after the other; with a clock, of about a millisecond.

    Code that touches a new page with each of its instructions takes a hundred times as long as other code. So a slice
    never has more instructions than such code executes in some 0.1 s, and several of fast code are executed together.
    In another thread it may have four times as many: what waits for its end is only who closes the instance, and after
    each of them the thread needs Python, for which it waits while the first thread computes.
    """

    clock_ns: Callable[[], int] | None = None

    @property
    def first(self) -> int:
        """Instructions of an execution's first slice."""
        return SLICE_INSTRUCTIONS if self.clock_ns is None else _FIRST

    def now_ns(self) -> int:
        return 0 if self.clock_ns is None else self.clock_ns()

    def after(self, instructions: int, started_ns: int, longest: int = _LONGEST) -> int:
        """Instructions of the slice after one that had so many and has just ended; with a clock at most `longest`."""
        if self.clock_ns is None:
            return instructions
        took_ns = self.clock_ns() - started_ns
        if took_ns > _SLOW_NS:
            return max(_SHORTEST, instructions * _SLOW_NS // (2 * took_ns))
        return min(longest, 2 * instructions) if took_ns < _FAST_NS else instructions


class Sliced(Protocol):
    """A call in progress."""

    def resume(self) -> bool: ...


class Counting(Protocol):
    """Sets the length of the slices that follow."""

    def next_slice(self, instructions: int) -> None: ...


class Groups:
    """Executes a call that has begun with its first slice, in groups of slices; without a clock each is a group.

    Attributes:
        executed: how many groups were.
        stopping: a group ends with the slice that is being executed.
    """

    def __init__(self, slices: Slices, call: Sliced, counting: Counting) -> None:
        self._slices = slices
        self._call = call
        self._counting = counting
        self._length = slices.first
        self._begun = False
        self.executed = 0
        self.stopping = False

    def execute(self, time_ns: int = _TOGETHER_NS, longest: int = _LONGEST) -> bool:
        """Executes slices for at least so long; whether the call has ended. It raises what `resume` raises."""
        self.executed += 1
        slices, now_ns = self._slices, self._slices.now_ns
        began_ns = now_ns()
        while True:
            if self._begun:
                self._counting.next_slice(self._length)
            self._begun = True
            started_ns = now_ns()
            if self._call.resume():
                return True
            self._length = slices.after(self._length, started_ns, longest)
            if self.stopping or slices.clock_ns is None or now_ns() - began_ns >= time_ns:
                return False

    def execute_beside(self) -> bool:
        """`execute` in another thread, which holds up nobody, so for longer."""
        return self.execute(_BESIDE_NS, _LONGEST_BESIDE)
