"""What the traffic of an agent, or of one piece of work, came to: a listener of `trace` with sums by kind and method.

Owns the sums and their form for JSON and logs. Does not own: events (`trace`), and what is made of the sums.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

from canister_factory.ic.foreign_text import escaped
from canister_factory.ic.trace import Event

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """Sums over requests that ended. `attempts`: HTTP exchanges for them; bytes are those of bodies."""

    requests: int = 0
    failures: int = 0
    attempts: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    milliseconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Adds the sums of another tally."""
        self.requests += other.requests
        self.failures += other.failures
        self.attempts += other.attempts
        self.bytes_sent += other.bytes_sent
        self.bytes_received += other.bytes_received
        self.milliseconds += other.milliseconds

    def fields(self) -> dict[str, int | float]:
        """Plain values for JSON; milliseconds with one decimal."""
        return {**asdict(self), "milliseconds": round(self.milliseconds, 1)}


class Traffic:
    """Counts what it is told: `Agent(..., trace=told_to(log, traffic))`, or `with heard_by(traffic)`. It may be shared.

    `tallies` are by what was asked: `call put`, `query get`, `status`, `read_state for node keys`. A call's polls are
    its attempts. Requests that run at the same time count with their own time each, so times may add up to more than
    went by.
    """

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}

    def __repr__(self) -> str:
        total = self.total
        return f"Traffic({total.requests} requests, {total.failures} failures, {total.attempts} attempts)"

    def __call__(self, event: Event) -> None:
        if not event.complete:
            return
        name = " ".join(filter(None, (event.kind, escaped(event.method), event.aside and f"for {event.aside}")))
        one = Tally(
            1, event.outcome != "replied", event.attempt, event.bytes_sent, event.bytes_received, event.milliseconds
        )
        self.tallies.setdefault(name, Tally()).add(one)

    @property
    def total(self) -> Tally:
        """The sum of all tallies."""
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total

    def fields(self) -> dict[str, dict[str, int | float]]:
        """Plain values for JSON: the fields of each tally by its name, in the order of the names."""
        return {name: tally.fields() for name, tally in sorted(self.tallies.items())}

    def log(self) -> None:
        """A line for each tally, at DEBUG; records carry its fields."""
        for name, fields in self.fields().items():
            logger.debug(
                "%s: %d requests, %d failed, %d attempts, %s bytes sent, %s received, %.0f ms",
                name,
                fields["requests"],
                fields["failures"],
                fields["attempts"],
                f"{fields['bytes_sent']:,}",
                f"{fields['bytes_received']:,}",
                fields["milliseconds"],
                extra={"asked": name, **fields},
            )
