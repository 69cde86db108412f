"""The snapshot that an upgrade leaves for a while, and its end.

Owns deleting it. Does not own: how it is on record (`upgrade_record`), and the upgrade (`upgrading`).
"""

from __future__ import annotations

from canister_factory.candid.principal import Principal
from canister_factory.factory.upgrade_record import SNAPSHOT, UNTIL, Kept, changed, kept_in, until_in
from canister_factory.factory.upgrade_turn import UNRECORDED_NS, certified_time_ns
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings, CanisterStatus

_GONE = ("IC0305", "IC0406")
"""The implementation's codes for a snapshot that isn't there."""


async def delete_expired(agent: Agent, canister_id: Principal, status: CanisterStatus, now_ns: int) -> bool:
    """Deletes the snapshot that an upgrade left, when its time is over; whether it did.

    An upgrade may begin meanwhile. So what is written is what a look shows that is just over, and isn't executed
    later than a run waits that has begun since (`upgrade_turn`).

    Args:
        status: by which there is such a snapshot; it is asked for anew, certified.
        now_ns: nanoseconds since 1970.

    Raises:
        IcError: a call failed.
    """
    if _expired(status, now_ns) is None:
        return False
    management = ManagementCanister(agent)
    kept = _expired(await management.canister_status(canister_id), now_ns)
    if kept is None:
        return False
    await delete(management, canister_id, kept.snapshot_id)
    looked_ns = await certified_time_ns(agent, canister_id)
    status = await management.canister_status(canister_id)
    if _expired(status, now_ns) == kept:
        settings = CanisterSettings(environment_variables=changed(status.settings, {SNAPSHOT: None, UNTIL: None}))
        await management.update_settings(canister_id, settings, latest_ns=looked_ns + UNRECORDED_NS)
    return True


async def delete(management: ManagementCanister, canister_id: Principal, snapshot_id: bytes) -> None:
    """Deletes a snapshot; one that isn't there any more is a success.

    Raises:
        IcError: the call failed.
    """
    try:
        await management.delete_canister_snapshot(canister_id, snapshot_id)
    except RejectedError as rejection:
        if rejection.error_code not in _GONE:
            raise


def _expired(status: CanisterStatus, now_ns: int) -> Kept | None:
    kept = kept_in(status.settings)
    over = kept is not None and max(kept.until_ns, until_in(status.settings)) <= now_ns
    return kept if over else None
