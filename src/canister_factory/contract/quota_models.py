"""What may be kept in a canister, and what is: quotas, their use, and the admins' switches, as the contracts have them.

Owns their Python form; a test compares it with the `.did`. Does not own: what is kept.
"""

from __future__ import annotations

from canister_factory.candid.binding import CandidModel, Nat


class Usage(CandidModel):
    """What is counted of one principal, or of all: amounts in use, or limits."""

    content_bytes: Nat
    """What chunks take, each rounded up to 16 bytes; of an upload in progress all that it will take."""
    record_bytes: Nat
    """Of records; and what chunks, events, capsules and registrations count for."""
    memories: Nat
    galleries: Nat
    capsules: Nat
    uploads: Nat
    """In progress."""
    nonces: Nat
    """Valid."""


class QuotaStatus(CandidModel):
    """What a principal uses, and how much they may."""

    limits: Usage
    used: Usage


class Quotas(CandidModel):
    """How much a backend keeps: for one principal, for all together, and in its heap (bytes)."""

    person: Usage
    total: Usage
    heap_bytes: Nat


class QuotaReport(CandidModel):
    """A backend's quotas, what all use together, and how many principals use something."""

    quotas: Quotas
    used: Usage
    heap_bytes_used: Nat
    people: Nat


class CapsuleSwitches(CandidModel):
    """Whether a backend takes new capsules, and writes; `message`: what those who are refused are told."""

    new_capsules: bool
    writes: bool
    message: str | None = None
