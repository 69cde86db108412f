"""A backend that is copied to disk, lost, and put into another canister."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from canister_factory.candid.principal import Principal
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import SETTINGS
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.operating.backup import BackendBackedUp, BackendBackup
from canister_factory.operating.restore import BackendRestore, BackendRestored
from canister_factory.operating.snapshot_files import SnapshotDirectory
from support.creation_world import World

CONFIG = FactoryConfig(backoff_seconds=0.05)
ENOUGH = 100 * 10**12


async def back_up(world: World, path: Path, agent: Agent | None = None) -> BackendBackedUp:
    """A backup of the world's backend, as its controller or `agent`."""
    if (path / "backup.json").exists():
        directory = SnapshotDirectory.open(path)
    else:
        directory = SnapshotDirectory.create_for(world.backend_id, world.network.root_key, path)
    with directory.locked():
        return await BackendBackup(agent or world.admin, world.backend_id, directory, CONFIG).take()


async def fresh(world: World, cycles: int = ENOUGH) -> Principal:
    """A canister without a module, of the backend's controller."""
    return await ManagementCanister(world.admin).provisional_create_canister_with_cycles(cycles, SETTINGS)


async def restore(
    world: World, path: Path, canister_id: Principal, agent: Agent | None = None, *, overwrite: bool = False
) -> BackendRestored:
    """The newest state in the directory, put into this canister."""
    directory = SnapshotDirectory.open(path)
    name = directory.names()[-1]
    with directory.locked():
        return await BackendRestore(
            agent or world.admin,
            canister_id,
            directory,
            name,
            directory.state(name),
            CONFIG,
            overwrite=overwrite,
        ).run()


async def lose(world: World) -> None:
    """The world's backend is deleted."""
    management = ManagementCanister(world.admin)
    await management.stop_canister(world.backend_id)
    await management.delete_canister(world.backend_id)


async def elsewhere(world: World, path: Path) -> World:
    """The world whose backend was lost and restored into another canister."""
    await lose(world)
    canister_id = await fresh(world)
    await restore(world, path, canister_id)
    return replace(world, backend_id=canister_id)
