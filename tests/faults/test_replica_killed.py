"""The replica is killed while calls are under way, and comes back with everything that it had answered for."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from canister_factory.contract.creation_models import CreationStatus
from canister_factory.contract.memory_models import UploadRequest
from canister_factory.factory.events import Transferred
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import IcError
from support.creation_contents import fill, pattern, read_back
from support.creation_world import note
from support.fault_acts import STEPS
from support.mortal_world import MortalWorld, mortal_world
from support.whole_creation import assert_whole

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
pytestmark = pytest.mark.skipif(
    "CANISTER_FACTORY_TEST_NETWORK" in os.environ, reason="only an embedded replica is ours to kill"
)


ANSWERED = 60.0
"""Longer than any call takes: the replica is killed when the answer is there."""


class Killed(BaseException):
    """The orchestrator's process ends with the replica: nothing of it runs afterwards."""


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[MortalWorld]:
    async with mortal_world(tmp_path / "state") as world:
        yield world


async def test_chunks_that_were_acknowledged_before_the_kill_need_not_travel_again(mortal: MortalWorld) -> None:
    contents = await fill(mortal.now.as_owner)
    total = sum(map(len, contents.values()))
    await mortal.now.as_owner.create_personal_canister(None)
    acknowledged = 0

    def hook(event: Any) -> None:
        nonlocal acknowledged
        if isinstance(event, Transferred) and event.bytes_done > total // 3:
            acknowledged = event.bytes_done
            mortal.die()
            raise Killed

    with pytest.raises(Killed):
        await mortal.now.orchestrator(emit=hook, max_message_bytes=100_000).run(mortal.now.owner_id)
    world = await mortal.rise()

    status = await world.as_owner.get_detailed_creation_status()
    assert status is not None
    assert status.status == CreationStatus.Importing
    assert await read_back(world.as_owner) == contents, "the source is as it was"
    outcome = await world.orchestrator().run(world.owner_id)
    assert outcome.creation.canister_id == status.canister_id
    assert total // 3 < acknowledged
    assert outcome.bytes_moved <= total - acknowledged, "what was in flight when it died may have been written too"
    await assert_whole(world, outcome.creation, contents)


class LastCallAgent(Agent):
    """Kills the replica shortly after a certain method was called, while the call may be anywhere on its way."""

    last_method = ""
    after_seconds = 0.0
    die: Any = None

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        call = asyncio.ensure_future(super().update(canister_id, method, arg, **rest))
        if method != self.last_method:
            return await call
        await asyncio.wait({call}, timeout=self.after_seconds)
        self.die()
        call.cancel()
        raise Killed


@pytest.mark.sample(6)
@pytest.mark.parametrize("after_seconds", [0.001, 0.01, 0.03, ANSWERED])
@pytest.mark.parametrize("method", STEPS)
async def test_a_call_that_the_kill_hit_was_executed_once_or_not_at_all(
    mortal: MortalWorld, method: str, after_seconds: float
) -> None:
    contents = await fill(mortal.now.as_owner)
    await mortal.now.as_owner.create_personal_canister(None)
    agent = LastCallAgent(mortal.now.operator.identity, mortal.now.network)
    agent.last_method, agent.after_seconds, agent.die = method, after_seconds, mortal.die
    async with agent:
        with pytest.raises(Killed):
            await mortal.now.orchestrator(agent=agent).run(mortal.now.owner_id)
    world = await mortal.rise()

    status = await world.as_owner.get_detailed_creation_status()
    assert status is not None
    if status.status != CreationStatus.Completed:
        await world.orchestrator().run(world.owner_id)
    creation = await world.as_owner.get_detailed_creation_status()
    assert creation is not None
    assert creation.canister_id == (status.canister_id or creation.canister_id)
    await assert_whole(world, creation, contents)


async def test_an_upload_keeps_the_chunks_that_were_acknowledged(mortal: MortalWorld) -> None:
    size, chunk_size = 2_000_000, 100_000
    data = pattern(size, "upload")
    chunks = [data[start : start + chunk_size] for start in range(0, size, chunk_size)]
    client = mortal.now.as_owner
    session = await client.begin_memory_upload(
        UploadRequest(memory=note("film"), total_size=size, chunk_size=chunk_size)
    )
    acknowledged: set[int] = set()

    async def put(index: int) -> None:
        digest = hashlib.sha256(chunks[index]).digest()
        await client.put_memory_upload_chunk(session.upload_id, index, chunks[index], digest)
        acknowledged.add(index)
        if len(acknowledged) == len(chunks) // 3:
            mortal.die()
            for task in tasks:
                task.cancel()

    tasks = [asyncio.ensure_future(put(index)) for index in range(len(chunks))]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is None or isinstance(result, asyncio.CancelledError | IcError) for result in results)
    client = (await mortal.rise()).as_owner

    missing = set((await client.get_memory_upload(session.upload_id)).missing_chunks)
    assert missing.isdisjoint(acknowledged)
    for index in missing:
        await client.put_memory_upload_chunk(
            session.upload_id, index, chunks[index], hashlib.sha256(chunks[index]).digest()
        )
    memory_id = await client.commit_memory_upload(session.upload_id)
    assert (await read_back(client))[memory_id] == data
