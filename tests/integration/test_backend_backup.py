"""A backend that is copied to files, lost, and put into another canister, where it goes on."""

from __future__ import annotations

import errno
from hashlib import sha256
from pathlib import Path

import pytest

from canister_factory.cli.results import Verdict
from canister_factory.cli.verify_checks import check_canister
from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.contract.memory_models import UploadRequest
from canister_factory.factory.errors import CreationFailedError
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import RunState
from canister_factory.ic.network import MAINNET_ROOT_KEY
from canister_factory.operating.backup import BackendBackup
from canister_factory.operating.open_creations import Fate, fates
from canister_factory.operating.snapshot_files import SnapshotDirectory
from canister_factory.owner.backup_files import BackupDirectory
from canister_factory.owner.errors import BackupError, RestoreError
from canister_factory.testing import EmbeddedReplica
from support.backend_copies import CONFIG, back_up, elsewhere, fresh, restore
from support.creation_contents import fill, read_back
from support.creation_world import World, inline, note
from support.killing import killed_at

SEALED_S = 200
PLACES = [
    ("after the export", Fate.BEGINS),
    ("after the canister was created", Fate.GOES_ON),
    ("in the middle of the copy", Fate.COPIED_AGAIN),
    ("after the import was final", Fate.COPIED_AGAIN),
]


async def test_a_restored_backend_has_all_of_it_by_another_id(world: World, tmp_path: Path) -> None:
    contents = await fill(world.as_owner)
    begun = await world.as_owner.begin_memory_upload(
        UploadRequest(memory=note("half"), total_size=1500, chunk_size=1000)
    )
    await world.as_owner.put_memory_upload_chunk(begun.upload_id, 0, b"a" * 1000, sha256(b"a" * 1000).digest())
    before = await world.as_admin.get_inventory()
    taken = await back_up(world, tmp_path / "backup")
    management = ManagementCanister(world.admin)
    status = await management.canister_status(world.backend_id)
    assert (status.status, await management.list_canister_snapshots(world.backend_id)) == (RunState.running, [])
    assert (taken.state.inventory, taken.state.is_exact, taken.was_begun) == (before, True, False)

    moved = await elsewhere(world, tmp_path / "backup")
    assert await moved.as_admin.get_inventory() == before
    assert await read_back(moved.as_owner) == contents
    session = await moved.as_owner.get_memory_upload(begun.upload_id)
    assert session.missing_chunks == [1], "an upload in progress goes on"
    await moved.as_owner.put_memory_upload_chunk(begun.upload_id, 1, b"b" * 500, sha256(b"b" * 500).digest())
    added = await moved.as_owner.commit_memory_upload(begun.upload_id)
    assert (await read_back(moved.as_owner))[added] == b"a" * 1000 + b"b" * 500


async def fate_on(moved: World) -> Fate:
    """What becomes of the one creation that is open there."""
    [only] = [each async for each in fates(moved.admin, moved.as_admin)]
    assert only.request.owner == moved.owner_id
    return only.fate


async def assert_done(moved: World, contents: dict[str, bytes]) -> None:
    creation = await moved.creation()
    assert creation.status == CreationStatus.Completed
    assert await read_back(moved.personal(creation.canister_id)) == contents


@pytest.mark.parametrize(("place", "fate"), PLACES, ids=[place for place, _ in PLACES])
async def test_a_creation_that_was_open_goes_on_where_the_backend_has_another_id(
    world: World, tmp_path: Path, place: str, fate: Fate
) -> None:
    contents = await fill(world.as_owner)
    canister = (await killed_at(world, place)).canister_id
    await back_up(world, tmp_path / "backup")
    moved = await elsewhere(world, tmp_path / "backup")
    assert await fate_on(moved) == fate
    outcome = await moved.orchestrator().run(moved.owner_id)
    assert canister in (None, outcome.creation.canister_id)
    assert outcome.controllers_after == {moved.owner_id}
    await assert_done(moved, contents)
    assert await moved.as_owner.get_backend_ids() == [world.backend_id, moved.backend_id]
    acts = [(act.method, act.what) for act in (await moved.as_admin.list_audit_log(NumberedPageRequest())).items]
    assert ("restored", f"was {world.backend_id}") in acts
    about = await moved.personal(outcome.creation.canister_id).get_personal_info()
    assert about.backend == moved.backend_id


