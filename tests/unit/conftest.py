"""The network that agents of unit tests are on: the HTTP boundary, with real keys and certificates behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from canister_factory.ic.agent import Agent
from support.ic_test_support import ALICE, FakeClock, FakeNetwork


@pytest.fixture
def net() -> FakeNetwork:
    return FakeNetwork(FakeClock())


@pytest.fixture
async def agent(net: FakeNetwork) -> AsyncIterator[Agent]:
    """Alice's, whose clock is the network's."""
    async with Agent(ALICE, net.network(), transport=net.transport()) as agent:
        yield agent
