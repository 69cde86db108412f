"""Creations that are interrupted, disturbed or attacked, through HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.artifacts import backend_wasm, personal_interface, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationErrorKind,
    CreationStatus,
    LeaseRef,
    OwnerPageRequest,
)
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.contract.import_models import PersonalInit
from canister_factory.factory import stages as stages_module
from canister_factory.factory.errors import CreationFailedError, LeaseLostError
from canister_factory.factory.events import (
    StageDone,
    StageStarted,
    Transferred,
)
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.retry import Retry
from canister_factory.factory.worker import Worker
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import IcError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note
from support.killing import PLACES, Killed, done, killed_at, killing_at


@pytest.mark.parametrize("place", PLACES)
async def test_killed_anywhere_another_orchestrator_goes_on_with_the_same_canister(world: World, place: str) -> None:
    contents = await fill(world.as_owner)
    interrupted = await killed_at(world, place, max_message_bytes=400_000)

    assert (interrupted.status == CreationStatus.Completed) == (place == "after the completion")
    assert (interrupted.canister_id is None) == (place == "after the export")
    if place != "after the completion":
        await world.orchestrator().run(world.owner_id)

    creation = await world.creation()
    assert creation.status == CreationStatus.Completed
    assert creation.attempts == 1
    assert creation.canister_id == (interrupted.canister_id or creation.canister_id)
    stats = await world.as_admin.get_personal_canister_creation_stats()
    assert stats.total_cycles_consumed == creation.cycles_consumed
    registry = await world.as_admin.list_registry(OwnerPageRequest())
    assert [entry.canister_id for entry in registry.items] == [creation.canister_id]
    assert creation.canister_id is not None
    assert await read_back(world.personal(creation.canister_id)) == contents
    assert set((await world.owner.canister_info(creation.canister_id)).controllers) == {world.owner_id}


async def test_a_resumed_copy_sends_only_what_is_missing(world: World) -> None:
    contents = await fill(world.as_owner)
    total = sum(map(len, contents.values()))
    await world.as_owner.create_personal_canister(None)
    halfway = killing_at(lambda event: isinstance(event, Transferred) and event.bytes_done > total // 2)
    with pytest.raises(Killed):
        await world.orchestrator(emit=halfway, max_message_bytes=100_000, start_window=1, max_window=1).run(
            world.owner_id
        )
    outcome = await world.orchestrator().run(world.owner_id)
    assert 0 < outcome.bytes_moved <= total // 2


async def test_what_the_owner_writes_during_the_copy_arrives_too(world: World) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    doomed = next(iter(contents))
    wrote = asyncio.Event()

    async def write() -> None:
        client = world.as_owner
        contents[await client.add_memory_to_capsule(inline(b"late but in time"), note("late"))] = b"late but in time"
        await client.delete_memory_from_capsule(doomed)
        del contents[doomed]
        galleries = await client.get_my_galleries()
        assert doomed not in str(galleries)
        wrote.set()

    writing: list[asyncio.Task[None]] = []

    def hook(event: Any) -> None:
        world.events.append(event)
        if isinstance(event, Transferred) and not writing:
            writing.append(asyncio.ensure_future(write()))

    outcome = await world.orchestrator(emit=hook, max_message_bytes=300_000, start_window=1, max_window=1).run(
        world.owner_id
    )
    await writing[0]
    assert wrote.is_set()
    assert outcome.creation.status == CreationStatus.Completed
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents


async def test_a_write_after_the_import_was_final_is_not_lost(world: World) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(Killed):
        await world.orchestrator(emit=killing_at(done(CreationStatus.Importing))).run(world.owner_id)
    interrupted = await world.creation()
    contents[await world.as_owner.add_memory_to_capsule(inline(b"in between"), note("n"))] = b"in between"

    outcome = await world.orchestrator().run(world.owner_id)
    assert outcome.creation.canister_id == interrupted.canister_id
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents


async def test_under_the_write_lock_the_owner_is_told_to_wait(world: World) -> None:
    await fill(world.as_owner)
    await killed_at(world, "after the verification")
    with pytest.raises(CapsuleRefused) as refused:
        await world.as_owner.add_memory_to_capsule(inline(b"no"), note("no"))
    assert refused.value.kind == "Locked"
    assert refused.value.retry_helps


class TamperingAgent(Agent):
    """Flips a byte of every chunk that is read from the source, below all checks of signatures."""

    async def query(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        reply = await super().query(canister_id, method, arg, **rest)
        if method == "read_export_chunk":
            reply = reply[:-1] + bytes((reply[-1] ^ 1,))
        return reply


async def test_a_tampered_chunk_is_found_and_the_creation_can_be_retried(world: World) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    tampering = await world.stack.enter_async_context(TamperingAgent(world.operator.identity, world.network))
    with pytest.raises(CreationFailedError, match=r"chunk \d+ of memory .* reads with SHA-256"):
        await world.orchestrator(agent=tampering).run(world.owner_id)

    failed = await world.creation()
    assert failed.status == CreationStatus.Failed
    assert failed.error is not None
    assert (failed.error.kind, failed.error.stage) == (CreationErrorKind.ImportFailed, CreationStatus.Importing)
    assert failed.error.retry_helps
    assert await read_back(world.as_owner) == contents

    outcome = await world.create()
    assert outcome.creation.canister_id == failed.canister_id
    assert outcome.creation.attempts == 2
    parts = await world.need(sum(map(len, contents.values())))
    assert failed.cycles_consumed == parts.first < outcome.creation.cycles_consumed <= parts.total
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents


async def test_another_module_in_the_canister_is_never_overwritten(world: World) -> None:
    created = await killed_at(world, "after the canister was created")
    assert created.canister_id is not None
    foreign = backend_wasm()
    management = ManagementCanister(world.owner)
    await management.provisional_top_up_canister(created.canister_id, 10**12)  # it is dearer than the right one
    await management.install(created.canister_id, foreign.wasm, b"DIDL\x00\x00")

    with pytest.raises(CreationFailedError, match="is of no approved release"):
        await world.orchestrator().run(world.owner_id)
    failed = await world.creation()
    assert failed.error is not None
    assert failed.error.kind == CreationErrorKind.HistoryFailed
    assert (await world.owner.canister_info(created.canister_id)).module_hash == foreign.module_hash


async def test_a_canister_initialized_for_somebody_else_is_refused(world: World) -> None:
    created = await killed_at(world, "after the canister was created")
    assert created.canister_id is not None
    # The owner controls the canister as well, and installs the right module for another owner.
    init = PersonalInit(owner=world.operator_id, backend=world.backend_id)
    argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
    await ManagementCanister(world.owner).install(created.canister_id, personal_wasm().wasm, argument)
    with pytest.raises(CreationFailedError, match="initialized for owner"):
        await world.orchestrator().run(world.owner_id)


async def test_a_module_that_is_no_release_costs_no_cycles(world: World) -> None:
    await world.as_admin.revoke_release(personal_wasm().module_hash)
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(CreationFailedError, match="not an approved release"):
        await world.orchestrator().run(world.owner_id)
    creation = await world.creation()
    assert (creation.canister_id, creation.cycles_consumed) == (None, 0)


async def test_a_strange_controller_stops_the_creation(world: World) -> None:
    created = await killed_at(world, "after the canister was created")
    assert created.canister_id is not None
    stranger = Principal(world.admin.identity.sender().bytes)
    settings = CanisterSettings(controllers=[world.owner_id, world.operator_id, stranger])
    await ManagementCanister(world.owner).update_settings(created.canister_id, settings)
    with pytest.raises(CreationFailedError, match=f"lets {stranger} control it, which is no operator"):
        await world.orchestrator().run(world.owner_id)


async def test_who_does_not_hold_the_lease_does_nothing(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    await world.as_operator.claim_creation(ClaimRequest(owner=world.owner_id, worker="somebody else"))
    with pytest.raises(CreationRefused, match="somebody else") as refused:
        await world.orchestrator().run(world.owner_id)
    assert refused.value.error.kind == CreationErrorKind.Busy
    creation = await world.creation()
    assert (creation.status, creation.canister_id) == (CreationStatus.Exporting, None)


async def test_a_stranger_is_no_operator(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(RejectedError, match="canister_inspect_message explicitly refused message"):
        await world.orchestrator(agent=world.agent()).run(world.owner_id)
    creation = await world.creation()
    assert creation.status == CreationStatus.NotStarted


async def test_a_worker_that_was_replaced_stops_at_once(world: World) -> None:
    await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    claim = ClaimRequest(owner=world.owner_id, worker="canister-factory")
    taking: list[asyncio.Task[Any]] = []

    def hook(event: Any) -> None:
        world.events.append(event)
        if isinstance(event, StageDone) and event.stage == CreationStatus.Installing:
            taking.append(asyncio.ensure_future(world.as_operator.claim_creation(claim)))

    with pytest.raises(LeaseLostError, match="is lost") as lost:
        await world.orchestrator(emit=hook, max_message_bytes=100_000).run(world.owner_id)
    await taking[0]
    assert lost.value.retry_helps
    creation = await world.creation()
    assert creation.status not in (CreationStatus.Failed, CreationStatus.Completed)
    assert (await world.orchestrator().run(world.owner_id)).creation.status == CreationStatus.Completed


async def test_a_cancelled_run_gives_the_lease_back(world: World) -> None:
    await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    reached = asyncio.Event()
    task = asyncio.ensure_future(world.orchestrator(emit=lambda event: reached.set()).run(world.owner_id))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (request,) = (await world.as_operator.list_open_requests(OwnerPageRequest())).items
    assert request.leased_until is None
    assert (await world.orchestrator(worker="another").run(world.owner_id)).creation.attempts == 1


async def test_too_small_a_reserve_refuses_the_request_and_says_how_much_is_needed(world: World) -> None:
    settings = (await world.as_admin.get_reserve_status()).settings
    await world.as_admin.set_reserve_settings(settings.model_copy(update={"funded_days": 36_000}))
    with pytest.raises(CreationRefused) as refused:
        await world.as_owner.create_personal_canister(None)
    assert refused.value.error.kind == CreationErrorKind.ReserveInsufficient
    assert refused.value.error.needed == (await world.need()).total > 40 * 10**12
    assert refused.value.error.available is None, "what the reserve has is its admins' business"
    (logged,) = (await world.as_admin.list_errors(NumberedPageRequest())).items
    assert logged.error.needed == refused.value.error.needed
    assert logged.error.available is not None


async def test_a_failed_creation_can_be_cleaned_up_by_its_operator(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(Killed):
        await world.orchestrator(emit=killing_at(done(CreationStatus.Installing))).run(world.owner_id)
    created = await world.creation()
    assert created.canister_id is not None
    retry = Retry(world.orchestrator().config)
    personal = PersonalCanister(world.operator, created.canister_id, world.owner_id, retry)
    await personal.clean_up(world.backend_id)
    with pytest.raises(IcError, match="does not exist"):
        await personal.info()


async def test_an_operator_reads_nothing_without_a_lease(world: World) -> None:
    await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    client = BackendClient(world.operator, world.backend_id)
    with pytest.raises(CreationRefused, match="Lease 1 is lost: nobody holds this creation now"):
        await client.list_export_entries(LeaseRef(owner=world.owner_id, lease=1))


async def test_a_capsule_that_outgrew_the_import_limit_gets_a_canister_with_a_larger_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = stages_module.DEFAULT_LIMITS.model_copy(update={"max_import_bytes": 1_000})
    monkeypatch.setattr(stages_module, "DEFAULT_LIMITS", small)
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(Killed):
        await world.orchestrator(emit=killing_at(done(CreationStatus.Installing)), import_margin_bytes=0).run(
            world.owner_id
        )
    created = await world.creation()
    contents = await fill(world.as_owner)
    outcome = await world.orchestrator(import_margin_bytes=0).run(world.owner_id)
    reason = "starting over: the capsule outgrew the canister's import limit"
    assert StageStarted(CreationStatus.Installing, reason) in world.events
    assert outcome.creation.canister_id == created.canister_id
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents


async def test_a_limit_of_the_target_is_named_in_the_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    small = stages_module.DEFAULT_LIMITS.model_copy(update={"max_chunk_bytes": 1_000})
    monkeypatch.setattr(stages_module, "DEFAULT_LIMITS", small)
    await world.as_owner.add_memory_to_capsule(inline(bytes(1_001)), note("large"))
    await world.as_owner.create_personal_canister(None)
    with pytest.raises(CreationFailedError, match=r"1,001, above the limit of 1,000"):
        await world.orchestrator().run(world.owner_id)
    failed = await world.creation()
    assert failed.error is not None
    assert failed.error.kind == CreationErrorKind.ImportFailed


class OvertakenAgent(Agent):
    """Before it first sends `method`, another worker brings the creation to its end."""

    method = ""
    overtake: Any = None

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        if method == self.method and self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            await overtake()
        return await super().update(canister_id, method, arg, **rest)


@pytest.mark.parametrize("method", ["claim_creation", "provision_canister", "verify_creation"])
async def test_a_creation_that_another_worker_finished_is_no_failure_of_this_one(world: World, method: str) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(OvertakenAgent(world.operator.identity, world.network))
    agent.method = method
    agent.overtake = lambda: world.orchestrator().run(world.owner_id)
    finished: list[object] = []
    worker = Worker(world.orchestrator(agent=agent), finished=lambda owner, result: finished.append(result))
    assert await worker.run_once() == 0
    assert agent.overtake is None
    assert finished == []
    creation = await world.creation()
    assert (creation.status, creation.error) == (CreationStatus.Completed, None)
    assert await read_back(world.personal(creation.canister_id)) == contents


async def test_a_canister_that_was_started_over_too_often_is_replaced_in_the_same_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = stages_module.DEFAULT_LIMITS.model_copy(update={"max_import_bytes": 1_000})
    monkeypatch.setattr(stages_module, "DEFAULT_LIMITS", small)
    created = await killed_at(world, "after the installation", import_margin_bytes=0)
    assert created.canister_id is not None
    contents = await fill(world.as_owner)
    init = PersonalInit(owner=world.owner_id, backend=world.backend_id)
    argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
    management = ManagementCanister(world.operator)
    for _ in range(13):
        await management.install(created.canister_id, personal_wasm().wasm, argument, mode="upgrade")
    lease = await world.as_operator.claim_creation(ClaimRequest(owner=world.owner_id, worker="canister-factory"))
    await world.as_operator.release_lease(LeaseRef(owner=world.owner_id, lease=lease.lease))
    outcome = await world.orchestrator(import_margin_bytes=0).run(world.owner_id)
    assert outcome.creation.status == CreationStatus.Completed
    assert outcome.creation.lost_canisters == [created.canister_id]
    assert outcome.creation.attempts == 1
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents
