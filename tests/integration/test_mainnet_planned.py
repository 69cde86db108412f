"""The time that a plan tells is the one that the creation then takes at the simulated mainnet's speed."""

from __future__ import annotations

import pytest

from canister_factory.contract.clients import BackendClient
from canister_factory.factory.pace import GATEWAY, MAINNET, Pace
from canister_factory.factory.plan import plan
from support import virtual_time
from support.mainnet import Conditions
from support.mainnet_world import mainnet_world
from support.virtual_time import VirtualTimeLoop

AT_MAINNET = Conditions()
BEHIND_A_GATEWAY = Conditions(bytes_per_s=2_500_000)


@pytest.mark.parametrize(
    ("conditions", "pace", "sizes"),
    [
        (AT_MAINNET, MAINNET, (600_000,)),
        (AT_MAINNET, MAINNET, (1_500_000,) * 20),
        (BEHIND_A_GATEWAY, GATEWAY, (1_500_000,) * 20),
    ],
    ids=["small", "large", "gateway"],
)
def test_a_plan_tells_the_seconds_and_the_updates_of_the_run(
    conditions: Conditions, pace: Pace, sizes: tuple[int, ...]
) -> None:
    async def main(loop: VirtualTimeLoop) -> tuple[float, float, int, int]:
        async with mainnet_world(loop) as world, world.owner(*sizes) as owner, world.agent(world.operator) as agent:
            made = await plan(BackendClient(agent, world.backend_id), agent, owner.principal)
            created = await world.create(owner, conditions)
            return made.seconds(pace), created.seconds, made.updates, len(created.chain)

    told, took, updates, chain = virtual_time.run(main)
    assert told == pytest.approx(took, rel=0.15)
    assert updates <= chain  # what fills blocks waits for room, too
