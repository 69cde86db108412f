"""A backup of a backend, and a restore, that end at any of their requests: the same call, made again, ends them, and
leaves no snapshot behind and no backend stopped.

A seeded sample; with --sweep at each update, before it is sent and when it was executed.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import RunState
from canister_factory.operating.snapshot_files import SnapshotDirectory
from canister_factory.testing import EmbeddedReplica
from support.backend_copies import back_up, fresh, restore
from support.creation_contents import fill, read_back
from support.creation_world import Foundation, World
from support.killing import DyingAgent, Killed

pytestmark = pytest.mark.skipif(
    "CANISTER_FACTORY_TEST_NETWORK" in os.environ, reason="what a killed call did is undone on an embedded replica"
)
SAMPLE = 6


@pytest.fixture(scope="module")
def foundation(replica: EmbeddedReplica) -> Iterator[Foundation]:
    with replica.anchored():
        yield asyncio.run(Foundation.lay(replica.network))


class Gone(DyingAgent):
    """After its death it sends nothing, not even what a process does at its end."""

    async def update(self, canister_id: Any, method: str, arg: bytes, **rest: Any) -> bytes:
        if 0 < self.dies_at <= len(self.sent):
            raise Killed
        return await super().update(canister_id, method, arg, **rest)


def victim(world: World, number: int, *, executed: bool) -> Gone:
    """The backend's controller, who dies at the update of this number; at 0 never."""
    agent = Gone(world.admin.identity, world.network)
    world.stack.push_async_callback(agent.close)
    agent.dies_at, agent.executed = number, executed
    return agent


def cases(updates: int, sweep: bool) -> list[tuple[int, bool]]:
    every = [(number, executed) for number in range(1, updates + 1) for executed in (False, True)]
    return every if sweep else random.Random(7).sample(every, SAMPLE)


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


async def assert_at_rest(world: World, canister_id: Principal, path: Path) -> None:
    """The canister runs, it pays for no snapshot, and the directory is whole with nothing that is to be found."""
    management = ManagementCanister(world.admin)
    assert (await management.canister_status(canister_id)).status == RunState.running
    assert await management.list_canister_snapshots(canister_id) == []
    directory = SnapshotDirectory.open(path)
    state = directory.state(directory.names()[-1])
    assert [damage for _, damage in directory.damages(state) if damage] == []
    assert files(path) == ["backup.json", "chunks", "lock", "states"]


async def test_a_backup_that_was_killed_is_ended_by_the_next_one(
    replica: EmbeddedReplica, foundation: Foundation, tmp_path: Path, sweep: bool
) -> None:
    async def scenario(number: int, path: Path, *, executed: bool) -> int:
        with replica.anchored():
            async with foundation.world(replica.network) as world:
                await fill(world.as_owner)
                agent = victim(world, number, executed=executed)
                if number:
                    with pytest.raises(Killed):
                        await back_up(world, path, agent)
                taken = await back_up(world, path, victim(world, 0, executed=False) if number else agent)
                assert taken.state.inventory in (None, await world.as_admin.get_inventory())
                await assert_at_rest(world, world.backend_id, path)
                return len(agent.sent)

    updates = await scenario(0, tmp_path / "unharmed", executed=False)
    for number, executed in cases(updates, sweep):
        try:
            await scenario(number, tmp_path / f"{number}-{executed}", executed=executed)
        except Exception as error:
            pytest.fail(f"update {number} of {updates}, executed: {executed}: {error!r}")


async def test_a_restore_that_was_killed_is_ended_by_the_next_one(
    replica: EmbeddedReplica, foundation: Foundation, tmp_path: Path, sweep: bool
) -> None:
    path = tmp_path / "backup"

    async def scenario(world: World, contents: dict[str, bytes], number: int, *, executed: bool) -> int:
        canister_id = await fresh(world)
        agent = victim(world, number, executed=executed)
        if number:
            with pytest.raises(Killed):
                await restore(world, path, canister_id, agent)
        restored = await restore(world, path, canister_id, None if number else agent)
        assert restored.is_compared
        assert await read_back(BackendClient(world.owner, canister_id)) == contents
        await assert_at_rest(world, canister_id, path)
        return len(agent.sent)

    with replica.anchored():
        async with foundation.world(replica.network) as world:
            contents = await fill(world.as_owner)
            await back_up(world, path)
            updates = await scenario(world, contents, 0, executed=False)
            for number, executed in cases(updates, sweep):
                try:
                    await scenario(world, contents, number, executed=executed)
                except Exception as error:
                    pytest.fail(f"update {number} of {updates}, executed: {executed}: {error!r}")
