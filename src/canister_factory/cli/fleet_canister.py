"""One canister of a fleet: what its backend has on record, and what the network shows of it.

Owns this form, and who is asked. Does not own: the registry and what the backend sees (`canisters/backend`), how it is
shown (`fleet`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from canister_factory.candid.binding import CandidModel, Nat, TimeNs
from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import MOST_LOOKED_AT, PersonalCanisterRecord
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterStatus
from canister_factory.owner.life import dates

if TYPE_CHECKING:
    from canister_factory.contract.clients import BackendClient

_DAY_NS = 86_400 * 10**9
_AT_ONCE = 16
"""Canisters that the network is asked about at a time."""
_CALLS_AT_ONCE = 4
"""Calls of the backend at a time, each of which has it ask about some canisters."""


class FleetCanister(CandidModel):
    """A personal canister and its date, nanoseconds since 1970; `None` where it isn't known. `cycles`: what it had at
    `seen_at`, if its owner lets the backend or the caller see it.
    """

    canister_id: Principal
    owner: Principal
    created_at: TimeNs
    age_days: int
    paid_until: TimeNs | None
    days_left: int | None
    cycles: Nat | None
    seen_at: TimeNs | None

    @classmethod
    def of(cls, entry: PersonalCanisterRecord, status: CanisterStatus | None, now_ns: int) -> Self:
        """What is known of a canister at this moment, with the status that the caller was told."""
        seen = entry.seen
        until, cycles, seen_at = entry.paid_until, seen.cycles if seen else None, seen.at if seen else None
        if status is not None:
            until, cycles, seen_at = dates(status, now_ns)[0], status.cycles, now_ns
        return cls(
            canister_id=entry.canister_id,
            owner=entry.created_by,
            created_at=entry.created_at,
            age_days=max(0, now_ns - entry.created_at) // _DAY_NS,
            paid_until=until,
            days_left=None if until is None else max(0, until - now_ns) // _DAY_NS,
            cycles=cycles,
            seen_at=seen_at,
        )


async def looked_at(backend: BackendClient, entries: Sequence[PersonalCanisterRecord]) -> list[PersonalCanisterRecord]:
    """The same entries, once the backend has looked at the canisters, as far as it may.

    Raises:
        CreationRefused: the caller isn't of the staff, or the backend is being upgraded.
        IcError: the network fails.
    """
    places = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def some(first: int) -> list[PersonalCanisterRecord]:
        async with places:
            asked = entries[first : first + MOST_LOOKED_AT]
            return await backend.look_at_canisters([entry.canister_id for entry in asked])

    found = await asyncio.gather(*(some(first) for first in range(0, len(entries), MOST_LOOKED_AT)))
    return [entry for page in found for entry in page]


async def told_to_caller(agent: Agent, entries: Sequence[PersonalCanisterRecord]) -> list[CanisterStatus | None]:
    """The status of each canister that the backend doesn't see, by one node's word; `None` where it does, where the
    owner doesn't let the caller see it either, or where it is gone.

    Raises:
        IcError: the network fails.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(entry: PersonalCanisterRecord) -> CanisterStatus | None:
        if entry.seen is not None:
            return None
        async with places:
            try:
                return await ManagementCanister(agent).canister_status(entry.canister_id, certified=False)
            except (RejectedError, CanisterNotFoundError):
                return None

    return list(await asyncio.gather(*map(one, entries)))
