"""The network that integration tests run against, and the worlds on it.

By default an embedded replica in this process, started once for all tests: a world is built once, and what a test does
to it is undone. With `CANISTER_FACTORY_TEST_NETWORK=URL` the same tests run against that network, where nothing is
undone and each test builds a world of its own. Its root key comes from `CANISTER_FACTORY_TEST_ROOT_KEY` (DER,
hexadecimal), or is fetched if `CANISTER_FACTORY_TEST_FETCH_ROOT_KEY=1`, which the Internet Computer's own hosts are
refused for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from canister_factory.ic.network import Network
from canister_factory.testing import EmbeddedReplica
from support.capsule_world import BOTH_CANISTERS, CapsuleWorld, Moved, capsule_on, people_of
from support.cli_settings import signals_in_hand
from support.cli_world import cli, deployed, deployment, operator, quick_upgrades, requested
from support.contents_books import check_replica
from support.creation_world import Foundation, World
from support.preloaded_command import preloaded_command
from support.replica_shell import Shell

__all__ = ["cli", "deployed", "deployment", "operator", "quick_upgrades", "requested", "signals_in_hand"]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Commands with a home of their own; replicas that they leave running are ended."""
    made = Shell(tmp_path / "home")
    yield made
    made.kill_all()


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Path]:
    """`canister-factory` without the time of its imports."""
    with preloaded_command() as command:
        yield command


@pytest.fixture(scope="session")
def own_replica(request: pytest.FixtureRequest) -> EmbeddedReplica | None:
    """The replica that these tests have to themselves; None on a network that was given."""
    if os.environ.get("CANISTER_FACTORY_TEST_NETWORK"):
        return None
    pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")
    replica: EmbeddedReplica = request.getfixturevalue("replica")
    return replica


@pytest.fixture(scope="session")
def network(own_replica: EmbeddedReplica | None) -> Network:
    """A network of the tests' own."""
    if own_replica is not None:
        return own_replica.network
    root_key = os.environ.get("CANISTER_FACTORY_TEST_ROOT_KEY")
    return Network.resolve(
        os.environ["CANISTER_FACTORY_TEST_NETWORK"],
        root_key=bytes.fromhex(root_key) if root_key else None,
        fetch_root_key=os.environ.get("CANISTER_FACTORY_TEST_FETCH_ROOT_KEY") == "1",
    )


@pytest.fixture
def undone(own_replica: EmbeddedReplica | None) -> Iterator[None]:
    """What the test does to the tests' own network is undone at its end; before that, books are compared."""
    if own_replica is None:
        yield
        return
    with own_replica.anchored():
        yield
        check_replica(own_replica)


@pytest.fixture(scope="session")
def foundation(own_replica: EmbeddedReplica | None) -> Foundation | None:
    """What every world stands on, where it can be shared."""
    return None if own_replica is None else asyncio.run(Foundation.lay(own_replica.network))


@pytest.fixture(scope="session")
def moved(own_replica: EmbeddedReplica | None) -> Moved | None:
    """A world on a backend of its own whose owner has a personal canister, where it can be shared."""
    return None if own_replica is None else asyncio.run(Moved.make(own_replica.network))


@pytest.fixture
async def world(
    network: Network, own_replica: EmbeddedReplica | None, foundation: Foundation | None, undone: None
) -> AsyncIterator[World]:
    """A backend that is ready for creations, and an owner with a capsule."""
    if foundation is None or own_replica is None or network is not own_replica.network:
        foundation = await Foundation.lay(network)
    async with foundation.world(network) as world:
        yield world


@pytest.fixture(params=BOTH_CANISTERS)
async def capsule(
    request: pytest.FixtureRequest, network: Network, moved: Moved | None, world: World
) -> AsyncIterator[CapsuleWorld]:
    """The owner's capsule on the backend, and on a personal canister that the orchestrator has made."""
    if request.param == "backend" or moved is None:
        yield await capsule_on(world, request.param)
        return
    async with moved.foundation.world(network) as other:
        yield await people_of(other, request.param, moved.canister_id)
