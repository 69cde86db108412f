"""Who is let in at the doors of both canisters, with how many bytes, and what a refusal costs: on the built Wasm, over
HTTP, for every row of the table in docs/security.md."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from canister_factory.contract.artifacts import backend_interface, backend_limits, personal_interface, personal_limits
from canister_factory.testing import EmbeddedReplica
from support.doors import PEOPLE, SMALL, Door, DoorsWorld, built_limits, doors_world, knocks

MOST_OVER_HTTP = 2_000_000
"""Bytes of arguments that surely fit an ingress message, whose limit is 2 MiB with its envelope."""


@pytest.fixture(scope="module")
def world(own_replica: EmbeddedReplica | None) -> Iterator[DoorsWorld]:
    if own_replica is None:
        pytest.skip("costs are asserted to the cycle, on a replica of the tests' own")
    with own_replica.anchored():
        yield asyncio.run(doors_world(own_replica))


def id_of(case: tuple[str, Door]) -> str:
    return f"{case[0]}-{case[1].method}"


def test_the_page_has_a_row_for_each_method_with_the_limit_that_was_built() -> None:
    for interface, limits, canister in (
        (backend_interface(), backend_limits(), "backend"),
        (personal_interface(), personal_limits(), "moved"),
    ):
        assert interface.service is not None
        assert {name for name, _ in interface.service.methods} == set(limits)
        rows = [door for where, door in knocks() if where == canister]
        assert {door.method: door.limit for door in rows} == limits
        built = built_limits(canister)
        assert {door.method: door.from_canisters for door in rows} == {name: built[name].anyones for name in built}


@pytest.mark.sample(50)
@pytest.mark.parametrize("knock", knocks(), ids=id_of)
async def test_a_message_is_taken_from_those_whom_the_page_names_and_costs_nothing_from_others(
    world: DoorsWorld, knock: tuple[str, Door]
) -> None:
    canister, door = knock
    wanted = door.passed_by(canister, size=0)
    refused = [person for person in PEOPLE if person not in wanted]
    async with world.costs(canister) as cost:
        taken = await asyncio.gather(*(world.is_let_in(person, canister, door.method, 10) for person in refused))
    assert not any(taken), dict(zip(refused, taken, strict=True))
    assert cost.cycles == 0

    taken = await asyncio.gather(*(world.is_let_in(person, canister, door.method, 10) for person in sorted(wanted)))
    assert all(taken), dict(zip(sorted(wanted), taken, strict=True))


@pytest.mark.sample(30)
@pytest.mark.parametrize("knock", knocks(), ids=id_of)
async def test_nobody_sends_more_bytes_than_a_method_takes(world: DoorsWorld, knock: tuple[str, Door]) -> None:
    canister, door = knock
    most = min(door.limit, MOST_OVER_HTTP)
    wanted = sorted(door.passed_by(canister, most))
    if wanted:
        assert await world.is_let_in(wanted[0], canister, door.method, most)
    if most > SMALL:
        refused = next(person for person in PEOPLE[1:] if person not in wanted)
        assert not await world.is_let_in(refused, canister, door.method, most)
    async with world.costs(canister) as cost:
        if door.limit < MOST_OVER_HTTP:
            assert not await world.is_let_in(wanted[0] if wanted else "owner", canister, door.method, door.limit + 1)
    assert cost.cycles == 0