async def test_a_creation_that_was_being_handed_over_goes_on_when_that_is_over(
    world: World, own_replica: EmbeddedReplica | None, tmp_path: Path
) -> None:
    if own_replica is None:
        pytest.skip("time goes by on a replica of the tests' own only")
    contents = await fill(world.as_owner)
    await killed_at(world, "after the verification")
    await back_up(world, tmp_path / "backup")
    moved = await elsewhere(world, tmp_path / "backup")
    assert await fate_on(moved) == Fate.COPIED_AGAIN
    with pytest.raises(CreationFailedError, match="answers the former backend alone"):
        await moved.orchestrator().run(moved.owner_id)
    own_replica.advance(SEALED_S)
    later = moved.by_clock(own_replica.clock)
    await later.create()
    await assert_done(later, contents)


async def test_a_canister_that_its_owner_has_stays_the_owners_and_its_creation_is_named(
    world: World, tmp_path: Path
) -> None:
    contents = await fill(world.as_owner)
    canister = (await killed_at(world, "in the middle of the copy")).canister_id
    await back_up(world, tmp_path / "backup")
    await world.orchestrator().run(world.owner_id)  # what the backup doesn't know of
    moved = await elsewhere(world, tmp_path / "backup")
    assert await fate_on(moved) == Fate.OWNERS
    with pytest.raises(
        CreationFailedError, match=r"until its owner tells it of this one .* whose canister it is all the same"
    ):
        await moved.orchestrator().run(moved.owner_id)
    assert await read_back(moved.personal(canister)) == contents


async def test_what_was_completed_before_is_verified_by_owners_as_ever(world: World, tmp_path: Path) -> None:
    contents = await fill(world.as_owner)
    await world.create()
    await back_up(world, tmp_path / "backup")
    moved = await elsewhere(world, tmp_path / "backup")
    await assert_done(moved, contents)
    creation = await moved.creation()
    assert creation.canister_id is not None
    async for check in check_canister(moved.owner, moved.as_owner, creation, creation.canister_id):
        assert check.verdict in (Verdict.OK, Verdict.SKIPPED), check


async def test_the_second_backup_writes_what_changed(world: World, tmp_path: Path) -> None:
    await fill(world.as_owner)
    first = await back_up(world, tmp_path / "backup")
    await world.as_owner.add_memory_to_capsule(inline(b"new"), note("new"))
    again = await back_up(world, tmp_path / "backup")
    assert (first.read_bytes, again.read_bytes) == (first.state.size, again.state.size), "the network tells no hashes"
    assert 0 < again.new_bytes < first.new_bytes
    assert SnapshotDirectory.open(tmp_path / "backup").names() == [first.name, again.name]


async def test_what_a_restore_refuses_leaves_the_canister_as_it_was(world: World, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    await back_up(world, path)
    with pytest.raises(RestoreError, match=r"runs the module .* --yes"):
        await restore(world, path, world.backend_id)
    poor = await fresh(world, cycles=10**12)
    with pytest.raises(RestoreError, match=r"has .* cycles, and this state needs about"):
        await restore(world, path, poor)
    with pytest.raises(RejectedError):
        await restore(world, path, await fresh(world), world.operator)
    about = (path / "backup.json").read_text()
    (path / "backup.json").write_text(about.replace(world.network.root_key.hex(), MAINNET_ROOT_KEY.hex()))
    with pytest.raises(RestoreError, match="on another network"):
        await restore(world, path, poor)
    assert (await world.admin.canister_info(poor)).module_hash is None
    with pytest.raises(BackupError, match="'canister-factory-backend-backup-1'; this command knows"):
        BackupDirectory.open(path)


async def test_the_same_canister_gets_its_earlier_state_back(world: World, tmp_path: Path) -> None:
    contents = await fill(world.as_owner)
    await back_up(world, tmp_path / "backup")
    added = await world.as_owner.add_memory_to_capsule(inline(b"lost"), note("lost"))
    restored = await restore(world, tmp_path / "backup", world.backend_id, overwrite=True)
    assert (restored.is_compared, restored.ids) == (True, [world.backend_id])
    assert await read_back(world.as_owner) == contents, f"{added} was written after the backup"


async def test_a_disk_that_is_full_says_so_and_the_backend_runs(world: World, tmp_path: Path) -> None:
    await fill(world.as_owner)

    class Full(SnapshotDirectory):
        left = 3

        def write(self, file: Path, data: bytes) -> None:
            type(self).left -= 1
            if type(self).left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(file, data)

    directory = SnapshotDirectory.create_for(world.backend_id, world.network.root_key, tmp_path / "backup")
    full = Full(directory.path, directory.about)
    with full.locked(), pytest.raises(BackupError, match="make room, and run the same command again"):
        await BackendBackup(world.admin, world.backend_id, full, CONFIG).take()
    management = ManagementCanister(world.admin)
    assert (await management.canister_status(world.backend_id)).status == RunState.running
    again = await back_up(world, tmp_path / "backup")
    assert again.was_begun
    assert await management.list_canister_snapshots(world.backend_id) == []
