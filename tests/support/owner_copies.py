"""An owner's canister with its copies on disk, and what becomes of them: backups, and restores into other canisters.

Owns how a test makes and uses such copies. Does not own: the world that the canister is in (`creation_world`).
"""

from __future__ import annotations

from pathlib import Path

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import PersonalClient
from canister_factory.factory.config import FactoryConfig
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.backup import BackedUp, Backup
from canister_factory.owner.backup_files import FORMAT, About, BackupDirectory
from canister_factory.owner.restore import Restore, Restored
from support.creation_world import World

CONFIG = FactoryConfig(backoff_seconds=0.05)


class OwnersCopies:
    """An owner's canister with a capsule, and a directory for its copies."""

    def __init__(self, world: World, canister_id: Principal, contents: dict[str, bytes], path: Path) -> None:
        self.world = world
        self.canister_id = canister_id
        self.contents = contents
        self.path = path
        self.client = PersonalClient(world.owner, canister_id)

    async def directory(self) -> BackupDirectory:
        if (self.path / "backup.json").exists():
            return BackupDirectory.open(self.path)
        info = await self.client.get_personal_info()
        assert info.capsule_id is not None
        about = About(
            format=FORMAT,
            owner=info.owner,
            backend=info.backend,
            capsule_id=info.capsule_id,
            canister_id=self.canister_id,
        )
        return BackupDirectory.create(self.path, about)

    async def back_up(self, client: PersonalClient | None = None, config: FactoryConfig = CONFIG) -> BackedUp:
        directory = await self.directory()
        with directory.locked():
            return await Backup(self.world.owner, client or self.client, directory, config).take()

    async def fresh(self) -> Principal:
        """A canister of the owner's without a module."""
        management = ManagementCanister(self.world.owner)
        return await management.provisional_create_canister_with_cycles(amount=10**13)

    async def restore(self, canister_id: Principal, agent: Agent | None = None) -> Restored:
        directory = BackupDirectory.open(self.path)
        state = directory.latest()
        assert state is not None
        return await Restore(agent or self.world.owner, canister_id, directory, state, personal_wasm(), CONFIG).run()
