"""Answers are garbled between a real replica and a creation: each costs a poll, and nothing else.

A seeded sample of places; with --sweep every garbling of every answer of a creation.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from operator import eq
from pathlib import Path

import pytest

from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.creation_models import CreationStatus, OwnerPageRequest
from canister_factory.factory.deployment import fund
from canister_factory.ic.identity import Identity
from support.creation_contents import pattern, read_back
from support.creation_world import FUNDS, World, inline, note
from support.garbling import Garble, Garbler, garbles
from support.mortal_world import mortal_world

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
pytestmark = pytest.mark.skipif(
    "CANISTER_FACTORY_TEST_NETWORK" in os.environ, reason="only an embedded replica's keys are ours to sign with"
)

SAMPLE = 12


@pytest.fixture
async def garbled(tmp_path: Path) -> AsyncIterator[tuple[World, dict[str, Garble]]]:
    async with mortal_world(tmp_path / "state") as mortal:
        await mortal.now.set_budget(10**18)  # a sweep makes more creations than a day's budget is for
        yield mortal.now, garbles(tmp_path / "state")


async def create(world: World, garble: Garble, chosen: Callable[[int], bool]) -> Garbler:
    """A creation for a new owner whose operator sees garbled answers; checks all that the owner and the books have."""
    owner = world.agent()
    mine = replace(world, owner=owner)
    await mine.as_owner.register_capsule()
    contents = {}
    for size in (1, 70_000):
        data = pattern(size, f"{size}")
        contents[await mine.as_owner.add_memory_to_capsule(inline(data), note("memory"))] = data
    await mine.as_owner.create_personal_canister(None)
    before = await world.as_admin.get_reserve_status()
    garbler = Garbler(garble, chosen)
    async with garbler.agent(world.operator.identity, world.network) as operator:
        outcome = await mine.orchestrator(agent=operator, progress_seconds=60).run(mine.owner_id)
    creation = outcome.creation
    assert (creation.status, creation.attempts) == (CreationStatus.Completed, 1)
    assert creation.canister_id is not None
    assert await read_back(mine.personal(creation.canister_id)) == contents
    assert set((await owner.canister_info(creation.canister_id)).controllers) == {mine.owner_id}
    reserve = await world.as_admin.get_reserve_status()
    assert reserve.total_consumed - before.total_consumed == creation.cycles_consumed
    assert reserve.in_flight == 0
    return garbler


async def test_one_garbled_answer_anywhere_in_a_creation_is_no_failure(
    garbled: tuple[World, dict[str, Garble]], sweep: bool
) -> None:
    world, ways = garbled
    total = (await create(world, ways["HTML"], lambda number: False)).answers
    places = [(number, way) for number in range(1, total + 1) for way in ways]
    if not sweep:
        chance = random.Random(6)
        places = list(zip(chance.sample(range(1, total + 1), SAMPLE), list(ways) * 2, strict=False))
    for number, way in places:
        await fund(world.admin, world.backend_id, FUNDS)
        try:
            garbler = await create(world, ways[way], partial(eq, number))
        except Exception as error:
            pytest.fail(f"answer {number} of {total}, {way}: {error!r}")
        assert len(garbler.garbled) == (number <= garbler.answers), "a run may take fewer answers than the first"
    assert (await world.as_admin.list_errors(NumberedPageRequest())).items == []
    registry = await world.as_admin.list_registry(OwnerPageRequest())
    assert registry.total == 1 + len(places)
    stats = await world.as_admin.get_personal_canister_creation_stats()
    assert stats.total_successes == 1 + len(places)


async def test_a_call_through_garbled_answers_is_executed_once(garbled: tuple[World, dict[str, Garble]]) -> None:
    """Each way at each of the first answers; a memory is added at most once, and its id is the reply."""
    world, ways = garbled
    identity = Identity.generate()
    plain = replace(world, owner=world.agent(identity))
    await plain.as_owner.register_capsule()

    async def add(way: str, last: int) -> str:
        garbler = Garbler(ways[way], lambda number: number <= last)
        async with garbler.agent(identity, world.network) as agent:
            client = replace(world, owner=agent).as_owner
            return await client.add_memory_to_capsule(inline(way.encode()), note(way))

    added = await asyncio.gather(*(add(way, last) for way in ways for last in (1, 4)))
    assert set(await read_back(plain.as_owner)) == set(added)
    assert len(set(added)) == 2 * len(ways)
