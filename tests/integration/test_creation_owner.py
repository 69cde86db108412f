"""What an owner sees of a creation: starting, polling, falling back, switching over; and everyone else meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.types import NAT, PRINCIPAL, TEXT, Opt, Record, Vec
from canister_factory.contract.artifacts import personal_interface, personal_wasm
from canister_factory.contract.capsule_models import GalleryData, GalleryUpdate
from canister_factory.contract.clients import BackendClient, CapsuleClient
from canister_factory.contract.creation_models import ClaimRequest, CreationErrorKind, CreationStatus, LeaseRef
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.contract.import_models import PersonalInit
from canister_factory.contract.memory_models import MemoryUpdate
from canister_factory.contract.person_models import PersonRef
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings, InstallMode, UpgradeOptions
from support.capsule_world import another_owner, capsule_on
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note

ORDER = list(CreationStatus)


async def test_a_frontend_starts_polls_falls_back_and_switches_over(world: World) -> None:
    contents = await fill(world.as_owner)
    client = world.as_owner
    assert await client.get_creation_status() is None

    async def home() -> CapsuleClient:
        """Where a frontend reads: the personal canister, or the shared one while there is none."""
        canister_id = await client.get_my_personal_canister_id()
        return CapsuleClient(world.owner, canister_id or world.backend_id)

    started = await client.create_personal_canister(None)
    assert (started.success, started.canister_id) == (True, None)
    assert started.message

    seen: list[CreationStatus] = []
    run = asyncio.ensure_future(
        world.orchestrator(max_message_bytes=300_000, max_window=1, start_window=1).run(world.owner_id)
    )
    while not seen or seen[-1] != CreationStatus.Completed:
        status = await client.get_creation_status()
        assert status is not None
        assert status.message
        seen.append(status.status)
        reading = await home()
        assert await read_back(reading) == contents, "whatever the stage, everything can be read"
        if status.status != CreationStatus.Completed:
            again = await client.create_personal_canister(None)
            assert again.success, "asking again in between is no error and starts nothing"
        if run.done():
            run.result()
    outcome = await run
    assert [ORDER.index(status) for status in seen] == sorted(ORDER.index(status) for status in seen)
    assert (await home()).canister_id == outcome.creation.canister_id
    again = await client.create_personal_canister(None)
    assert (again.success, again.canister_id) == (True, outcome.creation.canister_id)
    assert await client.get_personal_canister_id(world.owner_id) == outcome.creation.canister_id


async def test_afterwards_the_canister_obeys_its_owner_alone(world: World) -> None:
    contents = await fill(world.as_owner)
    outcome = await world.create()
    canister_id = outcome.creation.canister_id
    assert canister_id is not None

    for agent in (world.operator, world.admin):
        management, personal = ManagementCanister(agent), world.personal(canister_id, agent)
        for forbidden in (
            management.canister_status(canister_id),
            management.update_settings(canister_id, CanisterSettings(controllers=[world.operator_id])),
            management.uninstall_code(canister_id),
            management.stop_canister(canister_id),
            personal.begin_import(),
        ):
            with pytest.raises(RejectedError, match=r"explicitly refused message|Only controllers of canister"):
                await forbidden
        with pytest.raises(CapsuleRefused, match="not shared with you"):
            await personal.get_capsule((await world.as_owner.list_my_capsules())[0].id)
    assert set((await world.owner.canister_info(canister_id)).controllers) == {world.owner_id}

    argument = encode(
        personal_interface().init_args,
        [to_candid(PersonalInit, PersonalInit(owner=world.owner_id, backend=world.backend_id))],
    )
    upgrade = InstallMode(upgrade=UpgradeOptions())
    await ManagementCanister(world.owner).install(canister_id, personal_wasm().wasm, argument, mode=upgrade)
    assert await read_back(world.personal(canister_id)) == contents, "the owner's own upgrade keeps everything"


async def test_options_that_the_backend_does_not_know_are_ignored(world: World) -> None:
    config = Record({"name": Opt(TEXT), "color": TEXT, "replicas": NAT, "friends": Vec(PRINCIPAL)})
    value = {"name": "Mine", "color": "green", "replicas": 7, "friends": [world.owner_id]}
    await world.owner.update(world.backend_id, "create_personal_canister", encode([Opt(config)], [value]))
    status = await world.creation()
    assert (status.status, status.config.name, status.config.subnet_id) == (CreationStatus.NotStarted, "Mine", None)


async def test_others_use_the_shared_backend_as_before_while_a_capsule_is_moved(world: World) -> None:
    other = await capsule_on(await another_owner(world), "backend")
    await fill(world.as_owner)
    await world.as_owner.create_personal_canister(None)
    lease = await world.as_operator.claim_creation(ClaimRequest(owner=world.owner_id, worker="w"))
    await world.as_operator.begin_export(LeaseRef(owner=world.owner_id, lease=lease.lease), True)
    with pytest.raises(CapsuleRefused, match="no writes at present"):
        await world.as_owner.add_memory_to_capsule(inline(b"x"), note("x"))

    memory_id = await other.add(b"mine")
    await other.owner.update_memory_in_capsule(memory_id, MemoryUpdate(data=inline(b"still mine")))
    await other.owner.add_connection(PersonRef(Opaque="Ada"))
    gallery = await other.owner.store_gallery_forever(GalleryData(title="x", is_public=False, memory_entries=[]))
    await other.owner.update_gallery(gallery.id, GalleryUpdate(title="y"))
    assert await other.owner.read_memory_chunk(memory_id, 0) == b"still mine"
    assert await BackendClient(other.world.owner, world.backend_id).get_creation_status() is None


async def test_with_creation_switched_off_the_capsule_api_works_as_before(world: World) -> None:
    await world.as_admin.set_personal_canister_creation_enabled(False)
    with pytest.raises(CreationRefused, match="disabled") as refused:
        await world.as_owner.create_personal_canister(None)
    assert refused.value.error.kind == CreationErrorKind.Disabled
    contents = await fill(world.as_owner)
    assert await read_back(world.as_owner) == contents
    await world.as_admin.set_personal_canister_creation_enabled(True)
    assert (await world.as_owner.create_personal_canister(None)).success
