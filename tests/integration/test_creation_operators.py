"""Several operators and workers at one creation: whose it is, and who gives way to whom."""

from __future__ import annotations

import logging

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import ClaimRequest, CreationErrorKind, LeaseRef
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import HandoffError, LeaseLostError
from canister_factory.factory.operators import HandOn
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.retry import Retry
from canister_factory.factory.worker import Worker
from canister_factory.ic.agent import Agent
from support.creation_contents import fill, read_back
from support.creation_listening import Listening
from support.creation_world import World
from support.killing import DyingAgent, Killed, killed_at

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


# --- handing on, killed anywhere -----------------------------------------------------------------------------------


HAND_ON = ["claim_creation", "update_settings", "hand_on_creation"]


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 1 + len(HAND_ON)), ids=HAND_ON)
async def test_a_hand_on_that_was_killed_anywhere_ends_right_when_it_is_begun_again(
    world: World, number: int, executed: bool
) -> None:
    await killed_at(world, "after the installation")
    await lease_ends(world)
    other = await another_operator(world)
    successor = Principal(other.identity.sender().bytes)
    dying = await world.stack.enter_async_context(DyingAgent(world.operator.identity, world.network))
    dying.dies_at, dying.executed = number, executed

    with pytest.raises(Killed):
        await HandOn(dying, world.backend_id, successor, Retry(FactoryConfig())).hand_on(world.owner_id)
    assert dying.sent == HAND_ON[:number]
    again = HandOn(world.operator, world.backend_id, successor, Retry(FactoryConfig()))
    for request in await again.creations():
        await again.hand_on(request.owner)

    found = await world.creation()
    assert found.canister_id is not None
    assert found.operators == [world.operator_id, successor]
    assert set((await other.canister_info(found.canister_id)).controllers) == {successor, world.owner_id}
    assert await again.creations() == []
    outcome = await world.orchestrator(agent=other).run(world.owner_id)
    assert outcome.creation.canister_id == found.canister_id


async def test_nothing_is_handed_on_while_a_handoff_to_the_owner_may_be_under_way(world: World) -> None:
    killed = await killed_at(world, "after the verification")
    assert killed.canister_id is not None
    other = await another_operator(world)
    run = HandOn(world.operator, world.backend_id, Principal(other.identity.sender().bytes), Retry(FactoryConfig()))
    await lease_ends(world)
    with pytest.raises(HandoffError, match="on its way to the owner") as waiting:
        await run.hand_on(world.owner_id)
    assert waiting.value.retry_helps
    controllers = set((await other.canister_info(killed.canister_id)).controllers)
    assert controllers == {world.operator_id, world.owner_id}
    outcome = await world.orchestrator().run(world.owner_id)
    assert outcome.controllers_after == {world.owner_id}


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
