"""What wakes the rounds when nobody else does: a time that was set, and, once, that nothing has happened for a while.

Owns the two timers. Does not own what is done then (`rounds`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

REST_S: Final = 0.25
"""Without a round for so long, it isn't likely that the next one comes soon."""
_MAX_TIMER_S: Final = 3600.0


class Alarm:
    """Calls `wake` in the event loop's thread. `cancel` ends it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._at_rest = False

    def __repr__(self) -> str:
        return f"<Alarm at_rest={self._at_rest}>"

    def wake_in(self, delay_s: float) -> None:
        """Wakes after so many seconds, an hour at most, and not at the time that was set before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(min(delay_s, _MAX_TIMER_S), self._wake)

    def expect_rest(self) -> None:
        """Wakes when `take_rest` hasn't been called for `REST_S`."""
        self._rest = asyncio.get_running_loop().call_later(REST_S, self._come_to_rest)

    def take_rest(self) -> bool:
        """To be called when something happens: whether it is that nothing has happened for so long."""
        if self._rest is not None:
            self._rest.cancel()
        at_rest, self._at_rest = self._at_rest, False
        return at_rest

    def cancel(self) -> None:
        """Wakes nobody any more."""
        for timer in (self._timer, self._rest):
            if timer is not None:
                timer.cancel()

    def _come_to_rest(self) -> None:
        self._at_rest = True
        self._wake()
