"""One canister of a fleet: what its backend has on record, and what the network shows of it.

Owns this form. Does not own: where both come from (`fleet`).
"""

from __future__ import annotations

from typing import Self

from canister_factory.candid.binding import CandidModel, Nat, TimeNs
from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import PersonalCanisterRecord
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterStatus
from canister_factory.owner.life import dates

_DAY_NS = 86_400 * 10**9


class FleetCanister(CandidModel):
    """A personal canister and its date, nanoseconds since 1970; `None` where it isn't known. `cycles`: its balance, if
    the caller may see it; then `paid_until` is by that."""

    canister_id: Principal
    owner: Principal
    created_at: TimeNs
    age_days: int
    paid_until: TimeNs | None
    days_left: int | None
    cycles: Nat | None

    @classmethod
    def of(cls, entry: PersonalCanisterRecord, status: CanisterStatus | None, now_ns: int) -> Self:
        """What is known of a canister at this moment."""
        until = entry.paid_until if status is None else dates(status, now_ns)[0]
        return cls(
            canister_id=entry.canister_id,
            owner=entry.created_by,
            created_at=entry.created_at,
            age_days=max(0, now_ns - entry.created_at) // _DAY_NS,
            paid_until=until,
            days_left=None if until is None else max(0, until - now_ns) // _DAY_NS,
            cycles=None if status is None else status.cycles,
        )


async def status_if_shown(agent: Agent, canister_id: Principal) -> CanisterStatus | None:
    """A canister's status, by one node's word; `None` where its owner doesn't let the caller see it, or it is gone.

    Raises:
        IcError: the network fails.
    """
    try:
        return await ManagementCanister(agent).canister_status(canister_id, certified=False)
    except (RejectedError, CanisterNotFoundError):
        return None
