"""Events that open memories, over HTTP on both canisters, as days go by: executors record and wait, the owner vetoes
and revokes, and all of it moves with the capsule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.contract.clients import CapsuleClient
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.event_models import EventKind
from canister_factory.contract.memory_models import AccessEvent
from canister_factory.contract.person_models import ConnectionStatus
from canister_factory.testing import EmbeddedReplica
from support.capsule_world import (
    EVERYONE,
    PUBLIC,
    CapsuleWorld,
    after_event,
    capsule_on,
    people_of,
    person,
    principal,
    refusal,
)
from support.creation_world import World

DAY = 86_400
DAY_NS = DAY * 10**9
DEATH, WEDDING = AccessEvent.of("AfterDeath"), AccessEvent.of("Wedding")
OWNER = {"owner"}


@pytest.fixture(autouse=True)
def clock(own_replica: EmbeddedReplica | None) -> EmbeddedReplica:
    """The replica, whose clock everybody here has."""
    if own_replica is None:
        pytest.skip("days go by on a replica of the tests' own only")
    return own_replica


@pytest.fixture
def wait(clock: EmbeddedReplica) -> Callable[[float], None]:
    """Lets so many days go by."""
    return lambda days: clock.advance(days * DAY)


@pytest.fixture
def world(world: World, clock: EmbeddedReplica) -> World:
    return world.by_clock(clock.clock)


@pytest.fixture
async def capsule(capsule: CapsuleWorld, clock: EmbeddedReplica) -> CapsuleWorld:
    return await people_of(capsule.world.by_clock(clock.clock), capsule.kind, capsule.canister_id)


async def waiting_memory(capsule: CapsuleWorld) -> str:
    """A memory that everybody reads after the owner's death, with the friend as an executor."""
    await capsule.owner.add_executor(capsule.capsule_id, principal(capsule.friend))
    return await capsule.add(access=after_event(DEATH, PUBLIC))


async def record(client: CapsuleClient, capsule: CapsuleWorld, event: AccessEvent = DEATH) -> int:
    """When the event opens what waits for it."""
    return (await client.record_capsule_event(capsule.capsule_id, event)).opens_at


async def test_an_executor_opens_a_memory_after_thirty_days(
    capsule: CapsuleWorld, wait: Callable[[float], None]
) -> None:
    memory_id = await waiting_memory(capsule)
    opens_at = await record(capsule.friend, capsule)
    (recorded,) = await capsule.owner.list_capsule_events(capsule.capsule_id)
    assert recorded.opens_at == opens_at == recorded.recorded_at + 30 * DAY_NS
    assert recorded.recorded_by == principal(capsule.friend)
    wait(29.9)
    assert await capsule.readers(memory_id) == OWNER
    wait(0.2)
    assert await capsule.readers(memory_id) == EVERYONE


async def test_a_veto_holds_until_it_is_recorded_again_and_waits_again(
    capsule: CapsuleWorld, wait: Callable[[float], None]
) -> None:
    memory_id = await waiting_memory(capsule)
    await record(capsule.friend, capsule)
    wait(29)
    await capsule.owner.revoke_capsule_event(capsule.capsule_id, DEATH)
    wait(2)
    assert await capsule.readers(memory_id) == OWNER
    await record(capsule.friend, capsule)
    wait(29)
    assert await capsule.readers(memory_id) == OWNER
    wait(2)
    assert await capsule.readers(memory_id) == EVERYONE
    await capsule.owner.revoke_capsule_event(capsule.capsule_id, DEATH)
    assert await capsule.readers(memory_id) == OWNER, "what is open shuts again"


async def test_an_event_of_an_executor_who_is_removed_or_blocked_falls(
    capsule: CapsuleWorld, wait: Callable[[float], None]
) -> None:
    memory_id = await waiting_memory(capsule)
    await record(capsule.friend, capsule)
    await capsule.owner.remove_executor(capsule.capsule_id, principal(capsule.friend))
    await capsule.owner.add_executor(capsule.capsule_id, principal(capsule.stranger))
    await record(capsule.stranger, capsule)
    await capsule.owner.add_connection(person(capsule.stranger))
    await capsule.owner.update_connection_status(person(capsule.stranger), ConnectionStatus.Blocked)
    assert await capsule.owner.list_capsule_events(capsule.capsule_id) == []
    wait(31)
    assert await capsule.readers(memory_id) == OWNER


async def test_a_longer_period_holds_for_what_waits_and_a_shorter_one_does_not(
    capsule: CapsuleWorld, wait: Callable[[float], None]
) -> None:
    memory_id = await waiting_memory(capsule)
    await record(capsule.friend, capsule)
    await capsule.owner.set_event_wait(capsule.capsule_id, EventKind.AfterDeath, DAY_NS)
    wait(2)
    assert await capsule.readers(memory_id) == OWNER
    await capsule.owner.set_event_wait(capsule.capsule_id, EventKind.AfterDeath, 40 * DAY_NS)
    wait(37)
    assert await capsule.readers(memory_id) == OWNER
    wait(2)
    assert await capsule.readers(memory_id) == EVERYONE


