"""The dates that an owner is told, by time travel."""

from __future__ import annotations

import pytest

from canister_factory.contract.clients import PersonalClient
from canister_factory.factory.funding import MESSAGE_CYCLES
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.owner.life import look
from canister_factory.testing import EmbeddedReplica
from support.creation_contents import fill
from support.creation_world import World, inline, note

DAY_NS = 86_400 * 10**9


async def test_a_canister_stops_and_is_deleted_at_the_dates_that_its_owner_is_told(
    world: World, own_replica: EmbeddedReplica | None
) -> None:
    if own_replica is None:
        pytest.skip("time travels on the embedded replica only")
    await fill(world.as_owner)
    await world.create()
    canister_id = (await world.creation()).canister_id
    assert canister_id is not None

    def owner() -> Agent:
        """With the network's time."""
        return world.agent(world.owner.identity, clock_ns=own_replica.clock)

    agent = owner()
    life = await look(agent, PersonalClient(agent, canister_id))
    assert life.stops_ns is not None
    assert life.deleted_ns is not None
    assert life.days_left == (life.stops_ns - own_replica.clock()) // DAY_NS

    def travel(to_ns: int) -> None:
        own_replica.advance((to_ns - own_replica.clock()) / 10**9)

    travel(life.stops_ns - DAY_NS)
    client = PersonalClient(owner(), canister_id)
    await client.add_memory_to_capsule(inline(b"still there"), note("still there"))
    # What draws no randomness needs a bit less than half of what the date keeps for a message.
    travel(life.stops_ns + (MESSAGE_CYCLES * 11 // 20) * DAY_NS // life.burned_per_day)
    client = PersonalClient(owner(), canister_id)
    with pytest.raises(RejectedError, match="out of cycles"):
        await client.register()

    travel(life.deleted_ns - 2 * DAY_NS)
    agent = owner()
    assert (await agent.canister_info(canister_id)).module_hash is not None
    travel(life.deleted_ns + 2 * DAY_NS)
    assert (await owner().canister_info(canister_id)).module_hash is None
