"""What a creation tells: every event in order, what the owner reads meanwhile, and the figures of the outcome."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.values import Case
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CreationError,
    CreationErrorKind,
    CreationStatus,
    OwnerPageRequest,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.import_models import ImportLimits
from canister_factory.contract.memory_models import PageRequest
from canister_factory.factory.errors import CreationFailedError
from canister_factory.factory.events import (
    HandedOver,
    PassDone,
    Provisioned,
    StageDone,
    StageStarted,
    Transferred,
    Verified,
)
from support.creation_listening import Listening, Seconds, listening, run
from support.creation_world import World, inline, note
from support.killing import killed_at

S = CreationStatus


async def test_a_creation_tells_every_step_with_its_figures(world: World) -> None:
    for size in (3_000, 2_000):
        await world.as_owner.add_memory_to_capsule(inline(bytes(size)), note(f"{size}"))
    await world.as_owner.create_personal_canister(None)
    agent = await listening(world)
    outcome, events = await run(world, agent, max_message_bytes=3_000, start_window=1, max_window=1)

    canister = outcome.creation.canister_id
    assert canister is not None
    manifest = (await world.personal(canister).get_manifest()).manifest
    module = personal_wasm().module_hash
    hash = manifest.manifest_hash
    both, owner = frozenset({world.owner_id, world.operator_id}), frozenset({world.owner_id})
    first = (await world.need(5_000)).first
    told = told_by(events)
    (only,) = (event for event in told if isinstance(event, PassDone))
    assert told == [
        StageStarted(S.Exporting),
        StageDone(S.Exporting, f"2 memories, 5,000 bytes, revision {agent.manifests[0].revision}"),
        StageStarted(S.Creating),
        Provisioned(canister, both, first, True),
        StageDone(S.Creating, str(canister), False),
        StageStarted(S.Installing),
        StageDone(S.Installing, "module and API version are right", False),
        StageStarted(S.Importing),
        PassDone(1, 5_000, 3, 0, False, only.seconds),
        StageDone(S.Importing, "2 memories, 5,000 bytes", False),
        StageStarted(S.Verifying),
        Verified(hash, hash, 2, 5_000),
        HandedOver(canister, owner, module),
        StageDone(S.Verifying, "both sides are equal, the owner alone controls the canister", False),
        StageStarted(S.Completed),
        StageDone(S.Completed, "", False),
    ]
    assert (outcome.controllers_before, outcome.controllers_after, outcome.module_hash) == (both, owner, module)
    assert (outcome.source_manifest, outcome.target_manifest) == (hash, hash)
    assert outcome.bytes_moved == 5_000
    assert outcome.transfer_seconds == only.seconds > 1
    assert outcome.seconds > outcome.transfer_seconds
    assert outcome.creation.status == S.Completed

    assert [(stage, message) for stage, message, _ in agent.reports()] == [
        ("Installing", "Installing the canister's module."),
        ("Importing", "Copying the capsule."),
        *[("Importing", f"Copied {done:,} of 5,000 bytes.") for done in moved(agent)],
    ]
    assert agent.reports()[0][2] == (0, 0, 0, 0)
    assert (5_000, 5_000, 3, 3) in [figures for _, _, figures in agent.reports()]
    assert agent.locks() == []


async def test_no_report_is_sent_of_what_is_over_before_the_next_one_is_due(world: World) -> None:
    await world.as_owner.add_memory_to_capsule(inline(bytes(3_000)), note("photo"))
    await world.as_owner.create_personal_canister(None)
    agent = await listening(world)
    outcome, events = await run(world, agent, progress_seconds=10_000)
    assert agent.reports() == []
    assert [event.bytes_done for event in events if isinstance(event, Transferred)] == [3_000]
    recorded = outcome.creation.progress
    assert (recorded.bytes_done, recorded.bytes_total) == (3_000, 3_000)


def moved(agent: Listening) -> list[int]:
    return [figures[0] for _, message, figures in agent.reports() if message.startswith("Copied")]


def told_by(events: list[Any]) -> list[Any]:
    return [event for event in events if not isinstance(event, Transferred)]


async def interrupted(world: World, place: str) -> None:
    """A creation of two memories that was killed at a place."""
    for size in (3_000, 2_000):
        await world.as_owner.add_memory_to_capsule(inline(bytes(size)), note(f"{size}"))
    await killed_at(world, place)


async def test_resumed_after_the_import_a_creation_tells_what_was_there_already(world: World) -> None:
    await interrupted(world, "after the import was final")
    agent = await listening(world)
    outcome, events = await run(world, agent)
    canister = outcome.creation.canister_id
    assert canister is not None
    hash = agent.manifests[0].manifest_hash
    both, owner = frozenset({world.owner_id, world.operator_id}), frozenset({world.owner_id})
    first = (await world.need(5_000)).first
    assert told_by(events)[2:] == [
        StageStarted(S.Creating),
        Provisioned(canister, both, first, False),
        StageDone(S.Creating, str(canister), True),
        StageStarted(S.Installing),
        StageDone(S.Installing, "module and API version are right", True),
        StageStarted(S.Importing),
        StageDone(S.Importing, "the import is final and up to date", True),
        StageStarted(S.Verifying),
        Verified(hash, hash, 2, 5_000),
        HandedOver(canister, owner, personal_wasm().module_hash),
        StageDone(S.Verifying, "both sides are equal, the owner alone controls the canister", False),
        StageStarted(S.Completed),
        StageDone(S.Completed, "", False),
    ]
    assert (outcome.bytes_moved, outcome.transfer_seconds) == (0, 0.0)
    assert [(stage, message) for stage, message, _ in agent.reports()] == [("Importing", "Copying the capsule.")]
    assert agent.locks() == []


async def test_resumed_after_the_handoff_a_creation_is_only_completed(world: World) -> None:
    await interrupted(world, "after the handoff")
    agent = await listening(world)
    outcome, events = await run(world, agent)
    canister = outcome.creation.canister_id
    assert canister is not None
    owner = frozenset({world.owner_id})
    first = (await world.need(5_000)).first
    assert told_by(events)[2:] == [
        StageStarted(S.Creating),
        Provisioned(canister, owner, first, False),
        StageDone(S.Creating, str(canister), True),
        StageDone(S.Importing, "the owner alone controls it already", True),
        HandedOver(canister, owner, personal_wasm().module_hash),
        StageDone(S.Verifying, "both sides are equal, the owner alone controls the canister", False),
        StageStarted(S.Completed),
        StageDone(S.Completed, "", False),
    ]
    hash = agent.manifests[0].manifest_hash
    assert (outcome.source_manifest, outcome.target_manifest) == (hash, hash)
    assert agent.asked() == ["claim_creation", "provision_canister", "complete_creation"]


async def test_of_a_write_after_the_import_was_final_only_the_write_is_copied(world: World) -> None:
    await interrupted(world, "after the import was final")
    await world.as_owner.add_memory_to_capsule(inline(b"in between"), note("n"))
    outcome, events = await run(world, await listening(world))
    assert [event.stage for event in events if isinstance(event, StageStarted)].count(S.Installing) == 1
    assert outcome.bytes_moved == 10


async def test_a_canister_is_installed_with_the_limits_that_it_has_by_default(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    outcome, _ = await run(world, await listening(world))
    assert outcome.creation.canister_id is not None
    status = await world.personal(outcome.creation.canister_id).get_import_status(PageRequest())
    assert status.session is not None
    assert status.session.limits == ImportLimits(
        max_chunk_bytes=2_000_000, max_import_bytes=100_000_000, session_timeout_ns=3_600 * 10**9
    )


async def test_the_handoff_cannot_be_executed_after_its_permit(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    agent, permits = await listening(world), list[int]()

    def noting(reply: bytes) -> bytes:
        permits.append(BackendClient.method("verify_creation").decode(reply).handoff_until)
        return reply

    agent.alter["verify_creation"] = noting
    await run(world, agent)
    assert agent.deadlines == permits
    assert len(permits) == 1


# --- Refusals --------------------------------------------------------------------------------------------------------


def busy() -> CreationRefused:
    message = "an earlier call is under way"
    return CreationRefused(
        "provision_canister", CreationError(kind=CreationErrorKind.Busy, message=message, retry_helps=True)
    )


async def test_while_an_earlier_call_creates_the_canister_it_is_waited_for(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    agent, clock = await listening(world), Seconds()
    agent.refuse["provision_canister"] = [busy(), busy()]
    outcome, _ = await run(world, agent, clock, attempts=3, backoff_seconds=0.5)
    assert outcome.creation.status == S.Completed
    assert clock.slept == [1.0, 2.0]
    steps = agent.asked("provision_canister", "renew_lease")
    assert steps == ["provision_canister", "renew_lease"] * 2 + ["provision_canister"]


async def test_it_is_not_waited_for_without_end(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    agent, clock = await listening(world), Seconds()
    agent.refuse["provision_canister"] = [busy() for _ in range(9)]
    with pytest.raises(CreationFailedError, match="an earlier call is under way"):
        await run(world, agent, clock, attempts=3, backoff_seconds=0.5)
    assert clock.slept == [1.0, 2.0]


async def test_any_other_refusal_to_create_the_canister_ends_the_attempt_at_once(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    agent, clock = await listening(world), Seconds()
    error = CreationError(kind=CreationErrorKind.ReserveInsufficient, message="short", retry_helps=True)
    agent.refuse["provision_canister"] = [CreationRefused("provision_canister", error)]
    with pytest.raises(CreationFailedError, match="short"):
        await run(world, agent, clock)
    assert clock.slept == []


async def test_a_backend_that_finds_a_difference_is_believed(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    agent = await listening(world)

    def differing(reply: bytes) -> bytes:
        method = BackendClient.method("verify_creation")
        (case,) = decode(reply, method.result_types)
        return encode(method.result_types, [Case("Ok", {**case.value, "matches": False, "differences": ["a", "b"]})])

    agent.alter["verify_creation"] = differing
    with pytest.raises(CreationFailedError, match="the backend finds that both sides differ: a; b") as failed:
        await run(world, agent)
    (canister,) = (entry.canister_id for entry in (await world.as_admin.list_registry(OwnerPageRequest())).items)
    assert (failed.value.stage, failed.value.canister_id) == (S.Verifying, canister)
    assert set((await world.owner.canister_info(canister)).controllers) == {world.owner_id, world.operator_id}