async def test_people_and_periods_that_make_no_sense_are_refused(capsule: CapsuleWorld) -> None:
    owner = capsule.owner
    for person_id in (principal(owner), principal(capsule.anonymous)):
        wrong = await capsule.refused("InvalidArgument", owner.add_executor(capsule.capsule_id, person_id))
        assert wrong.field == "executor"
    for span in (0, DAY_NS - 1, 3_650 * DAY_NS + 1):
        setting = owner.set_event_wait(capsule.capsule_id, EventKind.Wedding, span)
        assert (await capsule.refused("InvalidArgument", setting)).field == "wait_ns"
    missing = await capsule.refused("NotFound", owner.revoke_capsule_event(capsule.capsule_id, WEDDING))
    assert (missing.kind, missing.id) == ("event", "Wedding")
    missing = await capsule.refused("NotFound", owner.remove_executor(capsule.capsule_id, principal(capsule.stranger)))
    assert (missing.kind, missing.id) == ("executor", str(principal(capsule.stranger)))


async def test_an_executor_learns_and_changes_no_more_than_a_stranger(capsule: CapsuleWorld) -> None:
    await waiting_memory(capsule)
    await capsule.owner.add_executor(capsule.capsule_id, principal(capsule.world.as_admin))
    await record(capsule.friend, capsule)
    executor, stranger, where = capsule.friend, capsule.stranger, capsule.capsule_id
    memory_id = await capsule.add()
    reads: dict[str, Callable[[CapsuleClient], Any]] = {
        "capsule": lambda client: client.get_capsule(where),
        "info": lambda client: client.get_capsule_info(where),
        "rules": lambda client: client.get_event_rules(where),
        "memory": lambda client: client.get_memory_from_capsule(memory_id),
    }
    for name, read in reads.items():
        told = [await refusal("NotFound", read(client)) for client in (executor, stranger)]
        assert told[0] == told[1], name
    assert await capsule.listed(executor) == await capsule.listed(stranger) == []
    events = await executor.list_capsule_events(where)
    assert [event.recorded_by for event in events] == [principal(executor)]
    for change in (
        executor.set_event_wait(where, EventKind.AfterDeath, DAY_NS),
        executor.add_executor(where, principal(stranger)),
        executor.remove_executor(where, principal(capsule.world.as_admin)),
        executor.revoke_capsule_event(where, DEATH),
    ):
        await capsule.turned_away(change)
    assert await executor.list_capsule_events(where) == events


async def test_an_event_that_waits_moves_and_needs_the_backend_no_more(
    world: World, wait: Callable[[float], None]
) -> None:
    there = await capsule_on(world, "backend")
    memory_id = await waiting_memory(there)
    await there.owner.set_event_wait(there.capsule_id, EventKind.Wedding, 3 * DAY_NS)
    opens_at = await record(there.friend, there)
    wait(10)

    here = await capsule_on(world, "personal")
    executor = CapsuleClient(there.friend.agent, here.canister_id)
    assert await here.owner.get_event_rules(here.capsule_id) == await there.owner.get_event_rules(there.capsule_id)
    assert await executor.list_capsule_events(here.capsule_id) == await here.owner.list_capsule_events(here.capsule_id)
    with pytest.raises(CapsuleRefused) as moved:
        await record(there.friend, there)
    assert moved.value.kind == "Moved"
    assert moved.value.error.value.personal_canister == here.canister_id
    assert await record(executor, here) == opens_at
    wait(19)
    assert await here.readers(memory_id) == OWNER
    wait(2)
    assert await here.readers(memory_id) == EVERYONE
    recorded = await record(executor, here, WEDDING)
    (wedding,) = [event for event in await executor.list_capsule_events(here.capsule_id) if event.event == WEDDING]
    assert recorded == wedding.opens_at == wedding.recorded_at + 3 * DAY_NS


async def test_after_the_move_an_executor_records_and_the_owner_vetoes_without_the_backend(
    world: World, wait: Callable[[float], None]
) -> None:
    here = await capsule_on(world, "personal")
    memory_id = await waiting_memory(here)
    await record(here.friend, here)
    await here.owner.revoke_capsule_event(here.capsule_id, DEATH)
    wait(31)
    assert await here.readers(memory_id) == OWNER
    await record(here.friend, here)
    wait(31)
    assert await here.readers(memory_id) == EVERYONE


async def test_who_runs_the_backend_opens_nothing(world: World, wait: Callable[[float], None]) -> None:
    there = await capsule_on(world, "backend")
    memory_id = await waiting_memory(there)
    here = await capsule_on(world, "personal")
    for agent in (world.admin, world.operator):
        for where, capsule_id in ((there.canister_id, there.capsule_id), (there.canister_id, "cap-none")):
            absent = await refusal("NotFound", CapsuleClient(agent, where).record_capsule_event(capsule_id, DEATH))
            assert (absent.kind, absent.id) == ("capsule", capsule_id)
        await here.turned_away(CapsuleClient(agent, here.canister_id).record_capsule_event(here.capsule_id, DEATH))
    wait(31)
    assert await here.readers(memory_id) == OWNER
