"""One event for each request and each attempt: what logs, metrics and tests see of the traffic."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from canister_factory.cli import output
from canister_factory.ic.agent import Agent
from canister_factory.ic.envelope import verify_envelope
from canister_factory.ic.errors import NetworkUnreachableError, RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.trace import Event
from support.ic_test_support import CANISTER, FakeClock, FakeNetwork


@pytest.fixture
def net() -> FakeNetwork:
    return FakeNetwork(FakeClock())


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def agent(net: FakeNetwork, events: list[Event]) -> AsyncIterator[Agent]:
    async with Agent(Identity.generate(), net.network(), transport=net.transport(), trace=events.append) as agent:
        yield agent


async def test_a_call_is_told_with_each_of_its_attempts_and_polls(
    agent: Agent, net: FakeNetwork, events: list[Event]
) -> None:
    net.accept_only = True
    net.next_answers = [httpx.ReadTimeout("slow")]
    await agent.update(CANISTER, "add", b"1")
    request_id = verify_envelope(net.posted("call")[0], net.clock()).request_id
    assert [(e.kind, e.attempt, e.complete, e.outcome) for e in events] == [
        ("call", 1, False, "TransportError"),
        ("call", 2, False, "HTTP 202"),
        ("read_state", 3, False, "HTTP 200"),
        ("call", 3, True, "replied"),
    ]
    assert {(e.canister, e.method, e.request_id) for e in events} == {(str(CANISTER), "add", request_id)}
    *attempts, whole = events
    assert attempts[0].bytes_sent == len(net.posted("call")[0])
    assert whole.bytes_sent == sum(e.bytes_sent for e in attempts)
    assert whole.bytes_received == sum(e.bytes_received for e in attempts) > 0
    assert whole.milliseconds >= max(e.milliseconds for e in attempts) > 0


async def test_queries_reads_and_failures_are_told(agent: Agent, net: FakeNetwork, events: list[Event]) -> None:
    await agent.query(CANISTER, "get", b"1")
    await agent.read_state(CANISTER, [[b"time"]])
    await agent.status()
    net.canister = lambda request: {"reject_code": 4, "reject_message": "no", "error_code": "IC0406"}
    with pytest.raises(RejectedError):
        await agent.query(CANISTER, "get", b"1")
    net.next_answers = [httpx.ConnectError("refused")] * 3
    with pytest.raises(NetworkUnreachableError):
        await agent.update(CANISTER, "add", b"1")
    assert [(e.kind, e.method, e.attempt, e.outcome) for e in events if e.complete] == [
        ("query", "get", 2, "replied"),
        ("read_state", "", 1, "replied"),
        ("status", "", 1, "replied"),
        ("query", "get", 1, "rejected (4, IC0406)"),
        ("call", "add", 3, "NetworkUnreachableError"),
    ]


@pytest.fixture
def restored_logging() -> Iterator[None]:
    names = ("", "canister_factory")
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    handlers = logging.getLogger().handlers[:]
    yield
    for logger, level in before:
        logger.setLevel(level)
    logging.getLogger().handlers[:] = handlers


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize(("verbosity", "lines"), [(0, 0), (1, 1), (2, 3)])
async def test_v_shows_each_call_on_a_line_and_vv_each_attempt_instead_of_http_lines(
    net: FakeNetwork,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verbosity: int,
    lines: int,
) -> None:
    monkeypatch.setattr(output, "settings", output.Settings())  # whatever a command said before, in this process
    output.start_logging(verbosity)
    net.accept_only = True
    async with Agent(Identity.generate(), net.network(), transport=net.transport()) as agent:
        await agent.update(CANISTER, "add", b"1")
    shown = capsys.readouterr().err
    told = re.findall(
        rf"(?:call|read_state) add of {CANISTER}, request \w{{8}}…\w{{8}}, (?:#\d|2 attempts): .+ in \d+ ms", shown
    )
    assert len(told) == lines
    assert "HTTP Request" not in shown  # the HTTP library's own lines
    assert "receive_response" not in shown


@pytest.mark.usefixtures("restored_logging")
async def test_with_json_a_call_is_an_object_with_its_request_id(
    net: FakeNetwork, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.settings, "json", True)
    output.start_logging(1)
    async with Agent(Identity.generate(), net.network(), transport=net.transport()) as agent:
        await agent.update(CANISTER, "add", b"1")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    (request_id,) = net.executed
    assert (told["request_id"], told["method"], told["outcome"]) == (request_id.hex(), "add", "replied")
    assert (told["canister"], told["attempt"], told["level"]) == (str(CANISTER), 1, "info")
