"""What a simulated mainnet was asked, and what can be told from it: chains of updates, rates, what was refused.

Owns exchanges and their sums. Does not own making them (`mainnet`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Exchange:
    """One request as its sender sees it. Times in seconds of the loop; `admitted_s`: when a block had room for it.

    `kind` is `call`, `query`, `read_state` or `status`. `inner`: calls that a canister made for it and waited for,
    where they take time. `outcome`: an HTTP status, or what was done to it. Without `answered_s` its sender waits no
    more.
    """

    kind: str
    method: str
    size_bytes: int
    sent_s: float
    admitted_s: float | None = None
    inner: int = 0
    answered_s: float | None = None
    outcome: str = ""

    def __str__(self) -> str:
        end = "never" if self.answered_s is None else f"{self.answered_s:.2f}"
        return f"{self.sent_s:8.2f} {end:>8} {self.kind:10} {self.method:28} {self.size_bytes:>9,} {self.outcome}"


@dataclass(slots=True)
class Record:
    """Exchanges in the order in which they were sent."""

    exchanges: list[Exchange] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Record({len(self.exchanges)} exchanges)"

    def __str__(self) -> str:
        return "\n".join(map(str, self.exchanges))

    @property
    def updates(self) -> list[Exchange]:
        """Update calls that were let in."""
        return [each for each in self.exchanges if each.kind == "call" and each.outcome != "429"]

    def of(self, *methods: str) -> list[Exchange]:
        """The updates of these methods."""
        return [each for each in self.updates if each.method in methods]

    @property
    def refused_bytes(self) -> int:
        """Bytes of updates that the gateway refused."""
        return sum(each.size_bytes for each in self.exchanges if each.kind == "call" and each.outcome == "429")


def longest_chain(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """As many exchanges as can be found of which each was sent after the answer to the one before.

    None of them can have waited for less, so that many waits one after another is what they took at least. The greedy
    choice of the earliest answer is the longest (interval scheduling).
    """
    chain: list[Exchange] = []
    ended = [each for each in exchanges if each.answered_s is not None]
    for each in sorted(ended, key=lambda each: (each.answered_s or 0.0, each.sent_s)):
        if not chain or each.sent_s >= (chain[-1].answered_s or 0.0):
            chain.append(each)
    return chain


def admitted_rate(exchanges: Sequence[Exchange]) -> float:
    """Bytes a second that blocks took of these messages, from the first to the last."""
    admitted = sorted((each.admitted_s, each.size_bytes) for each in exchanges if each.admitted_s is not None)
    if len(admitted) < 2:
        raise ValueError("a rate needs two messages at least")
    return sum(size for _, size in admitted[:-1]) / (admitted[-1][0] - admitted[0][0])
