"""The end of an owner's canister: with a backup of all that is in it, its cycles elsewhere, wherever it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import PersonalClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.owner.backup import Backup
from canister_factory.owner.backup_files import FORMAT, About, BackupDirectory
from canister_factory.owner.deletion import Deletion
from canister_factory.owner.errors import BackupError, ControlError
from support.creation_world import World, inline, note
from support.killing import DyingAgent, Killed
from support.wallet_canister import personal_canister_of

STEPS = [
    *("update_settings", "uninstall_code", "start_canister", "install_code", "send_cycles"),
    *("stop_canister", "delete_canister"),
]
PRICE = 100 * 10**9
"""Cycles at most that stay on the way: what the network holds back for one execution and one response."""


class End:
    """An owner's canister with a memory, its backup, and a canister that gets the cycles."""

    def __init__(self, world: World, canister_id: Principal, receiver: Principal, path: Path) -> None:
        self.world = world
        self.canister_id = canister_id
        self.receiver = receiver
        self.path = path

    @property
    def client(self) -> PersonalClient:
        return PersonalClient(self.world.owner, self.canister_id)

    def backup(self) -> BackupDirectory:
        return BackupDirectory.open(self.path)

    def deletion(self, agent: Agent | None = None, *, backup: bool = True) -> Deletion:
        directory = self.backup() if backup else None
        return Deletion(agent or self.world.owner, self.canister_id, self.receiver, directory)

    async def delete(self, agent: Agent | None = None) -> int:
        """As the command does."""
        deletion = self.deletion(agent)
        await deletion.check()
        return await deletion.run()

    async def cycles(self, canister_id: Principal) -> int:
        return (await ManagementCanister(self.world.owner).canister_status(canister_id)).cycles

    async def is_gone(self) -> bool:
        try:
            await self.world.owner.canister_info(self.canister_id)
        except CanisterNotFoundError:
            return True
        return False


@pytest.fixture
async def end(world: World, tmp_path: Path) -> End:
    canister_id = await personal_canister_of(world.owner_id, world.operator)
    receiver = await ManagementCanister(world.owner).provisional_create_canister_with_cycles(10**12)
    made = End(world, canister_id, receiver, tmp_path / "backup")
    await made.client.add_memory_to_capsule(inline(b"mine"), note("mine"))
    about = About(
        format=FORMAT, owner=world.owner_id, backend=world.operator_id, capsule_id="cap-1", canister_id=canister_id
    )
    directory = BackupDirectory.create(made.path, about)
    with directory.locked():
        agent = world.owner
        await Backup(agent, made.client, directory, FactoryConfig()).take()
    return made


async def test_all_but_the_price_of_the_way_goes_to_the_other_canister(end: End) -> None:
    had, before = await end.cycles(end.canister_id), await end.cycles(end.receiver)
    doomed = await end.deletion().check()
    assert doomed.is_whole
    sent = await end.deletion().run()
    assert had - PRICE < sent < had
    assert sent - 10**9 < await end.cycles(end.receiver) - before <= sent
    assert await end.is_gone()


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_deletion_that_was_killed_anywhere_ends_right_when_it_is_begun_again(
    end: End, step: str, executed: bool
) -> None:
    had, before = await end.cycles(end.canister_id), await end.cycles(end.receiver)
    dying = await end.world.stack.enter_async_context(DyingAgent(end.world.owner.identity, end.world.network))
    dying.dies_of, dying.executed = step, executed
    with pytest.raises(Killed):
        await end.delete(dying)
    assert dying.sent == STEPS[: STEPS.index(step) + 1]
    if (step, executed) == ("delete_canister", True):
        with pytest.raises(ControlError, match="it was deleted, or is on another network"):
            await end.delete()
    else:
        await end.delete()
    assert had - PRICE < await end.cycles(end.receiver) - before < had
    assert await end.is_gone()


async def test_a_backup_that_is_not_of_today_or_not_whole_is_no_reason_to_delete(end: End) -> None:
    await end.client.add_memory_to_capsule(inline(b"later"), note("later"))
    with pytest.raises(ControlError, match=r"isn't up to date.*nothing was changed"):
        await end.delete()
    chunk = next(path for path in (end.path / "chunks").glob("*/*"))
    chunk.write_bytes(b"other")
    with pytest.raises(ControlError, match="the backup is damaged"):
        await end.delete()
    for state in (end.path / "states").iterdir():
        state.unlink()
    with pytest.raises(ControlError, match="has no state yet"):
        await end.delete()
    (end.path / "backup.json").unlink()
    with pytest.raises(BackupError):
        end.backup()
    assert len((await end.client.get_manifest()).manifest.manifest_hash) == 32, "it is as it was"


async def test_what_is_written_while_the_question_is_open_is_not_lost(end: End) -> None:
    deletion = end.deletion()
    await deletion.check()
    await end.client.add_memory_to_capsule(inline(b"just now"), note("just now"))
    with pytest.raises(ControlError, match="isn't up to date"):
        await deletion.run()
    assert (await end.client.get_manifest()).manifest.memories == 2


async def test_a_wrong_canister_gets_no_cycles_and_a_stranger_deletes_nothing(end: End) -> None:
    owner, nobody = end.world.owner, Principal(b"\x00\x00\x00\x00\x00\x0f\xff\xff\x01\x01")
    with pytest.raises(ControlError, match=r"there is no canister .* to take the cycles"):
        await Deletion(owner, end.canister_id, nobody, None).check()
    with pytest.raises(ControlError, match="can't go to itself"):
        await Deletion(owner, end.canister_id, end.canister_id, None).check()
    with pytest.raises(ControlError, match="don't control"):
        await Deletion(end.world.operator, end.canister_id, end.receiver, None).check()
    assert not await end.is_gone()


async def test_a_frozen_canister_gives_its_cycles_too(end: End) -> None:
    had, before = await end.cycles(end.canister_id), await end.cycles(end.receiver)
    settings = CanisterSettings(freezing_threshold=10**12)
    await ManagementCanister(end.world.owner).update_settings(end.canister_id, settings)
    deletion = end.deletion(backup=False)
    await deletion.check()
    await deletion.run()
    assert had - PRICE < await end.cycles(end.receiver) - before < had


async def test_cycles_may_be_burned(end: End) -> None:
    deletion = Deletion(end.world.owner, end.canister_id, None, end.backup())
    await deletion.check()
    assert await deletion.run() == 0
    assert await end.is_gone()
