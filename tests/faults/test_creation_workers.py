"""Several workers share creations and are killed again and again, while owners write all the time.

A few seeds; with --sweep many.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial

import pytest

from support.broken_way import KILLS, Break, answer_lost, at, nothing
from support.creation_ends import assert_nothing_wrong, faults_at_the_end
from support.fault_world import CAPSULES, ENDED, ONE_MESSAGE, PASSES, PATIENCE_S, Capsule, FaultWorld, Person, Stage
from support.mainnet import Conditions

CAPSULES_AT_ONCE = (ONE_MESSAGE, PASSES, ONE_MESSAGE)
MOST_KILLS = 3
MOST_REQUESTS = 60
PAUSE_S = 20.0
WRITES = 2
"""Requests at which a worker is cut while the owner writes, of each kind in a sample."""


async def lives(world: FaultWorld, name: str, chance: random.Random) -> None:
    """A worker that is killed at some request, and started again under its name after a while; the last life lasts."""
    for kill in range(MOST_KILLS + 1):
        chosen = at(chance.randint(1, MOST_REQUESTS), chance.choice(KILLS)) if kill < MOST_KILLS else nothing
        way = world.broken_way(chosen, Conditions())
        life = await world.until_death(way, world.worker(way, name, PASSES.config).run())
        assert life.error is None, f"{name} ended by itself: {life.error!r}"
        await asyncio.sleep(chance.uniform(0.0, PAUSE_S))


async def all_ended(world: FaultWorld, *people: Person) -> None:
    until_s = world.loop.time() + PATIENCE_S
    while world.loop.time() < until_s:
        if all([(await person.creation()).status in ENDED for person in people]):
            return
        await asyncio.sleep(1.0)


class Writer:
    """An owner who writes every `pause_s` seconds, for the time of the block."""

    def __init__(self, person: Person, pause_s: float) -> None:
        self._person = person
        self._pause_s = pause_s
        self._is_over = False

    def __repr__(self) -> str:
        return f"Writer(every {self._pause_s} s)"

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._write())

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await self._task

    async def _write(self) -> None:
        number = 0
        while not self._is_over:
            number += 1
            await self._person.write(f"note {number}")
            await asyncio.sleep(self._pause_s)


@pytest.mark.parametrize("count", [2, 5])
def test_workers_that_are_killed_again_and_again_create_everything_once(faults: Stage, count: int, sweep: bool) -> None:
    wrong: list[str] = []

    async def scenario(world: FaultWorld, chance: random.Random) -> list[str]:
        people = [await world.person(capsule) for capsule in CAPSULES_AT_ONCE]
        workers = [asyncio.create_task(lives(world, f"worker {n}", chance)) for n in range(count)]
        ended = asyncio.create_task(all_ended(world, *people))
        async with Writer(people[1], 3.0):
            await asyncio.wait({ended, *workers}, return_when=asyncio.FIRST_COMPLETED)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return [what for person in people for what in await faults_at_the_end(world, person)]

    for seed in range(20 if sweep else 2):
        chance = random.Random(f"{count} {seed}")
        wrong += [f"seed {seed}: {what}" for what in faults.play(partial(scenario, chance=chance))]
    assert_nothing_wrong(f"{count} workers", wrong)


@pytest.mark.parametrize("pause_s", [0.4, 3.0])
@pytest.mark.parametrize("capsule", CAPSULES, ids=str)
@pytest.mark.parametrize("breaks", [*KILLS, answer_lost], ids=lambda breaks: breaks.__name__)
def test_what_an_owner_writes_all_the_while_is_theirs_whatever_happens_to_the_worker(
    faults: Stage, capsule: Capsule, breaks: Break, pause_s: float, sweep: bool
) -> None:
    async def scenario(world: FaultWorld, number: int) -> list[str]:
        person = await world.person(capsule)
        async with Writer(person, pause_s):
            await world.life(person, at(number, breaks))
            await world.go_on(person)
        return await faults_at_the_end(world, person)

    numbers = list(range(1, len(faults.play(lambda world: world.requests_of(capsule))) + 1))
    if not sweep:
        numbers = random.Random(f"{capsule} {breaks.__name__} {pause_s}").sample(numbers, WRITES)
    wrong: list[str] = []
    for number in numbers:
        wrong += [f"request {number}: {what}" for what in faults.play(partial(scenario, number=number))]
    assert_nothing_wrong(f"{breaks.__name__}, {capsule}, a write every {pause_s} s", wrong)
