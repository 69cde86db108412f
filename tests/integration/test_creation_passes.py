"""The passes of a copy: how many there are, which are under the write lock, and what a write or a failure leads to."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.errors import CreationFailedError, ExportError
from canister_factory.factory.events import PassDone
from support.creation_listening import listening, run
from support.creation_world import World, inline, note
from support.killing import killed_at

S = CreationStatus


def passes(events: list[Any]) -> list[tuple[int, int, bool]]:
    return [(event.number, event.bytes_moved, event.locked) for event in events if isinstance(event, PassDone)]


@pytest.mark.parametrize(("message", "expected"), [(5_000, [(1, 5_000, False)]), (4_999, [(1, 5_000, False)])])
async def test_what_fits_a_message_is_one_pass(
    world: World, message: int, expected: list[tuple[int, int, bool]]
) -> None:
    await world.as_owner.add_memory_to_capsule(inline(bytes(5_000)), note("x"))
    await world.as_owner.create_personal_canister(None)
    agent = await listening(world)
    outcome, events = await run(world, agent, max_message_bytes=message)
    assert passes(events) == expected
    assert outcome.bytes_moved == 5_000
    assert agent.locks() == []


@pytest.mark.parametrize(("writes", "locked"), [(0, []), (1, []), (2, [True])])
async def test_an_owner_who_writes_between_copy_and_comparison_is_locked_out_only_if_they_do_it_again(
    world: World, writes: int, locked: list[bool]
) -> None:
    await world.as_owner.add_memory_to_capsule(inline(bytes(5_000)), note("x"))
    await world.as_owner.create_personal_canister(None)
    agent, wrote = await listening(world), 0

    async def write() -> None:
        nonlocal wrote
        if wrote < writes:
            wrote += 1
            await world.as_owner.add_memory_to_capsule(inline(bytes(10)), note("meanwhile"))

    agent.disturb["verify_creation"] = write
    outcome, events = await run(world, agent)
    assert passes(events) == [(1, 5_000, False), (2, 10, False), (3, 10, True)][: writes + 1]
    assert agent.locks() == locked
    assert outcome.creation.status == S.Completed


@pytest.mark.parametrize("written", [True, False])
async def test_a_pass_that_a_write_disturbed_is_tried_again_and_any_other_failure_is_none(
    world: World, written: bool
) -> None:
    await world.as_owner.add_memory_to_capsule(inline(bytes(5_000)), note("x"))
    await world.as_owner.create_personal_canister(None)
    agent = await listening(world)

    async def disturb() -> None:
        if written:
            await world.as_owner.add_memory_to_capsule(inline(bytes(10)), note("meanwhile"))
        raise ExportError("disturbed")

    agent.disturb["read_export_chunk"] = disturb
    if not written:
        with pytest.raises(CreationFailedError, match="disturbed"):
            await run(world, agent, max_message_bytes=4_999)
        assert agent.locks() == [], "the owner isn't locked out by a failure"
        return
    outcome, events = await run(world, agent, max_message_bytes=4_999)
    assert passes(events) == [(1, 5_010, False)]
    assert agent.locks() == []
    assert outcome.creation.status == S.Completed


async def test_what_disturbs_the_reading_ahead_only_costs_time(world: World) -> None:
    await world.as_owner.add_memory_to_capsule(inline(bytes(5_000)), note("x"))
    await world.as_owner.create_personal_canister(None)
    agent = await listening(world)

    async def disturb() -> None:
        raise ExportError("disturbed")

    agent.disturb["read_export_chunk"] = disturb
    outcome, events = await run(world, agent)
    assert passes(events) == [(1, 5_000, False)]
    assert outcome.creation.status == S.Completed


@pytest.mark.parametrize("before", ["a page", "the first page"])
async def test_an_owner_who_writes_while_a_finished_copy_is_looked_at_only_has_the_write_copied(
    world: World, before: str
) -> None:
    await world.as_owner.add_memory_to_capsule(inline(bytes(5_000)), note("x"))
    await killed_at(world, "after the import was final")
    agent = await listening(world)

    async def write() -> None:
        await world.as_owner.add_memory_to_capsule(inline(bytes(10)), note("meanwhile"))

    async def at_the_next_page() -> None:
        agent.disturb["list_export_entries"] = write

    agent.disturb["list_export_entries"] = write if before == "the first page" else at_the_next_page
    outcome, events = await run(world, agent, entries_per_page=1)
    assert passes(events) == [(1, 10, False)]
    assert outcome.creation.status == S.Completed
