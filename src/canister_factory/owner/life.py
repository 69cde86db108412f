"""How long a canister lives on what it has: by its balance and by what it burns idle, as the network tells its owner.

Owns the reckoning. Does not own: what is burned (the network), and paying.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from canister_factory.candid.binding import rfc3339
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.errors import ContractError
from canister_factory.contract.import_models import CertifiedManifest, PersonalInfo
from canister_factory.factory.funding import paid_until_ns
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import OUT_OF_CYCLES, STOPPED_CODES, IcError, RejectedError
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterStatus, EffectiveSettings, RunState

_DAY_S = 86_400
_LAST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Life:
    """A canister and its dates: nanoseconds since 1970, `None` where nothing is burned. Cycles; sizes in bytes.
    What only the canister itself tells is `None` where it can't answer: it is frozen, stopped, or empty.

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
    has_stopped: bool
    """It is frozen: `stops_ns` is now, whatever its state."""
    memory_size: int
    settings: EffectiveSettings
    """Controllers, limits, and who may look."""
    module_hash: bytes | None
    release: str | None
    """What the module is, where that is known."""
    owner: Principal | None
    memories: int | None
    content_size: int | None
    api_version: str | None

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
            "freezing_threshold_seconds": self.settings.freezing_threshold,
            "memory_size": self.memory_size,
            "owner": self.owner,
            "memories": self.memories,
            "content_size": self.content_size,
            "controllers": self.settings.controllers,
            "settings": self.settings.model_dump(mode="json", exclude={"controllers", "freezing_threshold"}),
            "module_hash": self.module_hash,
            "release": self.release,
            "api_version": self.api_version,
        }


async def look(agent: Agent, client: PersonalClient) -> Life:
    """Asks the network, and the canister as far as it can answer.

    Raises:
        RejectedError: the caller doesn't control the canister.
        CapsuleRefused: nor owns it.
        IcError: a call failed.
    """
    status = await status_of(agent, client.canister_id)
    about, held = await _told(client, status)
    now_ns = agent.clock()
    stops, deleted, days = dates(status, now_ns)
    return Life(
        canister_id=client.canister_id,
        state=status.status,
        cycles=status.cycles,
        burned_per_day=status.idle_cycles_burned_per_day,
        stops_ns=stops,
        deleted_ns=deleted,
        days_left=days,
        has_stopped=stops is not None and stops <= now_ns,
        memory_size=status.memory_size,
        settings=status.settings,
        module_hash=status.module_hash,
        release=await release_of(agent, status.module_hash, about.backend if about else None),
        owner=about.owner if about else None,
        memories=held.manifest.memories if held else None,
        content_size=held.manifest.content_size if held else None,
        api_version=held.manifest.api_version if held else None,
    )


async def status_of(agent: Agent, canister_id: Principal) -> CanisterStatus:
    """The canister's status, certified; by a query, which one node answers, where the canister can't pay for that.

    Raises:
        RejectedError: the caller may not see it.
        IcError: a call failed.
    """
    management = ManagementCanister(agent)
    try:
        return await management.canister_status(canister_id)
    except RejectedError as error:
        if error.error_code != OUT_OF_CYCLES:
            raise
    return await management.canister_status(canister_id, certified=False)


async def _told(
    client: PersonalClient, status: CanisterStatus
) -> tuple[PersonalInfo, CertifiedManifest] | tuple[None, None]:
    """What the canister says of itself."""
    if status.status is not RunState.running or status.module_hash is None:
        return None, None
    try:
        return await client.get_personal_info(), await client.get_manifest()
    except RejectedError as error:
        if error.error_code in (OUT_OF_CYCLES, *STOPPED_CODES):
            return None, None
        raise


async def release_of(agent: Agent, module_hash: bytes | None, backend: Principal | None) -> str | None:
    """What a module is: the one of this program, or what the backend's admins noted of it. `None`: neither knows it, or
    the backend can't be asked.
    """
    if module_hash is None:
        return None
    bundled = personal_wasm()
    if module_hash == bundled.module_hash:
        return f"{bundled.name}, as this program has it"
    if backend is None:
        return None
    try:
        releases = await BackendClient(agent, backend).list_releases()
    except (IcError, ContractError):  # a canister outlives its backend
        return None
    notes = (f"{quoted(release.note)}, approved" for release in releases if release.module_hash == module_hash)
    return next(notes, None)


def shown_date(time_ns: int | None) -> str:
    """A date for a person."""
    return "never" if time_ns is None else f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%d}"


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
