"""A creation that has to wait, for an admin or for another day's budget: workers leave it open and go on later."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import Admission, CreationErrorKind, CreationStatus, OwnerPageRequest
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.worker import Worker
from support.creation_world import World
from support.killing import killed_at

Ends = list[tuple[Principal, Outcome | Exception]]


def worker(world: World, ends: Ends) -> Worker:
    return Worker(world.orchestrator(), finished=lambda owner, result: ends.append((owner, result)))


async def test_a_worker_is_told_of_a_request_when_an_admin_has_approved_it(world: World) -> None:
    await world.as_admin.set_admission(Admission.Approval)
    await world.as_owner.create_personal_canister()
    ends: Ends = []
    assert await worker(world, ends).run_once() == 0
    waiting = await world.as_operator.list_waiting_requests(OwnerPageRequest())
    assert [request.owner for request in waiting.items] == [world.owner_id]
    with pytest.raises(CreationRefused, match="waits for approval by an admin"):
        await world.orchestrator().run(world.owner_id)
    await world.as_admin.approve_creation(world.owner_id)
    assert await worker(world, ends).run_once() == 1
    assert (await world.creation()).status == CreationStatus.Completed
    assert [owner for owner, _ in ends] == [world.owner_id]


@pytest.mark.parametrize("place", ["after the export", "after the canister was created", "after the import was final"])
async def test_what_is_stopped_on_its_way_stays_open_and_goes_on_when_it_may(world: World, place: str) -> None:
    before = await killed_at(world, place)
    await world.as_admin.set_personal_canister_creation_enabled(False)
    ends: Ends = []
    assert await worker(world, ends).run_once() == 0
    assert ends == []
    assert (await world.creation()).status == before.status
    await world.as_admin.set_personal_canister_creation_enabled(True)
    assert await worker(world, ends).run_once() == 1
    after = await world.creation()
    assert (after.status, after.attempts) == (CreationStatus.Completed, 1)
    assert before.canister_id in (None, after.canister_id)


async def test_a_creation_waits_for_room_in_the_budget_that_an_admin_has_lowered(world: World) -> None:
    await world.as_owner.create_personal_canister()
    await world.set_budget(1)
    ends: Ends = []
    assert await worker(world, ends).run_once() == 0
    assert (ends, (await world.creation()).status) == ([], CreationStatus.Exporting)
    with pytest.raises(CreationRefused, match="BudgetSpent") as refused:
        await world.orchestrator().run(world.owner_id)
    assert refused.value.method == "provision_canister"
    [request] = (await world.as_operator.list_open_requests(OwnerPageRequest())).items
    assert request.worker is None, "the lease is given back"
    await world.set_budget(10**14)
    assert await worker(world, ends).run_once() == 1


async def test_an_owner_is_told_when_there_is_room_again_and_not_how_much_there_is(world: World) -> None:
    await world.set_budget((await world.need()).total)
    outcome = await world.create()
    assert outcome.creation.status == CreationStatus.Completed
    agent = world.agent()
    other = type(world.as_owner)(agent, world.backend_id)
    await other.register()
    await other.register_capsule()
    with pytest.raises(CreationRefused, match=r"\(retry at 20\d\d-") as refused:
        await other.create_personal_canister()
    assert refused.value.error.kind == CreationErrorKind.BudgetSpent
    assert refused.value.error.available is None
    assert refused.value.error.retry_at is not None
