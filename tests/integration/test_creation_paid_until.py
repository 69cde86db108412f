"""Until when a new canister is paid: the date that its creation names, by time travel; and who may see its status."""

from __future__ import annotations

import pytest

from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreatePersonalCanisterConfig,
    CreationStatus,
    LeaseRef,
)
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.factory.funding import DAY_S
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import Audience
from canister_factory.owner.life import look
from canister_factory.testing import EmbeddedReplica
from support.creation_contents import fill
from support.creation_world import World, inline, note

DAY_NS = DAY_S * 10**9


async def funded(world: World, days: int) -> None:
    settings = (await world.as_admin.get_reserve_status()).settings
    await world.as_admin.set_reserve_settings(settings.model_copy(update={"funded_days": days}))


@pytest.mark.parametrize("days", [365, 1_000])
@pytest.mark.parametrize("is_after", [False, True], ids=["a day before", "a day after"])
async def test_a_canister_takes_updates_until_the_date_that_its_creation_names(
    world: World, own_replica: EmbeddedReplica | None, days: int, is_after: bool
) -> None:
    """Its first new memory draws randomness, which is what the date keeps cycles for."""
    if own_replica is None:
        pytest.skip("time travels on the embedded replica only")
    await fill(world.as_owner)
    await funded(world, days)
    creation = (await world.create()).creation
    until, canister_id = creation.paid_until, creation.canister_id
    assert until is not None
    assert creation.completed_at is not None
    assert abs(until - creation.completed_at - days * DAY_NS) < DAY_NS
    life = await look(world.owner, world.personal(canister_id))
    assert life.stops_ns is not None
    assert abs(life.stops_ns - until) < DAY_NS, "the owner is told the same"

    own_replica.advance((until + (DAY_NS if is_after else -DAY_NS) - own_replica.clock()) / 10**9)
    owner = world.personal(canister_id, world.agent(world.owner.identity, clock_ns=own_replica.clock))
    if is_after:
        with pytest.raises(CapsuleRefused, match="no writes at present"):
            await owner.add_memory_to_capsule(inline(b"too late"), note("too late"))
    else:
        await owner.add_memory_to_capsule(inline(b"in time"), note("in time"))


async def test_what_a_canister_has_too_much_of_for_its_days_stays_in_the_reserve(world: World) -> None:
    """It was given what an installation may take, and that takes a tenth of it."""
    await funded(world, 0)
    creation = (await world.create()).creation
    parts = await world.need()
    assert creation.cycles_consumed == parts.first
    assert (await world.as_admin.get_reserve_status()).in_flight == 0


def viewers(world: World, is_shown: bool | None) -> Audience:
    return Audience(allowed_viewers=[world.backend_id]) if is_shown else Audience(controllers=None)


@pytest.mark.parametrize("is_shown", [None, False, True])
async def test_the_backend_sees_the_status_of_an_owners_canister_only_by_the_owners_consent(
    world: World, is_shown: bool | None
) -> None:
    await world.as_owner.create_personal_canister(CreatePersonalCanisterConfig(show_status=is_shown))
    creation = (await world.orchestrator().run(world.owner_id)).creation
    assert (creation.status, creation.config.show_status) == (CreationStatus.Completed, is_shown)
    assert creation.canister_id is not None
    status = await ManagementCanister(world.owner).canister_status(creation.canister_id)
    assert status.settings.controllers == [world.owner_id]
    assert status.settings.status_visibility == viewers(world, is_shown)


async def test_before_the_handoff_nobody_but_the_backend_sees_it(world: World) -> None:
    await world.as_owner.create_personal_canister()
    claimed = await world.as_operator.claim_creation(ClaimRequest(owner=world.owner_id, worker="w"))
    lease = LeaseRef(owner=world.owner_id, lease=claimed.lease)
    made = await world.as_operator.provision_canister(lease)
    status = await ManagementCanister(world.operator).canister_status(made.canister_id)
    assert status.settings.status_visibility == viewers(world, True)
    stranger = ManagementCanister(world.agent())
    with pytest.raises(RejectedError, match="Only controllers"):
        await stranger.canister_status(made.canister_id)
