"""Sizes, rates, spans of time and amounts of cycles as people read them.

Owns these words. Does not own: how people type them (`amounts`).
"""

from __future__ import annotations


def size(count: float) -> str:
    """A number of bytes for a person: decimal units."""
    if round(count) == 1:
        return "1 byte"
    if count < 1000:
        return f"{count:,.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{count:,.1f} {unit}"
    return f"{count / 1000:,.1f} TB"


def rate(count: float, seconds: float) -> str:
    """Bytes a second for a person."""
    return f"{size(count / max(seconds, 1e-9))}/s"


def duration(seconds: float) -> str:
    """A span of time for a person: in the largest unit that it has two of."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            count = seconds / length
            return f"{count:,.0f} {unit}" if count >= 1_000 else f"{count:.3g} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"


def files(count: int) -> str:
    """How many files there are."""
    return "1 file" if count == 1 else f"{count:,} files"


def cycles(amount: int) -> str:
    """An amount of cycles for a person, in trillions where it is that much."""
    if amount >= 10**9:
        return f"{amount / 10**12:,.3f} T ({amount:,})"
    return f"{amount:,}"
