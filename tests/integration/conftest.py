"""The network that integration tests run against, and what each test creates there for itself.

By default an embedded replica, started once for all tests. With `CANISTER_FACTORY_TEST_NETWORK=URL` the same tests run
against that network; its root key comes from `CANISTER_FACTORY_TEST_ROOT_KEY` (DER, hexadecimal), or is fetched if
`CANISTER_FACTORY_TEST_FETCH_ROOT_KEY=1`, which the Internet Computer's own hosts are refused for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.memory_models import BlobKind, BlobRef, MemoryData, MemoryType, NewMemory
from canister_factory.contract.reserve_models import BackendInit
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """A network of the tests' own."""
    url = os.environ.get("CANISTER_FACTORY_TEST_NETWORK")
    if url:
        root_key = os.environ.get("CANISTER_FACTORY_TEST_ROOT_KEY")
        yield Network.resolve(
            url,
            root_key=bytes.fromhex(root_key) if root_key else None,
            fetch_root_key=os.environ.get("CANISTER_FACTORY_TEST_FETCH_ROOT_KEY") == "1",
        )
        return
    pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
    from canister_factory.replica.process import ReplicaProcess

    with ReplicaProcess() as replica:
        yield Network.resolve(replica.url, root_key=replica.root_key)


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

    def agent(self, identity: Identity | None = None, **options: Any) -> Agent:
        """An agent of a new identity (or this one); closed with the world."""
        agent = Agent(identity or Identity.generate(), self.network, **options)
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

    def personal(self, canister_id: Principal, agent: Agent | None = None) -> PersonalClient:
        """A personal canister, as its owner sees it."""
        return PersonalClient(agent or self.owner, canister_id)


@pytest.fixture
async def world(network: Network) -> AsyncIterator[World]:
    """A backend that is ready for creations, and an owner with a capsule."""
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(Agent(Identity.generate(), network))
        operator = await stack.enter_async_context(Agent(Identity.generate(), network))
        owner = await stack.enter_async_context(Agent(Identity.generate(), network))
        operator_id = Principal(operator.identity.sender().bytes)
        backend = await deploy_backend(admin, [operator_id], init=BackendInit(operators=[operator_id]))
        await register_release(backend)
        await fund(admin, backend.canister_id, 20_000_000_000_000)
        made = World(network, admin, operator, owner, backend.canister_id, stack)
        await made.as_owner.register()
        await made.as_owner.register_capsule()
        yield made
