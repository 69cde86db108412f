"""A creation that fails at each of its stages: what is recorded, what stays as it was, and how a retry completes it."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import pytest

from canister_factory.contract.admin_models import NotificationKind, NumberedPageRequest
from canister_factory.contract.artifacts import WasmModule, personal_wasm
from canister_factory.contract.creation_models import (
    CreationErrorKind,
    CreationStatus,
    NewRelease,
    OwnerPageRequest,
)
from canister_factory.contract.memory_models import PageRequest
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import CreationFailedError
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from support.capsule_world import capsule_on
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note


class RejectedAgent(Agent):
    """Every call of one method is rejected, as a canister that traps would reject it."""

    rejected = ""

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        if method == self.rejected:
            raise RejectedError(5, f"{method} trapped", "IC0503", certified=True)
        return await super().update(canister_id, method, arg, **rest)


FAILURES = {
    "provision_canister": (CreationStatus.Creating, CreationErrorKind.CreateFailed),
    "install_code": (CreationStatus.Installing, CreationErrorKind.InstallFailed),
    "put_memory_chunks": (CreationStatus.Importing, CreationErrorKind.ImportFailed),
    "import_batch": (CreationStatus.Importing, CreationErrorKind.ImportFailed),
    "verify_creation": (CreationStatus.Verifying, CreationErrorKind.VerifyFailed),
    "update_settings": (CreationStatus.Verifying, CreationErrorKind.HandoffFailed),
    "complete_creation": (CreationStatus.Completed, CreationErrorKind.HandoffFailed),
}


@pytest.mark.parametrize("method", FAILURES)
async def test_a_failure_at_any_stage_is_recorded_harms_nothing_and_is_retried(world: World, method: str) -> None:
    stage, kind = FAILURES[method]
    contents = await fill(world.as_owner)
    capsule = await capsule_on(world, "backend")
    before = await capsule.stored()
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(RejectedAgent(world.operator.identity, world.network))
    agent.rejected = method

    with pytest.raises(CreationFailedError, match=f"{method} trapped") as caught:
        await world.orchestrator(agent=agent).run(world.owner_id)

    failed = await world.creation()
    assert failed.error is not None
    assert (failed.status, failed.error.kind, failed.error.stage) == (CreationStatus.Failed, kind, stage)
    assert (failed.canister_id is None) == (stage == CreationStatus.Creating)
    assert failed.error.canister_id == failed.canister_id
    assert (caught.value.method, caught.value.canister_id) == (method, failed.canister_id)
    told = await world.as_owner.get_creation_status()
    assert told is not None
    assert f"{method} trapped" in told.message
    assert await capsule.stored() == before
    assert await world.as_owner.get_my_personal_canister_id() is None
    (logged,) = (await world.as_admin.list_errors(NumberedPageRequest())).items
    assert (logged.owner, logged.error) == (world.owner_id, failed.error)
    (notified,) = (await world.as_admin.list_notifications(NumberedPageRequest())).items
    assert notified.kind == NotificationKind.CreationFailed

    again = await world.as_owner.create_personal_canister(None)
    assert again.canister_id == failed.canister_id
    outcome = await world.orchestrator().run(world.owner_id)
    creation = outcome.creation
    assert creation.canister_id is not None
    assert (creation.status, creation.attempts, creation.error) == (CreationStatus.Completed, 2, None)
    assert creation.canister_id == (failed.canister_id or creation.canister_id)
    assert outcome.controllers_after == {world.owner_id}
    assert await read_back(world.personal(creation.canister_id)) == contents
    stats = await world.as_admin.get_personal_canister_creation_stats()
    assert (stats.total_attempts, stats.total_successes, stats.total_failures) == (2, 1, 1)
    registry = await world.as_admin.list_registry(OwnerPageRequest())
    assert [(entry.canister_id, entry.created_by, entry.status, entry.cycles_consumed) for entry in registry.items] == [
        (creation.canister_id, world.owner_id, CreationStatus.Completed, stats.total_cycles_consumed)
    ]


async def test_after_a_failure_the_owner_goes_on_writing_and_all_of_it_arrives(world: World) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    agent = await world.stack.enter_async_context(RejectedAgent(world.operator.identity, world.network))
    agent.rejected = "import_batch"
    with pytest.raises(CreationFailedError, match="import_batch trapped"):
        await world.orchestrator(agent=agent).run(world.owner_id)
    contents[await world.as_owner.add_memory_to_capsule(inline(b"meanwhile"), note("meanwhile"))] = b"meanwhile"
    outcome = await world.create()
    assert outcome.creation.canister_id is not None
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents


def with_another_api_version(version: bytes) -> WasmModule:
    """The personal canister as a build of another API version: the text that `get_api_version` answers is exchanged."""
    module = gzip.decompress(personal_wasm().wasm)
    length = len(version).to_bytes(4, "little")  # before the bytes of a text in the data segment
    assert module.count(length + b"1.0.0") == 1
    wasm = gzip.compress(module.replace(length + b"1.0.0", length + version), mtime=0)
    return WasmModule(f"personal {version.decode()}", wasm, hashlib.sha256(wasm).digest())


async def test_an_incompatible_api_version_ends_the_creation_before_anything_is_imported(world: World) -> None:
    await fill(world.as_owner)
    module = with_another_api_version(b"2.0.0")
    release = NewRelease(module_hash=module.module_hash, api_version="1.0.0", note="says so, and isn't")
    await world.as_admin.register_release(release)
    await world.as_owner.create_personal_canister(None)
    config = FactoryConfig(backoff_seconds=0.05, progress_seconds=0.0)
    with pytest.raises(CreationFailedError, match=r"API version 2\.0\.0"):
        await Orchestrator(world.operator, world.backend_id, config, module=module).run(world.owner_id)

    failed = await world.creation()
    assert failed.error is not None
    assert (failed.error.kind, failed.error.stage) == (CreationErrorKind.InstallFailed, CreationStatus.Installing)
    assert failed.canister_id is not None
    personal = world.personal(failed.canister_id)
    assert await personal.get_api_version() == "2.0.0"
    status = await personal.get_import_status(PageRequest())
    assert (status.session, status.pending) == (None, [])
