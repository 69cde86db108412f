"""What the only creation of a world must be at its end, asked over HTTP.

Owns the assertions for worlds with real processes; those of worlds whose time is made up are in `creation_ends`.
"""

from __future__ import annotations

from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.creation_models import CreationStatus, DetailedCreationStatus, OwnerPageRequest
from support.creation_contents import read_back
from support.creation_world import World


async def assert_whole(world: World, creation: DetailedCreationStatus, contents: dict[str, bytes]) -> None:
    """One canister, paid once, with everything in it and the owner alone in control."""
    assert (creation.status, creation.attempts) == (CreationStatus.Completed, 1)
    assert creation.canister_id is not None
    assert await read_back(world.personal(creation.canister_id)) == contents
    assert set((await world.owner.canister_info(creation.canister_id)).controllers) == {world.owner_id}
    registry = await world.as_admin.list_registry(OwnerPageRequest())
    assert [entry.canister_id for entry in registry.items] == [creation.canister_id]
    consumption = await world.as_admin.list_consumption(NumberedPageRequest())
    assert [entry.attached - entry.refunded for entry in consumption.items] == [creation.cycles_consumed]
    stats = await world.as_admin.get_personal_canister_creation_stats()
    assert (stats.total_successes, stats.total_cycles_consumed) == (1, creation.cycles_consumed)
    reserve = await world.as_admin.get_reserve_status()
    assert (reserve.in_flight, reserve.total_consumed) == (0, creation.cycles_consumed)
