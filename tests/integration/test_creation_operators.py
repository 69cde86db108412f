"""Several operators and workers at one creation: whose it is, and who gives way to whom."""

from __future__ import annotations

import logging

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import ClaimRequest, CreationErrorKind, LeaseRef
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import LeaseLostError
from canister_factory.factory.stages import Outcome
from canister_factory.factory.worker import Worker
from canister_factory.ic.agent import Agent
from support.creation_contents import fill, read_back
from support.creation_listening import Listening
from support.creation_world import World
from support.killing import killed_at

Results = list[Outcome | Exception]


async def another_operator(world: World) -> Agent:
    """Registered beside the first one."""
    agent = world.agent()
    await world.as_admin.add_operator(agent.identity.sender())
    return agent


async def lease_ends(world: World) -> None:
    """The killed worker's lease: nobody waits for its end here."""
    claimed = await world.as_operator.claim_creation(ClaimRequest(owner=world.owner_id, worker="canister-factory"))
    await world.as_operator.release_lease(LeaseRef(owner=world.owner_id, lease=claimed.lease))


def worker_of(world: World, results: Results, name: str = "w", agent: Agent | None = None) -> Worker:
    def finished(owner: Principal, result: Outcome | Exception) -> None:
        results.append(result)

    return Worker(world.orchestrator(agent=agent, worker=name), finished=finished)


@pytest.mark.parametrize("place", ["after the canister was created", "in the middle of the copy", "after the handoff"])
async def test_other_operators_leave_a_creation_with_a_canister_alone_and_say_whose_it_is(
    world: World, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    contents = await fill(world.as_owner)
    killed = await killed_at(world, place, max_message_bytes=400_000)
    await lease_ends(world)
    other = await another_operator(world)

    results: Results = []
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert await worker_of(world, results, agent=other).run_once() == 0
    assert results == []
    assert f"belongs to the operator {world.operator_id}" in caplog.text
    with pytest.raises(CreationRefused, match=str(world.operator_id)) as refused:
        await world.orchestrator(agent=other).run(world.owner_id)
    assert (refused.value.error.kind, refused.value.retry_helps) == (CreationErrorKind.Busy, False)
    found = await world.creation()
    assert (found.status, found.error, found.operator) == (killed.status, None, world.operator_id)

    outcome = await world.orchestrator().run(world.owner_id)
    assert outcome.creation.canister_id == killed.canister_id
    assert await read_back(world.personal(killed.canister_id)) == contents


async def test_before_there_is_a_canister_any_operator_goes_on(world: World) -> None:
    await killed_at(world, "after the export")
    await lease_ends(world)
    other = await another_operator(world)
    outcome = await world.orchestrator(agent=other).run(world.owner_id)
    assert outcome.creation.operator == other.identity.sender()


# --- workers of one name ---------------------------------------------------------------------------------------------


async def test_a_worker_that_starts_again_under_its_name_goes_on_at_once(world: World) -> None:
    await fill(world.as_owner)
    await killed_at(world, "in the middle of the copy", worker="w", max_message_bytes=400_000)
    results: Results = []
    assert await worker_of(world, results, name="another").run_once() == 0
    assert await worker_of(world, results, name="w").run_once() == 1
    assert [type(result) for result in results] == [Outcome]


async def test_of_two_workers_with_one_name_the_later_goes_on_and_the_earlier_gives_way(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The earlier one finds the creation leased under its own name then, and takes it back only when that has ended."""
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(Listening(world.operator.identity, world.network))
    request = ClaimRequest(owner=world.owner_id, worker="w")
    numbers: list[int] = []

    async def the_other_starts() -> None:
        if not numbers:
            numbers.append((await world.as_operator.claim_creation(request)).lease)

    agent.disturb["provision_canister"] = the_other_starts
    results: Results = []
    earlier = worker_of(world, results, name="w", agent=agent)
    assert await earlier.run_once() == 0
    assert [type(result) for result in results] == [LeaseLostError]
    assert "need different names" in caplog.text

    for _ in range(3):
        assert await earlier.run_once() == 0
    others = LeaseRef(owner=world.owner_id, lease=numbers[0])
    await world.as_operator.renew_lease(others)
    assert [method for method, _ in agent.calls].count("claim_creation") == 1
    await world.as_operator.release_lease(others)
    assert await earlier.run_once() == 1
