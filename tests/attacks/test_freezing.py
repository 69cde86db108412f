"""Strangers try to freeze canisters by messages that are refused, large ones or many, at the price of nothing."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.doors import DoorsWorld, doors

WHOLE_MESSAGE = 2_000_000
DAY_S = 86_400
SPARE = 40_000_000_000
"""Cycles above the freezing limit: ten messages of 2 MB, if they were taken."""


async def leave_spare(world: DoorsWorld, canister: str) -> None:
    """Puts the freezing limit so that only `SPARE` cycles are above it."""
    management = ManagementCanister(world.controller(canister))
    status = await management.canister_status(world.canisters[canister], certified=False)
    seconds = (status.cycles - SPARE) * DAY_S // status.idle_cycles_burned_per_day
    await management.update_settings(world.canisters[canister], CanisterSettings(freezing_threshold=seconds))


@pytest.mark.parametrize(
    ("canister", "method"),
    [
        ("importing", "whoami"),
        ("importing", "put_memory_chunks"),
        ("moved", "add_memory_to_capsule"),
        ("moved", "put_memory_upload_chunk"),
        ("backend", "whoami"),
        ("backend", "add_memory_to_capsule"),
    ],
)
async def test_a_stranger_does_not_freeze_a_canister_by_large_messages(
    world: DoorsWorld, canister: str, method: str
) -> None:
    await leave_spare(world, canister)
    async with world.costs(canister) as cost:
        for _ in range(15):
            assert not await world.is_let_in("stranger", canister, method, WHOLE_MESSAGE)
    assert cost.cycles == 0
    assert await world.is_let_in("owner", canister, "register", 10), "the owner is served as before"


async def test_a_stranger_does_not_freeze_a_personal_canister_by_many_small_messages(world: DoorsWorld) -> None:
    async with world.costs("moved") as cost:
        for door in doors():
            if door.personal:
                knocking = (world.is_let_in("stranger", "moved", door.method, 100) for _ in range(4))
                assert not any(await asyncio.gather(*knocking)), door.method
    assert cost.cycles == 0
