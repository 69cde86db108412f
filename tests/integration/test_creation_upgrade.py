"""Backend and personal canister are upgraded in the middle of a creation, and it goes on."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import Any

import pytest

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import BackendInit
from canister_factory.contract.artifacts import backend_interface, backend_wasm, personal_interface, personal_wasm
from canister_factory.contract.creation_models import CreationStatus, OwnerPageRequest
from canister_factory.contract.import_models import ImportLimits, PersonalInit
from canister_factory.contract.memory_models import PageRequest
from canister_factory.factory.events import PassDone, Retrying, Transferred
from canister_factory.factory.verify import check_certificate
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import InstallMode, MemoryPersistence, UpgradeOptions
from support.creation_contents import fill, read_back
from support.creation_world import World
from support.killing import killed_at

CLASSICAL = InstallMode(upgrade=UpgradeOptions())
KEEP = InstallMode(upgrade=UpgradeOptions(wasm_memory_persistence=MemoryPersistence.of("keep")))


def another_build(module: bytes) -> bytes:
    """The same module with another hash: one more custom section, named "test"."""
    return gzip.compress(gzip.decompress(module) + b"\x00\x05\x04test", mtime=0)


async def upgrade_backend(world: World) -> None:
    """To another build, with arguments that would open it to a stranger if they counted."""
    init = BackendInit(admins=[Principal(b"stranger")], operators=[], creation_enabled=False)
    argument = encode(backend_interface().init_args, [to_candid(BackendInit | None, init)])
    management = ManagementCanister(world.admin)
    await management.install(world.backend_id, another_build(backend_wasm().wasm), argument, mode=KEEP)


async def upgrade_personal(world: World, canister_id: Principal, agent: Agent, module: bytes | None = None) -> None:
    """By one of its controllers, with arguments that would make it useless if they counted."""
    limits = ImportLimits(max_chunk_bytes=1, max_import_bytes=1, session_timeout_ns=1)
    stranger = Principal(b"stranger")
    init = PersonalInit(owner=stranger, backend=stranger, limits=limits)
    argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
    await ManagementCanister(agent).install(canister_id, module or personal_wasm().wasm, argument, mode=CLASSICAL)


async def test_both_canisters_are_upgraded_with_half_an_import_done(world: World) -> None:
    contents = await fill(world.as_owner)
    total = sum(map(len, contents.values()))
    before = await killed_at(world, "in the middle of the copy", max_message_bytes=100_000)
    assert before.canister_id is not None
    target = world.personal(before.canister_id, world.operator)
    staged = await target.get_import_status(PageRequest())
    assert staged.session is not None
    assert staged.session.bytes_received > 0
    assert any(memory.chunks for memory in staged.pending), "there are chunks of memories that aren't committed"

    await upgrade_backend(world)
    await upgrade_personal(world, before.canister_id, world.operator)

    assert await world.as_owner.get_detailed_creation_status() == before
    assert await target.get_import_status(PageRequest()) == staged
    outcome = await world.orchestrator().run(world.owner_id)
    assert outcome.creation.status == CreationStatus.Completed
    assert outcome.creation.canister_id == before.canister_id
    assert outcome.bytes_moved <= total - staged.session.bytes_received, "nothing travels twice"
    assert await read_back(world.personal(before.canister_id)) == contents
    stats = await world.as_admin.get_personal_canister_creation_stats()
    assert (stats.total_attempts, stats.total_successes) == (1, 1)
    parts = await world.need(total)
    assert before.cycles_consumed == parts.first < stats.total_cycles_consumed <= parts.total


async def test_a_running_copy_waits_while_the_canisters_are_stopped_upgraded_and_started(world: World) -> None:
    contents = await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    upgrading: list[asyncio.Task[None]] = []

    async def stop_upgrade_start() -> None:
        status = await world.as_owner.get_detailed_creation_status()
        assert status is not None
        assert status.canister_id is not None
        # The personal canister stays stopped until somebody was turned away, so that the test can't pass by luck.
        operator = ManagementCanister(world.operator)
        await operator.stop_canister(status.canister_id)
        await turned_away.wait()
        await upgrade_personal(world, status.canister_id, world.operator)
        await operator.start_canister(status.canister_id)
        admin = ManagementCanister(world.admin)
        await admin.stop_canister(world.backend_id)
        await upgrade_backend(world)
        await admin.start_canister(world.backend_id)

    turned_away = asyncio.Event()

    def hook(event: Any) -> None:
        world.events.append(event)
        if isinstance(event, Retrying) and "stop" in event.reason:
            turned_away.set()
        if isinstance(event, Transferred) and event.bytes_done > 500_000 and not upgrading:
            upgrading.append(asyncio.ensure_future(stop_upgrade_start()))

    slow = world.orchestrator(emit=hook, max_message_bytes=100_000, start_window=2, max_window=2, attempts=12)
    outcome = await slow.run(world.owner_id)
    await upgrading[0]

    assert outcome.creation.status == CreationStatus.Completed
    assert outcome.creation.attempts == 1
    first_pass = next(i for i, event in enumerate(world.events) if isinstance(event, PassDone))
    assert any(isinstance(event, Retrying) for event in world.events[:first_pass])
    assert await read_back(world.personal(outcome.creation.canister_id)) == contents


async def test_what_a_personal_canister_certifies_is_certified_after_its_owners_upgrades_too(world: World) -> None:
    contents = await fill(world.as_owner)
    outcome = await world.create()
    canister_id = outcome.creation.canister_id
    assert canister_id is not None

    module = another_build(personal_wasm().wasm)
    with pytest.raises(RejectedError, match="IC0512"):
        await upgrade_personal(world, canister_id, world.operator, module)
    await upgrade_personal(world, canister_id, world.owner, module)

    assert (await world.owner.canister_info(canister_id)).module_hash != personal_wasm().module_hash
    certified = await world.personal(canister_id).get_manifest()
    imported = check_certificate(certified, canister_id, world.owner.certificates, now_ns=time.time_ns())
    assert imported.manifest_hash == certified.manifest.manifest_hash == outcome.target_manifest
    about = await world.personal(canister_id).get_personal_info()
    assert (about.owner, about.backend) == (world.owner_id, world.backend_id)
    assert await read_back(world.personal(canister_id)) == contents


async def test_an_upgraded_backend_keeps_its_people_and_its_books(world: World) -> None:
    await fill(world.as_owner)
    await world.create()
    admins, operators = await world.as_admin.list_admins(), await world.as_admin.list_operators()
    registry = await world.as_admin.list_registry(OwnerPageRequest())
    releases = await world.as_admin.list_releases()

    await upgrade_backend(world)

    assert (await world.as_admin.list_admins(), await world.as_admin.list_operators()) == (admins, operators)
    assert await world.as_admin.list_registry(OwnerPageRequest()) == registry
    assert await world.as_admin.list_releases() == releases
    assert await world.as_owner.is_personal_canister_creation_enabled() is True
