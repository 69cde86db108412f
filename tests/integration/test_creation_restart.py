"""The network itself ends in the middle of a creation, and comes back with everything that was recorded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canister_factory.contract.creation_models import CreationStatus
from canister_factory.ic.agent import Agent
from canister_factory.ic.network import Network
from support.creation_contents import fill, read_back
from support.creation_world import World
from support.killing import PLACES, Killed, killing_at

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
pytestmark = pytest.mark.skipif(
    "CANISTER_FACTORY_TEST_NETWORK" in os.environ, reason="only an embedded replica is ours to restart"
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[object]:
    from canister_factory.replica.node.process import ReplicaProcess

    with ReplicaProcess(tmp_path / "state") as started:
        yield started


@pytest.fixture
def network(process: object) -> Network:
    """This replica, in the place of the one that other tests share."""
    return network_of(process)


def network_of(process: object) -> Network:
    return Network.resolve(process.url, root_key=process.root_key)  # type: ignore[attr-defined]


async def on(network: Network, world: World) -> World:
    """The same people and the same backend, on the network as it is now."""
    agents = {}
    for name in ("admin", "operator", "owner"):
        identity = getattr(world, name).identity
        agents[name] = await world.stack.enter_async_context(Agent(identity, network))
    return replace(world, network=network, **agents)


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("place", ["after the canister was created", "in the middle of the copy", "after the handoff"])
async def test_a_creation_goes_on_after_the_network_was_restarted(
    world: World, process: object, place: str, end: str
) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(Killed):
        await world.orchestrator(emit=killing_at(PLACES[place]), max_message_bytes=400_000).run(world.owner_id)
    before = await world.as_owner.get_detailed_creation_status()
    assert before is not None

    await asyncio.to_thread(getattr(process, end))
    await asyncio.to_thread(process.start)  # type: ignore[attr-defined]
    world = await on(network_of(process), world)

    after = await world.as_owner.get_detailed_creation_status()
    assert after is not None
    assert (after.status, after.canister_id, after.cycles_consumed, after.progress) == (
        before.status,
        before.canister_id,
        before.cycles_consumed,
        before.progress,
    )
    assert await read_back(world.as_owner) == contents
    outcome = await world.orchestrator().run(world.owner_id)
    assert (outcome.creation.status, outcome.creation.attempts) == (CreationStatus.Completed, 1)
    assert outcome.creation.canister_id is not None
    assert outcome.creation.canister_id == before.canister_id
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents
