"""What the worker's loop does when the list of open requests can't be had."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canister_factory.contract.creation_models import (
    CreationError,
    CreationErrorKind,
    CreationStatus,
    OpenRequest,
    OpenRequestPage,
    OwnerPageRequest,
)
from canister_factory.contract.errors import CreationRefused, PagingError
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.worker import Worker
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import TransportError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import MAINNET_ROOT_KEY, Network
from support.backend_script import BACKEND, OWNER, BackendScript, Clock, refusal


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


class Endless(BackendScript):
    """A backend whose list of open requests begins anew on each page, until it refuses."""

    identity = Identity.anonymous()

    def __init__(self) -> None:
        self.pages = 0

    async def list_open_requests(self, page: OwnerPageRequest) -> OpenRequestPage:
        self.pages += 1
        if self.pages > 4:
            raise refusal(CreationErrorKind.Unauthorized, "not an operator")
        lost = OpenRequest(owner=OWNER, status=CreationStatus.NotStarted, requested_at=0, operator=BACKEND)
        return OpenRequestPage(items=[lost], next=OWNER)


async def test_a_list_that_begins_anew_is_looked_at_again_later(caplog: pytest.LogCaptureFixture) -> None:
    agent: Any = Endless()
    clock = Clock()
    with pytest.raises(CreationRefused, match="not an operator"):
        await Worker(Orchestrator(agent, BACKEND), idle_seconds=7, sleep=clock.sleep, clock_ns=lambda: 0).run()
    assert (agent.pages, clock.slept) == (5, [7, 7])
    assert caplog.text.count("the list of open requests comes again to where it was") == 2


async def test_one_look_at_a_list_that_begins_anew_says_so() -> None:
    agent: Any = Endless()
    with pytest.raises(PagingError, match="the list of open requests comes again to where it was"):
        await Worker(Orchestrator(agent, BACKEND), clock_ns=lambda: 0).run_once()
    assert agent.pages == 2
