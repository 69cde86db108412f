"""How long a creation takes on a network, by what a message takes there: for plans, which measure nothing.

Owns the figures and the arithmetic. Does not own: how many updates a creation needs (`plan`), nor the pace that an
agent finds while it works (`ic.pacer`). docs/performance.md says where the figures come from.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """A network's speed, in seconds and bytes a second."""

    name: str
    update_s: float
    """An update, from sending it to its certified answer."""
    reading_s: float
    """What a creation reads by queries that no update runs beside."""
    reading_large_s: float
    """The same of a capsule that is larger than a message."""
    bytes_per_s: float
    """What is let through of one client."""

    def seconds(self, updates: int, copied_bytes: int, *, in_one_message: bool) -> float:
        """The time of so many updates one after another, and of the bytes that are sent beside them: those of a capsule
        that fits a message are in one of the updates.
        """
        if updates == 0:
            return 0.0
        if in_one_message:
            return updates * self.update_s + self.reading_s
        return updates * self.update_s + self.reading_large_s + copied_bytes / self.bytes_per_s


MAINNET = Pace("mainnet", update_s=1.8, reading_s=0.6, reading_large_s=0.5, bytes_per_s=4_000_000)
"""A subnet whose blocks nobody else fills."""
GATEWAY = Pace("mainnet, gateway", update_s=1.8, reading_s=0.6, reading_large_s=0.5, bytes_per_s=2_500_000)
"""The same behind a gateway that lets through 2.5 MB a second."""
EMBEDDED = Pace("embedded replica", update_s=0.02, reading_s=0.1, reading_large_s=0.2, bytes_per_s=50_000_000)
"""On a quiet computer with two cores."""
