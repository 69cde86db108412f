"""Owners who make their creations take for ever: each is ended, and holds back nobody, in one worker with one place."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.contract.artifacts import personal_interface
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.factory.errors import CanisterState, CreationFailedError
from canister_factory.factory.outcome import Outcome
from support.backend_script import Clock
from support.creation_contents import read_back
from support.creation_world import World, inline, note
from support.hostile import hostile_module
from support.hostile_operator import Hostile
from support.many_owners import FILLING, Trick, Watched, ask
from support.silent_canister import silent

LOOK_S = 0.05


async def goes_silent(hostile: Hostile) -> None:
    """Whatever is sent to it is never answered."""
    await hostile.management.install(hostile.canister, silent(*FILLING), b"", mode="reinstall")


async def answers_wrongly(hostile: Hostile) -> None:
    await _answers(hostile, "Ok")


async def rejects(hostile: Hostile) -> None:
    await _answers(hostile, "reject")


async def _answers(hostile: Hostile, mode: str) -> None:
    module = hostile_module(personal_interface(), b"service : {}", mode, hostile.world.owner_id)
    await hostile.management.install(hostile.canister, module, b"", mode="reinstall")


async def stops(hostile: Hostile) -> None:
    await hostile.management.stop_canister(hostile.canister)


async def check_complete(world: World) -> None:
    """The owner has everything, on a canister that they alone control."""
    creation = await world.creation()
    assert creation.status == CreationStatus.Completed
    assert creation.canister_id is not None
    assert set((await world.owner.canister_info(creation.canister_id)).controllers) == {world.owner_id}
    assert await read_back(PersonalClient(world.owner, creation.canister_id)) == await read_back(world.as_owner)


async def two_and_a_third(world: World, tricks: tuple[Trick, Trick]) -> tuple[list[World], Watched]:
    """Two owners with tricks, who asked first, and one who asked after them."""
    owners = [await ask(world, name) for name in ("first", "second", "third")]
    return owners, Watched(
        world, {owner.owner_id: (owner, trick) for owner, trick in zip(owners, tricks, strict=False)}
    )


@pytest.mark.parametrize("trick", [goes_silent, answers_wrongly, rejects])
async def test_a_module_that_changes_under_the_copy_ends_it(world: World, trick: Trick) -> None:
    owner = await ask(world, "only")
    watched = Watched(world, {owner.owner_id: (owner, trick)}, {"look_seconds": LOOK_S})
    await watched.run_until(owner.owner_id)
    failed = watched.ended[owner.owner_id]
    assert isinstance(failed, CreationFailedError)
    assert failed.kind == CreationErrorKind.HistoryFailed
    creation = await owner.creation()
    assert (creation.status, creation.canister_id) == (CreationStatus.Failed, None)
    assert len(creation.lost_canisters) == 1


async def test_a_run_that_takes_more_time_than_it_may_ends_and_a_retry_completes_it(world: World) -> None:
    owner, clock = await ask(world, "only"), Clock()

    async def wait_for_a_week(hostile: Hostile) -> None:
        clock.now = 7 * 86_400.0
        await asyncio.Event().wait()

    watched = Watched(world, {owner.owner_id: (owner, wait_for_a_week)}, {"look_seconds": LOOK_S}, clock=clock)
    await watched.run_until(owner.owner_id)
    failed = watched.ended[owner.owner_id]
    assert isinstance(failed, CreationFailedError)
    assert failed.retry_helps
    assert "the run took 604,800 s, above the limit of 3,60" in failed.message
    await owner.as_owner.create_personal_canister(None)
    await Watched(world, {}).run_until(owner.owner_id)
    await check_complete(owner)


async def test_two_canisters_that_never_answer_hold_back_no_third(world: World) -> None:
    (first, second, third), watched = await two_and_a_third(world, (goes_silent, goes_silent))
    watched.config = {"look_seconds": 10_000}  # nobody looks: they stay in their places
    watched.patient_seconds = 0.2
    await watched.run_until(third.owner_id)
    assert set(watched.ended) == {third.owner_id}, "the others are at it still"
    await check_complete(third)
    for owner in (first, second):
        creation = await owner.creation()
        assert creation.canister_id is not None
        assert (creation.error, creation.completed_at) == (None, None)


async def test_one_who_writes_all_the_time_and_one_who_stops_the_canister_hold_back_no_third(world: World) -> None:
    (busy, stopping, third), watched = await two_and_a_third(world, (_nothing, stops))
    ends = asyncio.Event()
    writing = asyncio.create_task(write_all_the_time(busy, ends))
    try:
        await watched.run_until(busy.owner_id, stopping.owner_id, third.owner_id)
    finally:
        ends.set()
        await writing
    assert isinstance(watched.ended[busy.owner_id], Outcome)
    failed = watched.ended[stopping.owner_id]
    assert isinstance(failed, CreationFailedError)
    assert failed.state == CanisterState.STOPPED
    await check_complete(busy)
    await check_complete(third)


async def _nothing(hostile: Hostile) -> None:
    """This owner does something else."""


async def write_all_the_time(world: World, ends: asyncio.Event) -> None:
    """One write after the other, as long as the backend takes them."""
    number = 0
    while not ends.is_set():
        number += 1
        try:
            await world.as_owner.add_memory_to_capsule(inline(b"%d" % number), note(f"{number}"))
        except Exception:
            await asyncio.sleep(0.01)
