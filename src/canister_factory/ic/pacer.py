"""The pace of what is sent, once a network has refused something for being too much (429).

Owns how much is sent in a second. Does not own sending, or sending again (`transport`), or how many messages somebody
keeps in flight (`factory.window`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

BULK_BYTES = 64 * 1024
"""What is smaller never waits for its turn, only for the end of a pause that the network asked for."""

_FIRST_RATE = 24_000_000.0  # bytes a second, until the first answer: so that a refusal is heard before all are sent
_LEAST_RATE = 256_000.0  # after the first refusal of a large message, which may be due to many small requests
_AT_ONCE_S = 1e-6
_DOUBLES_S = 3.0  # while nothing is known but that the rate was let through
_TIGHT = 0.85  # of the rate that was refused: where as much was let through, the rate was about the same for a while
_KNOWN_FROM_S = 10.0  # an interval between refusals that is as long tells the cap by itself


@dataclass(frozen=True, slots=True)
class _Course:
    """The rate from a moment on, bytes a second: from `base` back to `refused` in `back_s`, and from there on upwards.

    As CUBIC (RFC 9438, section 4.2) has it: it comes near to what was refused quickly, stays there, then looks further.
    Without `refused` it doubles.
    """

    base: float
    since_s: float
    refused: float | None = None
    back_s: float = 0.0

    def at(self, now_s: float) -> float:
        passed_s = max(0.0, now_s - self.since_s)
        if self.refused is None:
            return float(self.base * 2 ** min(passed_s / _DOUBLES_S, 20.0))
        return self.refused + (self.refused - self.base) * (passed_s / self.back_s - 1) ** 3


class Pacer:
    """Finds the network's cap and keeps to it. All who send to the network share one.

    A gateway's cap lets through so many bytes (or requests) a second, and some more at once. When it refuses, that is
    used up. So it surely lets through, in a second, what it did between one refusal and a later one; and it doesn't
    what was just refused. The rate stays between these two, comes slowly back to the latter, and goes beyond it after a
    while, in case the cap was raised. Each refusal is a pause for everybody, of as long as it says.

    Nobody is held back before the first refusal, except that large messages leave one after another until there is an
    answer to one of them.

    Args:
        clock_ns: nanoseconds, of whatever beginning.
        sleep: waits so many seconds.
    """

    def __init__(self, clock_ns: Callable[[], int], sleep: Callable[[float], Awaitable[object]]) -> None:
        self._clock_ns, self._begun_ns = clock_ns, clock_ns()
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._course: _Course | None = None
        self._answered = False  # to a large message
        self._due_s = self._paused_until_s = float("-inf")
        self._interval = 0  # between refusals, of those that count
        self._began_s: float | None = None
        self._paused_s = 0.0  # of it
        self._sent_bytes = 0  # of large messages within it, less those that were refused
        self.waiting = 0
        """Large messages that wait for their turn."""
        self.refusals = 0
        """How often the network asked for a pause; what it refused within one pause counts as one."""

    def __repr__(self) -> str:
        rate = f"{self._rate():,.0f} bytes a second" if self._course else "as fast as can be"
        return f"Pacer({rate}, {self.waiting} waiting, {self.refusals} refusals)"

    async def turn(self, size_bytes: int) -> int:
        """Returns when a request of this size may be sent; what it returns is for `refused`."""
        if size_bytes < BULK_BYTES:
            await self._pause()
            return -1
        self.waiting += 1
        try:
            async with self._turn:
                await self._pause()
                while (wait_s := self._due_s - self._now_s()) > _AT_ONCE_S:
                    await self._sleep(wait_s)
                    await self._pause()
                now_s = self._now_s()
                if self._began_s is None:
                    self._began_s = now_s
                self._sent_bytes += size_bytes
                if self._course is not None or not self._answered:
                    self._due_s = now_s + size_bytes / self._rate()
                return self._interval
        finally:
            self.waiting -= 1

    def let_through(self, size_bytes: int) -> None:
        """A request was answered, whatever the answer says."""
        if size_bytes >= BULK_BYTES:
            self._answered = True

    def refused(self, turn: int, size_bytes: int, pause_s: float) -> None:
        """A request, of that turn, was refused for being too much; nothing is sent for so many seconds."""
        now_s = self._now_s()
        if turn == self._interval:
            self._sent_bytes -= size_bytes
        if now_s < self._paused_until_s:
            return  # it was on its way when the first was refused
        self._paused_until_s = self._due_s = now_s + pause_s
        self.refusals += 1
        if self._course is None and size_bytes < BULK_BYTES:
            return  # it was one request too many, which tells nothing of bytes
        elapsed_s = now_s - (now_s if self._began_s is None else self._began_s)
        sent_rate = self._sent_bytes / max(elapsed_s, 1.0)
        active_rate = self._sent_bytes / max(elapsed_s - self._paused_s, 1.0)
        self._paused_s += pause_s
        if self._course is None:
            self._course = _Course(max(sent_rate, size_bytes / max(pause_s, 1.0), _LEAST_RATE), self._paused_until_s)
        else:
            self._course = self._slower(self._rate(), sent_rate, active_rate)
        if self._interval == 0 or elapsed_s >= _KNOWN_FROM_S:
            self._interval += 1
            self._began_s, self._sent_bytes, self._paused_s = now_s, 0, pause_s

    def _slower(self, refused: float, sent_rate: float, active_rate: float) -> _Course:
        """The course after a refusal at the rate `refused`; the others were let through, pauses in and left out."""
        assert self._course is not None
        # The cap lies between both: it lets through what was sent, and in the pauses more could have been sent or not.
        middle = (sent_rate + active_rate) / 2
        if active_rate < _TIGHT * refused and self._course.refused is None:  # it has just grown: the mean says little
            cap = max(sent_rate, 0.7 * refused)
            return _Course(max(0.9 * sent_rate, 0.5 * refused), self._paused_until_s, cap, 8.0)
        cap = max(sent_rate, min(0.97 * refused, middle))
        return _Course(0.96 * cap, self._paused_until_s, cap, 40.0)

    def _rate(self) -> float:
        return _FIRST_RATE if self._course is None else self._course.at(self._now_s())

    async def _pause(self) -> None:
        while (wait_s := self._paused_until_s - self._now_s()) > _AT_ONCE_S:
            await self._sleep(wait_s)

    def _now_s(self) -> float:
        return (self._clock_ns() - self._begun_ns) / 1e9
