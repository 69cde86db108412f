"""Each request of a creation is cut, or its orchestrator killed at it; a worker that nobody helps ends the creation.

A seeded sample of the requests; with --sweep each request of each capsule, in each way.
"""

from __future__ import annotations

import random

import pytest

from support.broken_way import CUTS, KILLS, Break, at
from support.creation_ends import assert_nothing_wrong, faults_at_the_end, faults_of_the_line
from support.fault_world import CAPSULES, Capsule, FaultWorld, Stage

SAMPLE = 3
FEWER = 2
"""A run may make so many requests less than another: chunks are put together as they come."""


def places(stage: Stage, capsule: Capsule, breaks: Break, sweep: bool) -> list[tuple[int, str]]:
    """Numbers and names of the requests that are to be cut."""
    names = stage.play(lambda world: world.requests_of(capsule))
    numbered = list(enumerate(names, 1))
    return numbered if sweep else sorted(random.Random(f"{capsule} {breaks.__name__}").sample(numbered, SAMPLE))


def cut(stage: Stage, capsule: Capsule, number: int, breaks: Break) -> list[str]:
    """Everything that is wrong after the request of this number was cut."""

    async def scenario(world: FaultWorld) -> list[str]:
        person = await world.person(capsule)
        life = await world.life(person, at(number, breaks))
        await world.go_on(person)
        missed = not life.way.broken and len(life.way.names) < number - FEWER
        return ["it was never sent"] * missed + faults_of_the_line(life) + await faults_at_the_end(world, person)

    return stage.play(scenario)


@pytest.mark.parametrize("capsule", CAPSULES, ids=str)
@pytest.mark.parametrize("breaks", CUTS + KILLS, ids=lambda breaks: breaks.__name__)
def test_whatever_happens_to_a_request_the_creation_ends_as_if_nothing_had(
    faults: Stage, capsule: Capsule, breaks: Break, sweep: bool
) -> None:
    wrong: list[str] = []
    for number, name in places(faults, capsule, breaks, sweep):
        wrong += [f"request {number}, {name}: {what}" for what in cut(faults, capsule, number, breaks)]
    assert_nothing_wrong(f"{breaks.__name__}, {capsule}", wrong)
