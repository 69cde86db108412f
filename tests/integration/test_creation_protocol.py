"""The sequence of docs/protocol.md as it is on the wire, and what lifts the seal of a capsule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.factory.errors import CreationFailedError
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note
from support.killing import killed_at

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
STAGES = re.findall(r"^\| \w+ \| `(\w+)` \| [a-z ]+ \|", PAGE.read_text(), re.MULTILINE)
BESIDE = {"report_progress", "renew_lease", "clear_chunk_store", "list_canister_snapshots", "canister_status"}


class Noting(Agent):
    """Keeps the methods of its updates, and rejects those of one, as a canister that traps would."""

    rejected = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sent: list[str] = []

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        if method not in BESIDE:
            self.sent.append(method)
        if method == self.rejected:
            raise RejectedError(5, f"{method} trapped", "IC0503", certified=True)
        return await super().update(canister_id, method, arg, **rest)


async def noting(world: World) -> Noting:
    return await world.stack.enter_async_context(Noting(world.operator.identity, world.network))


async def test_a_creation_sends_the_messages_of_the_table_in_their_order(world: World) -> None:
    await world.as_owner.add_memory_to_capsule(inline(bytes(5_000)), note("x"))
    await world.as_owner.create_personal_canister(None)
    agent = await noting(world)
    await world.orchestrator(agent=agent).run(world.owner_id)
    assert agent.sent == STAGES


async def test_a_failure_on_record_does_not_undo_a_handoff(world: World) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    agent = await noting(world)
    agent.rejected = "complete_creation"
    with pytest.raises(CreationFailedError, match="complete_creation trapped"):
        await world.orchestrator(agent=agent).run(world.owner_id)
    failed = await world.creation()
    assert failed.status == CreationStatus.Failed
    assert failed.locked_until is not None
    with pytest.raises(CapsuleRefused) as locked:
        await world.as_owner.add_memory_to_capsule(inline(b"late"), note("late"))
    assert locked.value.kind == "Locked"

    await world.create()
    creation = await world.creation()
    assert (creation.status, creation.canister_id) == (CreationStatus.Completed, failed.canister_id)
    assert await read_back(world.personal(creation.canister_id)) == contents


async def test_a_canister_whose_owner_has_uninstalled_it_at_once_is_completed(world: World) -> None:
    await fill(world.as_owner)
    interrupted = await killed_at(world, "after the handoff")
    assert interrupted.canister_id is not None
    await ManagementCanister(world.owner).uninstall_code(interrupted.canister_id)
    outcome = await world.orchestrator().run(world.owner_id)
    assert (outcome.creation.status, outcome.module_hash) == (CreationStatus.Completed, None)


async def test_an_owner_cancels_until_the_handoff(world: World) -> None:
    contents = await fill(world.as_owner)
    interrupted = await killed_at(world, "after the installation")
    cancelled = await world.as_owner.cancel_personal_canister()
    assert cancelled.status == CreationStatus.Failed
    assert cancelled.error is not None
    assert cancelled.error.kind == CreationErrorKind.Cancelled
    assert await read_back(world.as_owner) == contents
    await world.as_owner.add_memory_to_capsule(inline(b"on"), note("on"))
    with pytest.raises(CreationRefused, match="Only a creation in progress"):
        await world.as_owner.cancel_personal_canister()
    outcome = await world.create()
    assert outcome.creation.canister_id == interrupted.canister_id


async def test_nobody_cancels_while_the_canister_may_be_handed_over(world: World) -> None:
    await fill(world.as_owner)
    await killed_at(world, "after the verification")
    with pytest.raises(CreationRefused, match="being handed over") as refused:
        await world.as_owner.cancel_personal_canister()
    assert refused.value.error.kind == CreationErrorKind.Busy
    with pytest.raises(CreationRefused, match="being handed over"):
        await world.as_admin.abort_creation(world.owner_id, "because")
    outcome = await world.orchestrator().run(world.owner_id)
    assert outcome.creation.status == CreationStatus.Completed


async def test_an_admin_aborts_a_creation_and_it_is_in_the_audit_log(world: World) -> None:
    await world.as_owner.create_personal_canister(None)
    aborted = await world.as_admin.abort_creation(world.owner_id, "a test")
    assert aborted.error is not None
    assert (aborted.error.kind, aborted.error.message) == (
        CreationErrorKind.Cancelled,
        "An admin aborted the creation: a test",
    )
