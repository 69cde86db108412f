"""A capsule that its owner copies to files, and from there into another canister."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.creation_models import CreatePersonalCanisterConfig
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.contract.manifest_models import ExportItem, ItemKind, ItemRef, ManifestPage, MemoryManifest
from canister_factory.contract.memory_models import MemoryAccess, MemoryRecord, MemoryUpdate
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import SourceMovedError
from canister_factory.factory.manifest import Entry, manifest_hash
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import Audience, CanisterSettings, EnvironmentVariable
from canister_factory.ic.network import MAINNET_ROOT_KEY
from canister_factory.owner.backup_files import BackupDirectory
from canister_factory.owner.download import Download
from canister_factory.owner.errors import BackupError, ForgedBackupError, MemoryNotFoundError, RestoreError
from canister_factory.owner.kept_settings import kept
from canister_factory.owner.memories import find
from canister_factory.owner.memory_file import manifest_of
from canister_factory.owner.proof import prove
from support.creation_contents import fill, pattern, read_back
from support.creation_world import World, inline, note
from support.owner_copies import CONFIG, OwnersCopies


@pytest.fixture
async def moved(world: World, tmp_path: Path) -> OwnersCopies:
    contents = await fill(world.as_owner)
    await world.create()
    canister_id = (await world.creation()).canister_id
    assert canister_id is not None
    return OwnersCopies(world, canister_id, contents, tmp_path / "backup")


async def test_a_restored_capsule_is_equal_byte_for_byte(moved: OwnersCopies) -> None:
    taken = await moved.back_up()
    assert taken.is_new
    assert taken.bytes == sum(map(len, set(moved.contents.values())))
    fresh = await moved.fresh()
    restored = await moved.restore(fresh)
    assert restored.verification.target_manifest == taken.state.manifest.manifest_hash
    assert restored.bytes == sum(map(len, moved.contents.values()))
    client = PersonalClient(moved.world.owner, fresh)
    assert await read_back(client) == moved.contents
    assert await client.get_my_galleries() == await moved.client.get_my_galleries()
    assert await client.list_connections() == await moved.client.list_connections()
    added = await client.add_memory_to_capsule(inline(b"more"), note("more"))
    assert (await read_back(client))[added] == b"more", "it is the owner's to use"


async def test_the_second_backup_fetches_what_changed(moved: OwnersCopies) -> None:
    first = await moved.back_up()
    again = await moved.back_up()
    assert (again.is_new, again.name, again.records, again.chunks) == (False, first.name, 0, 0)
    kept, renamed = list(moved.contents)[1:3]
    await moved.client.delete_memory_from_capsule(kept)
    memory = await moved.client.get_memory_from_capsule(renamed)
    await moved.client.update_memory_in_capsule(renamed, MemoryUpdate(metadata=memory.metadata, info=None))
    await moved.client.add_memory_to_capsule(inline(b"new"), note("new"))
    third = await moved.back_up()
    assert (third.is_new, third.chunks, third.bytes) == (True, 1, 3)
    assert third.records <= 5, "the new one, the changed one, the gallery, the capsule"
    assert BackupDirectory.open(moved.path).names() == [first.name, third.name]


async def test_what_broke_off_goes_on(moved: OwnersCopies) -> None:
    class Breaking(PersonalClient):
        left = 3

        async def read_memory_chunk(self, memory_id: str, index: int) -> bytes:
            type(self).left -= 1
            if type(self).left < 0:
                raise LookupError
            return await super().read_memory_chunk(memory_id, index)

    with pytest.raises(LookupError):
        await moved.back_up(Breaking(moved.world.owner, moved.canister_id), FactoryConfig(start_window=1, max_window=1))
    directory = BackupDirectory.open(moved.path)
    assert directory.names() == []
    taken = await moved.back_up()
    assert 0 < taken.chunks < sum(map(len, taken.state.chunks.values()))
    assert [damage for _, damage in directory.damages(taken.state) if damage] == []


async def test_a_damaged_file_is_named_and_nothing_is_restored_from_it(moved: OwnersCopies) -> None:
    taken = await moved.back_up()
    directory = BackupDirectory.open(moved.path)
    chunk = next(file for file in (moved.path / "chunks").glob("*/*") if file.stat().st_size > 10)
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    record = next((moved.path / "records").glob("*/*.json"))
    record.unlink()
    damages = [damage for _, damage in directory.damages(taken.state) if damage]
    assert {damage.file for damage in damages} == {str(file.relative_to(moved.path)) for file in (chunk, record)}
    assert {damage.problem for damage in damages} == {
        "is damaged: its SHA-256 isn't its name",
        "is missing; make another backup into this directory",
    }
    with pytest.raises(BackupError, match="damaged"):
        directory.chunk(bytes.fromhex(chunk.name))
    again = await moved.back_up()
    assert (again.records, again.is_new) == (1, False), "what is missing is fetched again"


async def test_only_the_owner_copies_and_only_into_an_empty_canister_of_their_own(moved: OwnersCopies) -> None:
    stranger = moved.world.agent()
    with pytest.raises(CapsuleRefused, match="not authorized"):
        await moved.back_up(PersonalClient(stranger, moved.canister_id))
    await moved.back_up()
    fresh = await moved.fresh()
    with pytest.raises(RestoreError, match="you are"):
        await moved.restore(fresh, stranger)
    with pytest.raises(RestoreError, match="is controlled by"):
        await moved.restore(moved.world.backend_id)
    await moved.restore(fresh)
    assert (await moved.restore(fresh)).was_there
    await moved.client.add_memory_to_capsule(inline(b"later"), note("later"))
    await moved.back_up()
    with pytest.raises(RestoreError, match="has a capsule already"):
        await moved.restore(fresh)


async def test_memories_become_files_under_their_names(moved: OwnersCopies, tmp_path: Path) -> None:
    await moved.client.add_memory_to_capsule(inline(b"out"), note("../../etc/passwd"))
    await moved.client.add_memory_to_capsule(inline(b"folder"), note("inline 1/below"))
    files = tmp_path / "files"
    done = await Download(moved.client, files, CONFIG).run()
    found = {str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()}
    assert found["etc/passwd"] == b"out"
    assert found["inline 1"] == pattern(1, "inline 1")
    assert found["inline 1_below"] == b"folder"
    assert sorted(map(len, found.values())) == sorted(
        len(data) for data in [*moved.contents.values(), b"out", b"folder"]
    )
    assert len(done.written) == len(found)
    again = await Download(moved.client, files, CONFIG).run()
    assert (again.written, len(again.present)) == ([], len(found))
    (files / "inline 1").write_bytes(b"mine")
    third = await Download(moved.client, files, CONFIG).run()
    assert (files / "inline 1").read_bytes() == b"mine"
    assert [path.name for path in third.written] == ["inline 1 (2)"]


async def test_records_of_other_memories_than_were_asked_for_become_no_files(
    moved: OwnersCopies, tmp_path: Path
) -> None:
    """A canister isn't believed: neither another memory's record nor one that was changed gives a file its name."""

    class Mistaking(PersonalClient):
        other: Callable[[MemoryRecord], MemoryRecord]

        async def get_items(self, items: list[ItemRef]) -> list[ExportItem]:
            first, *rest = await super().get_items(items)
            return [ExportItem.of("Memory", self.other(first.value)), *rest]

    client = Mistaking(moved.world.owner, moved.canister_id)

    def named(record: MemoryRecord) -> MemoryRecord:
        return record.model_copy(update={"info": record.info.model_copy(update={"name": "another name"})})

    for client.other in (lambda record: record.model_copy(update={"id": "nobody asked for it"}), named):
        with pytest.raises(SourceMovedError, match="isn't that of its entry"):
            await Download(client, tmp_path / "files", CONFIG).run()
        assert list((tmp_path / "files").iterdir()) == []


async def test_chunks_that_are_not_those_of_the_memory_in_the_list_are_not_read(moved: OwnersCopies) -> None:
    class Mistaking(PersonalClient):
        other: dict[str, object]

        async def get_memory_manifests(self, memory_ids: list[str]) -> list[MemoryManifest]:
            (found,) = await super().get_memory_manifests(memory_ids)
            return [found.model_copy(update=self.other)]

    summary = await find(moved.client, None, "inline 1")
    manifest = await manifest_of(moved.client, summary)
    assert manifest.total_size == len(pattern(1, "inline 1"))
    client = Mistaking(moved.world.owner, moved.canister_id)
    for name, wrong in (
        ("memory_id", "another one"),
        ("total_chunks", manifest.total_chunks + 1),
        ("total_size", manifest.total_size + 1),
        ("chunk_size", 1),
        ("chunk_checksums", [*manifest.chunk_checksums, bytes(32)]),
    ):
        client.other = {name: wrong}
        with pytest.raises(MemoryNotFoundError, match="was changed or deleted meanwhile; nothing was written"):
            await manifest_of(client, summary)


class Writing(PersonalClient):
    """The owner writes whenever chunks are asked for, `times` times."""

    times = 0

    async def get_memory_manifests(self, memory_ids: list[str]) -> list[MemoryManifest]:
        if self.times:
            self.times -= 1
            await PersonalClient(self.agent, self.canister_id).add_memory_to_capsule(inline(b"late"), note("late"))
        return await super().get_memory_manifests(memory_ids)


class Changing(PersonalClient):
    """The owner changes the memory whose record is asked for first, once."""

    done = False

    async def get_items(self, items: list[ItemRef]) -> list[ExportItem]:
        if not self.done:
            self.done = True
            client = PersonalClient(self.agent, self.canister_id)
            memory_id = next(item.id for item in items if item.kind == ItemKind.Memory)
            memory = await client.get_memory_from_capsule(memory_id)
            await client.update_memory_in_capsule(memory_id, MemoryUpdate(access=MemoryAccess.of("Public", None)))
            assert memory.access != (await client.get_memory_from_capsule(memory_id)).access
        return await super().get_items(items)


async def test_what_the_owner_writes_meanwhile_is_in_it_or_the_state_is_of_before(moved: OwnersCopies) -> None:
    writing = Writing(moved.world.owner, moved.canister_id)
    writing.times = 1
    taken = await moved.back_up(writing)
    renamed = await moved.back_up(Changing(moved.world.owner, moved.canister_id))
    again = await moved.back_up()
    directory = BackupDirectory.open(moved.path)
    for state in (taken.state, renamed.state, again.state):
        assert [damage for _, damage in directory.damages(state) if damage] == []
        assert state.problem() is None
    fresh = await moved.fresh()
    restored = await moved.restore(fresh)
    held = (await moved.client.get_manifest()).manifest.manifest_hash
    assert restored.verification.target_manifest == held


async def test_entries_that_are_not_the_certified_ones_make_no_state(moved: OwnersCopies) -> None:
    class Hiding(PersonalClient):
        async def list_import_entries(self, after: ItemRef | None = None, limit: int | None = None) -> ManifestPage:
            page = await super().list_import_entries(after, limit)
            return page.model_copy(update={"entries": page.entries[:-1]})

    with pytest.raises(BackupError, match="was written while it was read"):
        await moved.back_up(Hiding(moved.world.owner, moved.canister_id))
    assert BackupDirectory.open(moved.path).names() == []


async def test_a_link_is_no_file_of_the_owners(moved: OwnersCopies, tmp_path: Path) -> None:
    files, elsewhere = tmp_path / "files", tmp_path / "elsewhere"
    files.mkdir()
    elsewhere.write_bytes(pattern(1, "inline 1"))
    (files / "inline 1").symlink_to(elsewhere)
    done = await Download(moved.client, files, CONFIG).run()
    assert (files / "inline 1 (2)").read_bytes() == pattern(1, "inline 1")
    assert (files / "inline 1").is_symlink()
    assert files / "inline 1 (2)" in done.written


async def test_a_state_carries_what_the_network_certified_of_it(moved: OwnersCopies) -> None:
    taken = await moved.back_up()
    state = BackupDirectory.open(moved.path).state(taken.name)
    assert state.proof is not None
    key = moved.world.network.root_key
    told = prove(state.manifest, state.proof, key)
    assert (told.canister_id, told.is_trusted, told.is_mainnet) == (moved.canister_id, True, False)
    assert abs(told.time_ns - state.manifest.taken_at) < 60 * 10**9
    assert not prove(state.manifest, state.proof).is_trusted, "by the key that the backup itself names"
    with pytest.raises(ForgedBackupError, match="isn't by the network"):
        prove(state.manifest, state.proof, MAINNET_ROOT_KEY)
    other = state.proof.model_copy(update={"canister_id": moved.world.backend_id})
    with pytest.raises(ForgedBackupError, match="the state's certificate is"):
        prove(state.manifest, other, key)


async def test_a_forged_state_whose_hashes_fit_is_told_by_its_certificate(moved: OwnersCopies) -> None:
    whole = (await moved.back_up()).state
    gallery = next(entry for entry in whole.entries if entry.kind == ItemKind.Gallery)
    fewer = [entry for entry in whole.entries if entry != gallery]
    hash_now = manifest_hash(map(Entry.of, fewer))
    forged = whole.model_copy(
        update={"entries": fewer, "manifest": whole.manifest.model_copy(update={"manifest_hash": hash_now})}
    )
    assert forged.problem() is None, "its hashes fit"
    assert forged.proof is not None
    with pytest.raises(ForgedBackupError, match="is of something else than the state"):
        prove(forged.manifest, forged.proof, moved.world.network.root_key)


async def test_a_backup_of_an_earlier_version_gets_its_certificate_by_the_next_one(moved: OwnersCopies) -> None:
    taken = await moved.back_up()
    file = moved.path / "states" / f"{taken.name}.json"
    earlier = json.loads(file.read_text())
    del earlier["proof"], earlier["name"], earlier["settings"]
    file.write_text(json.dumps(earlier))
    assert BackupDirectory.open(moved.path).state(taken.name).proof is None
    again = await moved.back_up()
    assert (again.is_new, again.records, again.chunks) == (True, 0, 0)
    assert again.state.proof is not None


async def test_a_restored_canister_keeps_its_name(world: World, tmp_path: Path) -> None:
    await fill(world.as_owner)
    await world.as_owner.create_personal_canister(CreatePersonalCanisterConfig(name="my life"))
    canister_id = (await world.orchestrator().run(world.owner_id)).creation.canister_id
    assert canister_id is not None
    named = OwnersCopies(world, canister_id, {}, tmp_path / "backup")
    await named.back_up()
    fresh = await named.fresh()
    await named.restore(fresh)
    assert (await PersonalClient(world.owner, fresh).get_personal_info()).name == "my life"


async def test_a_restored_canister_has_the_settings_that_the_other_one_had(moved: OwnersCopies) -> None:
    management, friend = ManagementCanister(moved.world.owner), moved.world.operator_id
    chosen = CanisterSettings(
        freezing_threshold=100 * 86_400,
        log_visibility=Audience(public=None),
        status_visibility=Audience(allowed_viewers=[friend]),
        environment_variables=[EnvironmentVariable(name="MINE", value="1")],
    )
    first = await moved.back_up()
    await management.update_settings(moved.canister_id, chosen)
    assert (await moved.back_up()).is_new, "only settings have changed"
    assert not (await moved.back_up()).is_new
    fresh = await moved.fresh()
    await moved.restore(fresh)
    there = (await management.canister_status(fresh)).settings
    assert there == (await management.canister_status(moved.canister_id)).settings
    assert kept(there) == (await moved.back_up()).state.settings != first.state.settings

    await management.update_settings(fresh, CanisterSettings(freezing_threshold=86_400))
    assert (await moved.restore(fresh)).was_there
    assert (await management.canister_status(fresh)).settings.freezing_threshold == 86_400, "the owner's later choice"


async def test_a_forged_state_takes_no_control_and_begins_no_upgrade(moved: OwnersCopies) -> None:
    taken = await moved.back_up()
    file = moved.path / "states" / f"{taken.name}.json"
    forged = json.loads(file.read_text())
    forged["settings"]["controllers"] = [str(moved.world.operator_id)]
    forged["settings"]["environment_variables"] = [{"name": "canister_factory_upgrade", "value": "on"}]
    file.write_text(json.dumps(forged))
    fresh = await moved.fresh()
    await moved.restore(fresh)
    there = (await ManagementCanister(moved.world.owner).canister_status(fresh)).settings
    assert (there.controllers, there.environment_variables) == ([moved.world.owner_id], [])
    await PersonalClient(moved.world.owner, fresh).add_memory_to_capsule(inline(b"more"), note("more"))
