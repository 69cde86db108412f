"""A hostile operator alters the record of a capsule that moves, so that somebody could open the owner's memories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.contract.artifacts import personal_interface, personal_wasm
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationErrorKind,
    CreationProgress,
    CreationStatus,
    LeaseRef,
    VerificationReport,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.event_models import EventKind, EventWait, Executor
from canister_factory.contract.import_models import PersonalInit
from canister_factory.contract.manifest_models import CapsuleRecord, ExportItem, ItemKind, ItemRef
from canister_factory.contract.memory_models import AccessEvent
from canister_factory.ic.management import ManagementCanister
from canister_factory.testing import EmbeddedReplica
from support.creation_world import Foundation, World

DAY_NS = 86_400 * 10**9
DEATH = AccessEvent.of("AfterDeath")
Doctor = Callable[[CapsuleRecord, World], CapsuleRecord]


@pytest.fixture
async def creation(replica: EmbeddedReplica) -> AsyncIterator[World]:
    """A backend that is ready for creations, and an owner with a capsule and an event that waits."""
    with replica.anchored():
        foundation = await Foundation.lay(replica.network)
        async with foundation.world(replica.network) as world:
            executor = world.agent()
            (capsule,) = await world.as_owner.list_my_capsules()
            await world.as_owner.add_executor(capsule.id, executor.identity.sender())
            await type(world.as_owner)(executor, world.backend_id).record_capsule_event(capsule.id, DEATH)
            yield world


def with_executor(record: CapsuleRecord, world: World) -> CapsuleRecord:
    """The operator among the executors."""
    mine = Executor(person=world.operator_id, named_at=record.created_at, named_by=world.owner_id)
    return record.model_copy(update={"executors": [*record.executors, mine]})


def open_at_once(record: CapsuleRecord, world: World) -> CapsuleRecord:
    """The event that waits, open."""
    (waiting,) = record.events
    return record.model_copy(update={"events": [waiting.model_copy(update={"opens_at": waiting.recorded_at})]})


def short_wait(record: CapsuleRecord, world: World) -> CapsuleRecord:
    """A day in the place of thirty."""
    return record.model_copy(update={"event_waits": [EventWait(kind=EventKind.AfterDeath, wait_ns=DAY_NS)]})


def untouched(record: CapsuleRecord, world: World) -> CapsuleRecord:
    """The record as the owner has it."""
    return record


async def imported(world: World, doctored: Doctor) -> tuple[LeaseRef, VerificationReport]:
    """What the backend finds when the operator has brought the record like that."""
    backend, owner = world.as_operator, world.owner_id
    await world.as_owner.create_personal_canister(None)
    lease = LeaseRef(owner=owner, lease=(await backend.claim_creation(ClaimRequest(owner=owner, worker="x"))).lease)
    capsule_id = (await backend.begin_export(lease, False)).capsule_id
    canister = (await backend.provision_canister(lease)).canister_id
    await _report(world, lease, CreationStatus.Installing)
    init = PersonalInit(owner=owner, backend=world.backend_id)
    argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
    await ManagementCanister(world.operator).install(canister, personal_wasm().wasm, argument)
    await _report(world, lease, CreationStatus.Importing)
    (item,) = await backend.get_export_items(lease, [ItemRef(kind=ItemKind.Capsule, id=capsule_id)])
    assert item.Capsule is not None
    target = PersonalClient(world.operator, canister)
    session = await target.begin_import()
    await target.put_items(session.id, [ExportItem(Capsule=doctored(item.Capsule, world))])
    await target.finalize_import(session.id)
    await backend.begin_export(lease, True)
    return lease, await backend.verify_creation(lease)


async def _report(world: World, lease: LeaseRef, stage: CreationStatus) -> None:
    progress = CreationProgress(stage=stage, bytes_done=0, bytes_total=0, items_done=0, items_total=0)
    await world.as_operator.report_progress(lease, progress, "")


@pytest.mark.parametrize("doctored", [with_executor, open_at_once, short_wait])
async def test_what_an_operator_plants_is_found_and_the_canister_is_never_complete(
    creation: World, doctored: Doctor
) -> None:
    (capsule,) = await creation.as_owner.list_my_capsules()
    before = (
        await creation.as_owner.list_capsule_events(capsule.id),
        await creation.as_owner.get_event_rules(capsule.id),
    )
    lease, report = await imported(creation, doctored)
    assert not report.matches
    assert any(line.startswith("manifest_hash: ") for line in report.differences)
    with pytest.raises(CreationRefused) as refused:
        await creation.as_operator.complete_creation(lease)
    assert refused.value.error.kind == CreationErrorKind.VerifyFailed
    assert before == (
        await creation.as_owner.list_capsule_events(capsule.id),
        await creation.as_owner.get_event_rules(capsule.id),
    )


async def test_the_same_import_with_the_owners_record_is_found_right(creation: World) -> None:
    _, report = await imported(creation, untouched)
    assert report.matches, report.differences
