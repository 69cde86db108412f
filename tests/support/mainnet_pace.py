"""How fast a simulated mainnet takes what it is sent: room in blocks, and a boundary gateway's cap.

Owns the arithmetic of rates. Does not own requests (`mainnet`) or waiting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


class Room:
    """Ingress that blocks have room for: so many bytes a second, in the order of arrival. A message waits for room."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._free_s = 0.0

    def __repr__(self) -> str:
        return f"Room({self._rate:,.0f} bytes a second, taken until {self._free_s:.2f} s)"

    def take(self, size_bytes: int, now_s: float) -> float:
        """When a message that arrives now is in a block, in seconds."""
        admitted_s = max(now_s, self._free_s)
        self._free_s = admitted_s + size_bytes / self._rate
        return admitted_s


@dataclass(slots=True)
class Cap:
    """What a gateway lets through of something: `rate` a second, and what `burst_s` seconds let through at once."""

    rate: float
    burst_s: float
    _level: float = 0.0
    _at_s: float = 0.0

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until so much more is let through; 0: now. What is more than a burst needs the whole of it."""
        self._level = max(0.0, self._level - (now_s - self._at_s) * self.rate)
        self._at_s = now_s
        burst = self.rate * self.burst_s
        return max(0.0, (self._level + min(amount, burst) - burst) / self.rate)

    def take(self, amount: float) -> None:
        """Counts what was let through."""
        self._level += amount


class Gateway:
    """Refuses what is above its caps. `None`: there is no such cap."""

    def __init__(self, requests_per_s: float | None, bytes_per_s: float | None, burst_s: float) -> None:
        self._requests = None if requests_per_s is None else Cap(requests_per_s, burst_s)
        self._bytes = None if bytes_per_s is None else Cap(bytes_per_s, burst_s)

    def __repr__(self) -> str:
        return f"Gateway({self._requests}, {self._bytes})"

    def retry_after_s(self, size_bytes: int, now_s: float) -> int | None:
        """Takes a request, or says after how many whole seconds it may come again."""
        caps = [(cap, amount) for cap, amount in ((self._requests, 1.0), (self._bytes, float(size_bytes))) if cap]
        wait_s = max((cap.wait_s(amount, now_s) for cap, amount in caps), default=0.0)
        if wait_s > 1e-9:
            return math.ceil(wait_s)
        for cap, amount in caps:
            cap.take(amount)
        return None
