"""A world on a replica that a test ends, as a power cut would or in order, and starts again from the same directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from canister_factory.ic.network import Network
from canister_factory.replica.node.process import ReplicaProcess
from support.creation_world import Foundation, World


class MortalWorld:
    """`now` is the world as it is: after each `rise` the same people and the same backend, reached at a new URL."""

    def __init__(self, replica: ReplicaProcess, foundation: Foundation, stack: AsyncExitStack) -> None:
        self._replica = replica
        self._foundation = foundation
        self._stack = stack
        self.now: World

    def die(self) -> None:
        """Kills the replica at once, whatever it is doing."""
        self._replica.kill()

    def stop(self) -> None:
        """Ends the replica in order."""
        self._replica.stop()

    async def rise(self) -> World:
        """Starts it again; returns the new `now`."""
        await asyncio.to_thread(self._replica.start)
        return await self.see()

    async def see(self) -> World:
        """The world on the replica as it runs now."""
        self.now = await self._stack.enter_async_context(self._foundation.world(network_of(self._replica)))
        return self.now


def network_of(replica: ReplicaProcess) -> Network:
    return Network.resolve(replica.url, root_key=replica.root_key)


@asynccontextmanager
async def mortal_world(state_dir: Path) -> AsyncIterator[MortalWorld]:
    """A new replica with a world on it."""
    with ReplicaProcess(state_dir) as replica:
        async with AsyncExitStack() as stack:
            world = MortalWorld(replica, await Foundation.lay(network_of(replica)), stack)
            await world.see()
            yield world
