"""What an operator sets while it controls a canister doesn't outlast the handoff; and the owner can see all of it."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.cli.results import Verdict
from canister_factory.cli.verify_past import check_history, check_settings
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import UpgradeError
from canister_factory.factory.handoff import changed_settings
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_health import PersonalHealth
from canister_factory.factory.upgrade_record import UNTIL, VARIABLE, Record
from canister_factory.factory.upgrading import Upgrading
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import Audience, CanisterSettings, EnvironmentVariable
from support.creation_contents import read_back
from support.creation_world import World, inline, note
from support.hostile_operator import Hostile
from support.killing import killed_at


async def test_an_operator_leaves_itself_no_window_into_the_canister(creation_world: World) -> None:
    creation = await killed_at(creation_world, "after the import was final")
    assert creation.canister_id is not None
    hostile = Hostile(creation_world, creation_world.operator, creation.canister_id)
    friend = Principal(creation_world.agent().identity.sender().bytes)
    own = [EnvironmentVariable(name="of", value="the owner")]
    await hostile.management.update_settings(
        hostile.canister,
        CanisterSettings(
            compute_allocation=1,
            memory_allocation=200_000_000,
            freezing_threshold=1,
            wasm_memory_threshold=1_000,
            log_memory_limit=100_000,
            log_visibility=Audience(public=None),
            status_visibility=Audience(allowed_viewers=[friend]),
            snapshot_visibility=Audience(allowed_viewers=[friend]),
            environment_variables=own,
        ),
    )
    await hostile.management.upload_chunk(hostile.canister, bytes(1_000))
    await hostile.management.take_canister_snapshot(hostile.canister)
    outcome = await creation_world.orchestrator().run(creation_world.owner_id)
    assert outcome.creation.status == CreationStatus.Completed

    as_owner = ManagementCanister(creation_world.owner)
    settings = (await as_owner.canister_status(hostile.canister)).settings
    assert changed_settings(settings) == []
    hosting = await creation_world.as_operator.get_personal_canister_settings()
    assert settings.freezing_threshold == hosting.freezing_threshold
    assert settings.wasm_memory_limit == hosting.wasm_memory_limit
    assert settings.environment_variables == own
    assert await as_owner.stored_chunks(hostile.canister) == []
    assert await as_owner.list_canister_snapshots(hostile.canister) == []


async def test_an_operator_leaves_no_maintenance_behind_that_keeps_the_owner_from_writing(
    creation_world: World,
) -> None:
    creation = await killed_at(creation_world, "after the import was final")
    assert creation.canister_id is not None
    hostile = Hostile(creation_world, creation_world.operator, creation.canister_id)
    own = EnvironmentVariable(name="of", value="the owner")
    planted = [EnvironmentVariable(name=VARIABLE, value="on"), EnvironmentVariable(name=UNTIL, value=str(10**20))]
    await hostile.management.update_settings(hostile.canister, CanisterSettings(environment_variables=[own, *planted]))
    outcome = await creation_world.orchestrator().run(creation_world.owner_id)
    assert outcome.creation.status == CreationStatus.Completed

    as_owner = ManagementCanister(creation_world.owner)
    assert (await as_owner.canister_status(hostile.canister)).settings.environment_variables == [own]
    await Hostile(creation_world, creation_world.owner, hostile.canister).deploy(personal_wasm().wasm, "upgrade")
    personal = creation_world.personal(hostile.canister)
    memory = await personal.add_memory_to_capsule(inline(b"afterwards"), note("afterwards"))
    assert (await read_back(personal))[memory] == b"afterwards"
    assert (await check_settings(creation_world.owner, hostile.canister, creation_world.owner_id)).verdict == Verdict.OK


async def test_an_operator_who_hands_over_in_its_own_way_keeps_no_owner_from_writing_and_takes_nothing_back(
    creation_world: World,
) -> None:
    creation = await killed_at(creation_world, "after the import was final")
    assert creation.canister_id is not None
    hostile = Hostile(creation_world, creation_world.operator, creation.canister_id)
    module_hash = personal_wasm().module_hash
    planted = Record(bytes(32), module_hash, 0, goes_back=True)
    variables = [EnvironmentVariable(name=VARIABLE, value=planted.text)]
    await hostile.management.provisional_top_up_canister(hostile.canister, 10**12)
    await hostile.management.take_canister_snapshot(hostile.canister)
    await hostile.management.update_settings(hostile.canister, CanisterSettings(environment_variables=variables))
    await hostile.deploy(personal_wasm().wasm, "upgrade")
    lease = await hostile.lease()
    await creation_world.as_operator.begin_export(lease, True)
    await creation_world.as_operator.verify_creation(lease)
    await hostile.hand_over()
    assert (await creation_world.as_operator.complete_creation(lease)).status == CreationStatus.Completed

    personal = creation_world.personal(hostile.canister)
    memory = await personal.add_memory_to_capsule(inline(b"at once"), note("at once"))
    config = FactoryConfig()
    health = PersonalHealth(creation_world.owner, hostile.canister, config, Retry(config))
    upgrading = Upgrading(creation_world.owner, personal_wasm(), health, retry=Retry(config))
    with pytest.raises(UpgradeError, match=f"left as it is: its environment variable {VARIABLE}"):
        await upgrading.run()
    assert (await read_back(personal))[memory] == b"at once"
    as_owner = ManagementCanister(creation_world.owner)
    await as_owner.update_settings(hostile.canister, CanisterSettings(environment_variables=[]))
    assert not (await upgrading.run()).changed


async def test_an_owner_is_told_of_a_maintenance_that_no_handoff_leaves(creation_world: World) -> None:
    creation = (await creation_world.create()).creation
    canister = creation.canister_id
    assert canister is not None
    planted = [EnvironmentVariable(name=VARIABLE, value="on")]
    as_owner = ManagementCanister(creation_world.owner)
    await as_owner.update_settings(canister, CanisterSettings(environment_variables=planted))
    told = await check_settings(creation_world.owner, canister, creation_world.owner_id)
    assert told.verdict == Verdict.FAILED
    assert told.found.startswith(f"environment variable {VARIABLE}; ")
    assert told.advice.endswith("If it wasn't you who changed this, set it back")


async def test_an_owner_sees_what_was_changed_after_the_handoff_and_before(creation_world: World) -> None:
    creation = (await creation_world.create()).creation
    canister = creation.canister_id
    assert canister is not None
    owner, owner_id = creation_world.owner, creation_world.owner_id
    releases = await creation_world.as_owner.list_releases()
    past = await check_history(owner, creation, [creation_world.backend_id], releases)
    assert past.verdict == Verdict.OK
    assert past.found.startswith("3 changes until ")
    assert past.found.endswith(", none since (certified)")
    assert (await check_settings(owner, canister, owner_id)).verdict == Verdict.OK

    elsewhere = await check_history(owner, creation, [owner_id], releases)
    assert elsewhere.verdict == Verdict.FAILED
    assert "isn't by this backend" in elsewhere.found
    as_owner = ManagementCanister(owner)
    await as_owner.update_settings(canister, CanisterSettings(log_visibility=Audience(public=None)))
    await as_owner.take_canister_snapshot(canister)
    changed = await check_settings(owner, canister, owner_id)
    assert changed.verdict == Verdict.FAILED
    assert changed.found.startswith("log_visibility public; 1 snapshots; ")
    await Hostile(creation_world, owner, canister).deploy(personal_wasm().wasm, "reinstall")
    since = await check_history(owner, creation, [creation_world.backend_id], releases)
    assert since.verdict == Verdict.OK
    assert since.found.endswith(", 1 since (certified)")


async def test_nobody_but_the_owner_is_told_the_past_by_verify(creation_world: World) -> None:
    creation = (await creation_world.create()).creation
    canister = creation.canister_id
    assert canister is not None
    admin, owner_id = creation_world.admin, creation_world.owner_id
    for check in (
        await check_history(admin, creation, [creation_world.backend_id], []),
        await check_settings(admin, canister, owner_id),
    ):
        assert (check.verdict, check.found) == (Verdict.SKIPPED, "told to the owner only")
