"""What attacks run against: the tests' replica, and what an attack did to it undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from canister_factory.testing import EmbeddedReplica
from support.creation_world import Foundation, World
from support.doors import DoorsWorld, doors_world


@pytest.fixture(scope="module")
def built(replica: EmbeddedReplica) -> Iterator[DoorsWorld]:
    with replica.anchored():
        yield asyncio.run(doors_world(replica))


@pytest.fixture
def world(replica: EmbeddedReplica, built: DoorsWorld) -> Iterator[DoorsWorld]:
    """A backend and personal canisters with their people."""
    with replica.anchored():
        yield built


@pytest.fixture(scope="module")
def foundation(replica: EmbeddedReplica) -> Iterator[Foundation]:
    with replica.anchored():
        yield asyncio.run(Foundation.lay(replica.network))


@pytest.fixture
async def creation_world(replica: EmbeddedReplica, foundation: Foundation) -> AsyncIterator[World]:
    """A backend that is ready for creations, and an owner with a capsule."""
    with replica.anchored():
        async with foundation.world(replica.network) as world:
            yield world
