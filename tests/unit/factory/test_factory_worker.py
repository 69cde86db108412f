"""What the worker's loop does when the list of open requests can't be had."""

from __future__ import annotations

import asyncio

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import CreationError, CreationErrorKind
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.worker import Worker
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import TransportError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import MAINNET_ROOT_KEY, Network

BACKEND = Principal(bytes(7) + b"\x01\x01\x01")


class Failing(Agent):
    """An agent whose queries fail, one error after the other."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(Identity.anonymous(), Network("none", "http://127.0.0.1:9", MAINNET_ROOT_KEY))
        self.errors = list(errors)

    async def query(self, *args: object, **options: object) -> bytes:
        raise self.errors.pop(0)


async def test_failures_of_the_network_are_waited_out_until_the_backend_refuses() -> None:
    refusal = CreationRefused(
        "list_open_requests",
        CreationError(kind=CreationErrorKind.Unauthorized, message="not an operator", retry_helps=False),
    )
    agent = Failing(TransportError("cut"), TransportError("cut again"), refusal)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    with pytest.raises(CreationRefused, match="not an operator"):
        await Worker(Orchestrator(agent, BACKEND), idle_seconds=7, sleep=sleep).run()
    assert pauses == [7, 7]
