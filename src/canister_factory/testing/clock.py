"""A clock that can be put ahead: this computer's, and what tests have added to it.

Owns the offset. Does not own what becomes due then (`replica`).
"""

from __future__ import annotations

import time
from collections.abc import Callable


class TravelClock:
    """Nanoseconds since 1970. `offset_ns` is how far it is ahead of `base`."""

    def __init__(self, base: Callable[[], int] = time.time_ns) -> None:
        self._base = base
        self.offset_ns = 0

    def __call__(self) -> int:
        return self._base() + self.offset_ns

    def __repr__(self) -> str:
        return f"TravelClock({self.offset_ns / 1e9:+.1f} s)"
