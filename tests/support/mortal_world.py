"""A world on a replica that a test kills, as a power cut would, and starts again from the same state directory."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import BackendInit
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.replica.node.process import ReplicaProcess
from support.creation_world import World

FUNDS = 20_000_000_000_000


class MortalWorld:
    """`now` is the world as it is: after each `rise` the same people and the same backend, reached at a new URL."""

    def __init__(self, state_dir: Path, stack: AsyncExitStack) -> None:
        self._replica = ReplicaProcess(state_dir)
        self._stack = stack
        self.now: World

    async def begin(self) -> None:
        """The first start: a backend that is ready for creations, and an owner with a capsule."""
        network = await self._start()
        admin, operator, owner = [self._agent(Identity.generate(), network) for _ in range(3)]
        operators = [Principal(operator.identity.sender().bytes)]
        backend = await deploy_backend(admin, operators, init=BackendInit(operators=operators))
        await register_release(backend)
        await fund(admin, backend.canister_id, FUNDS)
        self.now = World(network, admin, operator, owner, backend.canister_id, self._stack)
        await self.now.as_owner.register_capsule()

    def die(self) -> None:
        """Kills the replica at once, whatever it is doing."""
        self._replica.kill()

    async def rise(self) -> World:
        """Starts it again; returns the new `now`."""
        network = await self._start()
        people = {
            name: self._agent(getattr(self.now, name).identity, network) for name in ("admin", "operator", "owner")
        }
        self.now = replace(self.now, network=network, **people)
        return self.now

    async def _start(self) -> Network:
        await asyncio.to_thread(self._replica.start)
        self._stack.callback(self._replica.kill)
        return Network.resolve(self._replica.url, root_key=self._replica.root_key)

    def _agent(self, identity: Identity, network: Network) -> Agent:
        agent = Agent(identity, network)
        self._stack.push_async_callback(agent.close)
        return agent
