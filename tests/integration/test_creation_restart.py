"""The network itself ends in the middle of a creation, and comes back with everything that was recorded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from canister_factory.contract.creation_models import CreationStatus
from support.creation_contents import fill, read_back
from support.killing import killed_at
from support.mortal_world import MortalWorld, mortal_world

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
pytestmark = pytest.mark.skipif(
    "CANISTER_FACTORY_TEST_NETWORK" in os.environ, reason="only an embedded replica is ours to restart"
)


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[MortalWorld]:
    async with mortal_world(tmp_path / "state") as world:
        yield world


@pytest.mark.sample(4)
@pytest.mark.parametrize("end", [MortalWorld.stop, MortalWorld.die], ids=["stop", "kill"])
@pytest.mark.parametrize("place", ["after the canister was created", "in the middle of the copy", "after the handoff"])
async def test_a_creation_goes_on_after_the_network_was_restarted(
    mortal: MortalWorld, place: str, end: Callable[[MortalWorld], None]
) -> None:
    world = mortal.now
    contents = await fill(world.as_owner)
    before = await killed_at(world, place, max_message_bytes=400_000)

    await asyncio.to_thread(end, mortal)
    world = await mortal.rise()

    after = await world.creation()
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
