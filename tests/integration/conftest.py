"""The network that integration tests run against.

By default an embedded replica, started once for all tests. With `CANISTER_FACTORY_TEST_NETWORK=URL` the same tests run
against that network; its root key comes from `CANISTER_FACTORY_TEST_ROOT_KEY` (DER, hexadecimal), or is fetched if
`CANISTER_FACTORY_TEST_FETCH_ROOT_KEY=1`, which the Internet Computer's own hosts are refused for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import BackendInit
from canister_factory.factory.deployment import deploy_backend, fund, register_release
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from support.cli_world import cli, deployed, requested
from support.creation_world import World, inline, note

__all__ = ["World", "cli", "deployed", "inline", "note", "requested"]


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
    from canister_factory.replica.node.process import ReplicaProcess

    with ReplicaProcess() as replica:
        yield Network.resolve(replica.url, root_key=replica.root_key)


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
