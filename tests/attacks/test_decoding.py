"""Canisters, which pass no door, try to make others decode: more than they take, and what is hard to read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.replica.subnet.cycles import CONFIGURED
from canister_factory.testing import EmbeddedReplica
from support.candid_bombs import nulls, records, variants
from support.doors import Door, DoorsWorld, knocks
from support.extreme_arguments import relay, relayed

MILLION = 1_000_000
WITHOUT_BYTES, MESSAGES = 2_500, 5_000
"""Bytes: below the first are methods that carry none, below the second messages about creations."""
MOST_SENT = 2_000_000
"""Bytes that a user brings to the canister which makes the call."""

KNOCKS = [(canister, door) for canister, door in knocks() if canister != "importing"]


@pytest.fixture
async def strange(world: DoorsWorld, replica: EmbeddedReplica) -> tuple[Agent, Principal]:
    """A stranger with a canister of theirs that makes any call."""
    agent = replica.agent()
    management = ManagementCanister(agent)
    canister = await management.provisional_create_canister_with_cycles(10**14)
    await management.install(canister, relay(), b"")
    return agent, canister


async def instructions_of(
    world: DoorsWorld, strange: tuple[Agent, Principal], knock: tuple[str, Door], arg: bytes
) -> int:
    """What the called canister executes."""
    canister, door = knock
    agent, caller = strange
    async with world.costs(canister) as cost:
        await agent.update(caller, "relay", relayed(world.canisters[canister].bytes, door.method, arg, 0))
    price = 2 if canister == "backend" else 1  # Wasm of 64 bits is charged twice
    executed = cost.cycles - CONFIGURED.of_execution(0)
    assert executed > 0, "it was called"
    return executed // price


def id_of(knock: tuple[str, Door]) -> str:
    return f"{knock[0]}-{knock[1].method}"


@pytest.mark.sample(25)
@pytest.mark.parametrize("knock", [knock for knock in KNOCKS if knock[1].limit < MOST_SENT - 1_000], ids=id_of)
async def test_arguments_above_the_limit_are_not_even_copied(
    world: DoorsWorld, strange: tuple[Agent, Principal], knock: tuple[str, Door]
) -> None:
    argument = nulls(knock[1].limit + 1)
    assert len(argument) == knock[1].limit + 1
    assert await instructions_of(world, strange, knock, argument) < 2_000


HARD: list[Callable[[int], bytes]] = [
    nulls,
    lambda size: records(size, 20),
    lambda size: variants(size, 30, size),
    lambda size: variants(size, 126, size // 16 + 16_000),
    lambda size: variants(size, 250, size // 16 + 16_000),
]


@pytest.mark.sample(25)
@pytest.mark.parametrize("knock", KNOCKS, ids=id_of)
async def test_what_is_hard_to_decode_is_bounded(
    world: DoorsWorld, strange: tuple[Agent, Principal], knock: tuple[str, Door]
) -> None:
    size = min(knock[1].limit, MOST_SENT - 1_000)
    most = 5 * MILLION if size < WITHOUT_BYTES else 25 * MILLION if size < MESSAGES else 1_800 * MILLION
    executed = [await instructions_of(world, strange, knock, hard(size)) for hard in HARD]
    assert max(executed) <= most
