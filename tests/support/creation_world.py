"""What a creation test has: a backend with its admin, operator and one owner, and shorthands for data.

Owns a world on any network; not the network itself (`conftest`, `mortal_world`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import DetailedCreationStatus
from canister_factory.contract.memory_models import BlobKind, BlobRef, MemoryData, MemoryType, NewMemory
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.factory.funding import Need, need
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.ic.agent import Agent, CallerIdentity
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network

FUNDS = 20_000_000_000_000
"""Cycles of a new backend's reserve."""


def note(name: str, **fields: Any) -> NewMemory:
    """A memory to be, of bytes."""
    return NewMemory(memory_type=MemoryType.Document, name=name, content_type="application/octet-stream", **fields)


def inline(data: bytes) -> MemoryData:
    """Bytes that travel in one message."""
    return MemoryData(blob_ref=BlobRef(kind=BlobKind.ICPCapsule, locator=""), data=data)


@dataclass
class World:
    """A backend with its admin, operator and one owner; everything else is made from these."""

    network: Network
    admin: Agent
    operator: Agent
    owner: Agent
    backend_id: Principal
    stack: AsyncExitStack
    events: list[object] = field(default_factory=list)
    clock_ns: Callable[[], int] | None = None
    """That of new agents, where it isn't this computer's."""

    def by_clock(self, clock_ns: Callable[[], int]) -> World:
        """The same world, whose people have this clock."""
        other = replace(self, clock_ns=clock_ns)
        return replace(
            other,
            admin=other.agent(self.admin.identity),
            operator=other.agent(self.operator.identity),
            owner=other.agent(self.owner.identity),
        )

    def agent(self, identity: CallerIdentity | None = None, **options: Any) -> Agent:
        """An agent of a new identity (or this one); closed with the world."""
        agent = Agent(identity or Identity.generate(), self.network, **{"clock_ns": self.clock_ns, **options})
        self.stack.push_async_callback(agent.close)
        return agent

    @property
    def as_admin(self) -> BackendClient:
        return BackendClient(self.admin, self.backend_id)

    @property
    def as_operator(self) -> BackendClient:
        return BackendClient(self.operator, self.backend_id)

    @property
    def as_owner(self) -> BackendClient:
        return BackendClient(self.owner, self.backend_id)

    @property
    def owner_id(self) -> Principal:
        return Principal(self.owner.identity.sender().bytes)

    @property
    def operator_id(self) -> Principal:
        return Principal(self.operator.identity.sender().bytes)

    def orchestrator(self, *, agent: Agent | None = None, emit: Any = None, **config: Any) -> Orchestrator:
        """A new orchestrator that knows nothing; its events are kept in `events`."""
        config = {"backoff_seconds": 0.05, "progress_seconds": 0.0, **config}
        return Orchestrator(
            agent or self.operator, self.backend_id, FactoryConfig(**config), emit=emit or self.events.append
        )

    async def set_budget(self, cycles_per_day: int) -> None:
        """What creations may use in a day."""
        settings = (await self.as_admin.get_reserve_status()).settings
        await self.as_admin.set_reserve_settings(settings.model_copy(update={"cycles_per_day": cycles_per_day}))

    async def create(self, **options: Any) -> Outcome:
        """The owner asks for a canister, and an orchestrator with these options makes it."""
        await self.as_owner.create_personal_canister(None)
        return await self.orchestrator(**options).run(self.owner_id)

    async def creation(self) -> DetailedCreationStatus:
        """The owner's creation, which there must be."""
        found = await self.as_owner.get_detailed_creation_status()
        assert found is not None, "the owner has asked for no canister"
        return found

    async def need(self, content_size: int = 0) -> Need:
        """What a creation of so many bytes takes of the reserve."""
        settings = (await self.as_admin.get_reserve_status()).settings
        return need(settings, await self.as_admin.get_personal_canister_settings(), content_size)

    def personal(self, canister_id: Principal | None, agent: Agent | None = None) -> PersonalClient:
        """A personal canister, which a creation must have, as its owner sees it."""
        assert canister_id is not None, "the creation has no canister"
        return PersonalClient(agent or self.owner, canister_id)


@dataclass(frozen=True)
class Foundation:
    """What a world stands on: the people's identities, and a backend that is ready for their creations."""

    admin: Identity
    operator: Identity
    owner: Identity
    backend_id: Principal

    @classmethod
    async def lay(cls, network: Network) -> Foundation:
        """A new backend with a release and funds, and an owner with a capsule."""
        identities = [Identity.generate() for _ in range(3)]
        admin, operator, owner = identities
        operator_id = operator.sender()
        async with Agent(admin, network) as agent:
            backend = await deploy_backend(agent, [operator_id])
            await register_release(backend)
            await fund(agent, backend.canister_id, FUNDS)
        async with Agent(owner, network) as agent:
            client = BackendClient(agent, backend.canister_id)
            await client.register()
            await client.register_capsule()
        return cls(admin, operator, owner, backend.canister_id)

    @asynccontextmanager
    async def world(self, network: Network) -> AsyncIterator[World]:
        """The world, with agents for the time of the block."""
        async with AsyncExitStack() as stack:
            admin, operator, owner = [
                await stack.enter_async_context(Agent(identity, network))
                for identity in (self.admin, self.operator, self.owner)
            ]
            yield World(network, admin, operator, owner, self.backend_id, stack)
