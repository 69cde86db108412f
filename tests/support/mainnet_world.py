"""A world on a simulated mainnet: a backend, an owner with a capsule of a given size, and creations that are measured.

Owns what a rehearsal has, and what is taken down of a creation. Does not own the network (`mainnet`).
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import CreationStatus
from canister_factory.contract.upload import upload_memory
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.factory.events import EventHook, Transferred, ignore
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.ic.pacer import BULK_BYTES
from canister_factory.replica.node.server import ReplicaServer
from support.creation_world import FUNDS, note
from support.mainnet import AT_ONCE, Conditions, Mainnet
from support.mainnet_inner_calls import InnerCalls
from support.mainnet_record import Exchange, Record, admitted_rate, longest_chain
from support.virtual_time import VirtualTimeLoop

LOOK_S = 0.1
"""How often the owner looks whether the capsule is locked."""


@dataclass(slots=True)
class Creation:
    """A creation from claim to Completed, as the network saw it. Times in seconds, `content_bytes` of the capsule."""

    outcome: Outcome
    record: Record
    content_bytes: int
    seconds: float
    locked_s: float

    def __repr__(self) -> str:
        return f"Creation({self.content_bytes} bytes in {self.seconds:.1f} s, {self.record!r})"

    @property
    def chain(self) -> list[str]:
        """The methods of the longest chain of updates one after another."""
        return [each.method for each in longest_chain(self.record.updates)]

    @property
    def content(self) -> list[Exchange]:
        """The updates that brought content."""
        return _with_content(self.record)

    @property
    def copying_bytes_per_s(self) -> float:
        """Bytes of messages with content that blocks took in a second, from the first to the last."""
        return admitted_rate(self.content)

    @property
    def bytes_per_s(self) -> float:
        """The capsule's content over the whole time."""
        return self.content_bytes / self.seconds


@dataclass(frozen=True, slots=True)
class Resumed:
    """A creation whose orchestrator was killed in the middle of copying, and another one went on."""

    before: Record
    after: Creation

    @property
    def sent_again(self) -> float:
        """Content that was stored twice, as a share of all content."""
        sent = sum(each.size_bytes for each in (*_with_content(self.before), *self.after.content))
        return max(0.0, sent / self.after.content_bytes - 1)


def _with_content(record: Record) -> list[Exchange]:
    return [each for each in record.updates if each.size_bytes > BULK_BYTES and each.method != "install_code"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who has asked for a personal canister; on a way that takes no time."""

    client: BackendClient
    principal: Principal
    content_bytes: int


class MainnetWorld:
    """The people of one backend. Made by `mainnet_world`."""

    def __init__(self, replica: ReplicaServer, loop: VirtualTimeLoop) -> None:
        self.loop = loop
        self._replica = replica
        self._inner_calls = InnerCalls(replica.subnet)
        self._network = Network("simulated mainnet", replica.url, replica.root_key)
        self.operator = Identity.generate()
        self.backend_id: Principal

    def __repr__(self) -> str:
        return f"MainnetWorld({self.loop.time():.1f} s)"

    def way(self, conditions: Conditions = AT_ONCE) -> Mainnet:
        """A way to the network under these conditions."""
        return Mainnet(self._replica, self.loop, self._inner_calls, conditions)

    def agent(self, identity: Identity, way: Mainnet | None = None) -> Agent:
        """Whoever calls on a way; by default on one that takes no time."""
        return Agent(identity, self._network, transport=(way or self.way()).transport())

    async def prepare(self) -> None:
        """Deploys the backend, with a release and funds."""
        async with self.agent(Identity.generate()) as admin:
            backend = await deploy_backend(admin, [self.operator.sender()])
            await register_release(backend)
            await fund(admin, backend.canister_id, 3 * FUNDS)  # some of its owners have hundreds of megabytes
            self.backend_id = backend.canister_id

    @asynccontextmanager
    async def owner(self, *sizes: int) -> AsyncIterator[Owner]:
        """A new owner whose capsule has memories of these sizes in bytes, and who has asked for a personal canister."""
        content = random.Random(1)
        async with self.agent(Identity.generate()) as agent:
            client = BackendClient(agent, self.backend_id)
            await client.register()
            await client.register_capsule()
            for number, size in enumerate(sizes):
                await upload_memory(client, io.BytesIO(content.randbytes(size)), note(f"memory {number}"))
            await client.create_personal_canister()
            yield Owner(client, agent.principal, sum(sizes))

    def orchestrator(self, way: Mainnet, *, emit: EventHook = ignore, **config: Any) -> Orchestrator:
        """An orchestrator on a way, by the loop's time."""
        agent = self.agent(self.operator, way)
        return Orchestrator(agent, self.backend_id, FactoryConfig(**config), emit=emit, clock=self.loop.time)

    async def create(self, owner: Owner, conditions: Conditions, **config: Any) -> Creation:
        """Runs the creation that an owner has asked for, on a way of its own."""
        way = self.way(conditions)
        orchestrator = self.orchestrator(way, **config)
        watcher = asyncio.create_task(self._locked_s(owner.client))
        try:
            async with orchestrator.agent:
                began_s = self.loop.time()
                outcome = await orchestrator.run(owner.principal)
                seconds = self.loop.time() - began_s
            locked_s = await watcher
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        return Creation(outcome, way.record, owner.content_bytes, seconds, locked_s)

    async def resume(self, owner: Owner, conditions: Conditions, *, at: float, **config: Any) -> Resumed:
        """Kills an orchestrator when so much of the content is copied, as a power cut would, and runs another one."""
        way = self.way(conditions)
        reached = asyncio.Event()

        def look(event: object) -> None:
            if isinstance(event, Transferred) and event.bytes_done >= at * owner.content_bytes:
                reached.set()

        orchestrator = self.orchestrator(way, emit=look, **config)
        run = asyncio.create_task(orchestrator.run(owner.principal))
        await asyncio.wait([run, asyncio.ensure_future(reached.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert not run.done(), "the creation ended before it could be killed"
        way.is_dead = True
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
        return Resumed(way.record, await self.create(owner, conditions, **config))

    async def _locked_s(self, owner: BackendClient) -> float:
        """How long the owner's capsule takes no writes, until the creation has ended."""
        looks = 0
        while True:
            creation = await owner.get_detailed_creation_status()
            if creation is None or creation.status in (CreationStatus.Completed, CreationStatus.Failed):
                return looks * LOOK_S
            looks += creation.locked_until is not None
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def mainnet(loop: VirtualTimeLoop) -> AsyncIterator[MainnetWorld]:
    """A new replica in a loop whose time is made up, with nothing on it."""
    async with ReplicaServer(clock_ns=loop.now_ns, threads=False) as replica:
        yield MainnetWorld(replica, loop)


@asynccontextmanager
async def mainnet_world(loop: VirtualTimeLoop) -> AsyncIterator[MainnetWorld]:
    """The same with a backend."""
    async with mainnet(loop) as world:
        await world.prepare()
        yield world
