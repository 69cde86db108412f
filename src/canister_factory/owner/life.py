"""How long a canister lives on what it has: by its balance and by what it burns idle, as the network tells its owner.

Owns the reckoning. Does not own: what is burned (the network), and paying.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from canister_factory.candid.binding import rfc3339
from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import PersonalClient
from canister_factory.factory.funding import paid_until_ns
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterStatus, RunState

_DAY_S = 86_400
_LAST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Life:
    """A canister and its dates: nanoseconds since 1970, `None` where nothing is burned. Cycles; sizes in bytes.

    `stops_ns`: the balance doesn't allow an update any more, for the freezing threshold. `deleted_ns`: it is used
    up, and the network deletes code and memory. Both suppose that it goes on burning what it burns idle.
    """

    canister_id: Principal
    state: RunState
    cycles: int
    burned_per_day: int
    stops_ns: int | None
    deleted_ns: int | None
    days_left: int | None
    """Whole days until it stops."""
    freezing_threshold_s: int
    memory_size: int
    memories: int
    content_size: int
    controllers: tuple[Principal, ...]
    module_hash: bytes | None
    api_version: str

    def shown(self, time_ns: int | None) -> str:
        """A date for a person."""
        return "never" if time_ns is None else f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%d}"

    def fields(self) -> dict[str, Any]:
        """As JSON: cycles as text, times by RFC 3339."""

        def moment(time_ns: int | None) -> str | None:
            return None if time_ns is None else rfc3339(time_ns)

        return {
            "canister_id": self.canister_id,
            "state": str(self.state),
            "cycles": str(self.cycles),
            "cycles_burned_per_day": str(self.burned_per_day),
            "stops": moment(self.stops_ns),
            "deleted": moment(self.deleted_ns),
            "days_left": self.days_left,
            "freezing_threshold_seconds": self.freezing_threshold_s,
            "memory_size": self.memory_size,
            "memories": self.memories,
            "content_size": self.content_size,
            "controllers": self.controllers,
            "module_hash": self.module_hash,
            "api_version": self.api_version,
        }


async def look(agent: Agent, client: PersonalClient) -> Life:
    """Asks the network and the canister.

    Raises:
        RejectedError: the caller doesn't control the canister.
        CapsuleRefused: nor owns it.
        IcError: a call failed.
    """
    status = await ManagementCanister(agent).canister_status(client.canister_id)
    held = await client.get_manifest()
    stops, deleted, days = dates(status, agent.clock())
    return Life(
        canister_id=client.canister_id,
        state=status.status,
        cycles=status.cycles,
        burned_per_day=status.idle_cycles_burned_per_day,
        stops_ns=stops,
        deleted_ns=deleted,
        days_left=days,
        freezing_threshold_s=status.settings.freezing_threshold,
        memory_size=status.memory_size,
        memories=held.manifest.memories,
        content_size=held.manifest.content_size,
        controllers=tuple(status.settings.controllers),
        module_hash=status.module_hash,
        api_version=held.manifest.api_version,
    )


def dates(status: CanisterStatus, now_ns: int) -> tuple[int | None, int | None, int | None]:
    """When it stops and when it is deleted, nanoseconds since 1970, and the whole days until it stops.

    Reserved cycles pay for storage before the balance does.

    Source: interface specification, "canister_status", `idle_cycles_burned_per_day`.
    """
    burned = status.idle_cycles_burned_per_day
    has = status.cycles + (status.reserved_cycles or 0)
    stops = paid_until_ns(has, burned, status.settings.freezing_threshold, now_ns)
    if stops is None:
        return None, None, None
    deleted = min(now_ns + has * _DAY_S // burned * 10**9, _LAST_NS)
    return stops, deleted, (stops - now_ns) // (_DAY_S * 10**9)
