"""Events that access rules wait for, and who records them, as the contracts have them.

Owns their Python form; a test compares it with the `.did`. Does not own: the rules of access (`memory_models`).
"""

from __future__ import annotations

from canister_factory.candid.binding import CandidEnum, CandidModel, Nat64, TimeNs
from canister_factory.candid.principal import Principal
from canister_factory.contract.memory_models import AccessEvent


class EventKind(CandidEnum):
    """The kinds of events, for each of which an owner can choose how long it waits."""

    AfterDeath = "AfterDeath"
    Graduation = "Graduation"
    Wedding = "Wedding"
    Anniversary = "Anniversary"
    Birthday = "Birthday"
    CapsuleMaturity = "CapsuleMaturity"
    ConnectionCount = "ConnectionCount"
    Custom = "Custom"


class RecordedEvent(CandidModel):
    """An event on record. What waits for it opens at `opens_at`; that is later when an executor recorded it."""

    event: AccessEvent
    recorded_at: TimeNs
    recorded_by: Principal
    opens_at: TimeNs


class EventWait(CandidModel):
    """How long an event of this kind waits (nanoseconds) when an executor has recorded it."""

    kind: EventKind
    wait_ns: Nat64


class Executor(CandidModel):
    """Somebody whom an owner trusts to record events when the owner can't any more."""

    person: Principal
    named_at: TimeNs
    named_by: Principal


class EventRules(CandidModel):
    """A capsule's executors, and how long each kind of event waits: the owner's choice or the default."""

    executors: list[Executor]
    waits: list[EventWait]


class EventOpening(CandidModel):
    """When an event opens, or opened, what waits for it."""

    opens_at: TimeNs
