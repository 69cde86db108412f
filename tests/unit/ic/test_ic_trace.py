"""One event for each request and each attempt: what logs, metrics and tests see of the traffic."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from canister_factory.cli import logs
from canister_factory.ic.agent import Agent
from canister_factory.ic.envelope import verify_envelope
from canister_factory.ic.errors import NetworkUnreachableError, ProtocolError, RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.trace import Event, told_to
from support.cli_settings import printing
from support.ic_test_support import CANISTER, FakeNetwork


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
    assert [(e.kind, e.method or e.aside, e.attempt, e.outcome) for e in events if e.complete] == [
        ("read_state", "node keys", 1, "replied"),
        ("query", "get", 1, "replied"),
        ("read_state", "", 1, "replied"),
        ("status", "", 1, "replied"),
        ("query", "get", 1, "rejected (4, IC0406)"),
        ("call", "add", 3, "NetworkUnreachableError"),
    ]


async def test_what_a_request_needs_besides_is_told_apart_from_it(
    agent: Agent, net: FakeNetwork, events: list[Event]
) -> None:
    await agent.query(CANISTER, "get", b"1")
    about_query, about_keys, keys, query = events
    assert (about_keys.kind, about_keys.aside, about_keys.complete) == ("read_state", "node keys", False)
    assert (keys.kind, keys.canister, keys.aside) == ("read_state", str(CANISTER), "node keys")
    assert query.bytes_sent == about_query.bytes_sent == len(net.posted("query")[0])
    assert keys.bytes_sent == about_keys.bytes_sent == len(net.posted("read_state")[0])
    assert query.milliseconds >= about_query.milliseconds + keys.milliseconds
    assert str(keys).startswith(f"read_state {CANISTER} for node keys, 1 attempt: replied in ")
    assert re.match(rf"query get of {CANISTER}, request \w+…\w+, 1 attempt: replied in ", str(query))


async def test_learning_the_networks_time_is_told_apart_from_the_call_that_needed_it(
    net: FakeNetwork, events: list[Event]
) -> None:
    transport = net.transport()
    transport.clock_ns = lambda: net.clock() + 3600 * 10**9
    async with Agent(Identity.generate(), net.network(), transport=transport, trace=events.append) as agent:
        await agent.update(CANISTER, "add", b"1")
    assert [(e.kind, e.aside, e.attempt, e.outcome) for e in events] == [
        ("call", "", 1, "HTTP 400"),
        ("read_state", "the network's time", 1, "HTTP 200"),
        ("query", "the network's time", 2, "HTTP 200"),
        ("time", "the network's time", 2, "replied"),
        ("call", "", 2, "HTTP 200"),
        ("call", "", 2, "replied"),
    ]


async def test_an_aside_that_fails_is_told_and_so_is_the_request_that_needed_it(
    agent: Agent, net: FakeNetwork, events: list[Event]
) -> None:
    net.next_answers = [None, httpx.Response(403)]
    with pytest.raises(ProtocolError) as refused:
        await agent.query(CANISTER, "get", b"1")
    assert (refused.value.method, refused.value.canister_id) == ("get", CANISTER)
    assert [(e.kind, e.outcome) for e in events if e.complete] == [
        ("read_state", "ProtocolError"),
        ("query", "ProtocolError"),
    ]


async def test_a_transport_tells_of_requests_that_no_agent_makes(net: FakeNetwork, events: list[Event]) -> None:
    async with net.transport(trace=events.append) as transport:
        response = await transport.get("/api/v2/status")
        assert [(e.kind, e.complete, e.attempt, e.outcome) for e in events] == [
            ("status", False, 1, "HTTP 200"),
            ("status", True, 1, "replied"),
        ]
        assert events[1].bytes_received == len(response.body)
        assert str(events[1]).startswith("status, 1 attempt: ")
        async with transport.unshared() as twin:
            await twin.get("/api/v2/status")
    assert len(events) == 4


async def test_several_listeners_are_told_in_their_order(net: FakeNetwork) -> None:
    told: list[str] = []
    hook = told_to(lambda event: told.append(f"first {event.kind}"), lambda event: told.append(f"second {event.kind}"))
    async with Agent(Identity.generate(), net.network(), transport=net.transport(), trace=hook) as agent:
        await agent.status()
    assert told == ["first status", "second status"] * 2


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
    verbosity: int,
    lines: int,
) -> None:
    logs.start(verbosity)
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
@pytest.mark.parametrize(("verbosity", "lines"), [(1, 1), (2, 4)])
async def test_v_shows_one_attempt_of_a_query_that_needed_node_keys_and_vv_the_keys_too(
    net: FakeNetwork,
    capsys: pytest.CaptureFixture[str],
    verbosity: int,
    lines: int,
) -> None:
    logs.start(verbosity)
    async with Agent(Identity.generate(), net.network(), transport=net.transport()) as agent:
        await agent.query(CANISTER, "get", b"1")
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == lines
    assert "1 attempt: replied" in shown[-1]
    assert sum("for node keys" in line for line in shown) == (2 if verbosity == 2 else 0)


@pytest.mark.usefixtures("restored_logging")
async def test_with_json_a_call_is_an_object_with_its_request_id(
    net: FakeNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    with printing(json=True):
        logs.start(1)
    async with Agent(Identity.generate(), net.network(), transport=net.transport()) as agent:
        await agent.update(CANISTER, "add", b"1")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    (request_id,) = net.executed
    assert (told["request_id"], told["method"], told["outcome"]) == (request_id.hex(), "add", "replied")
    assert (told["canister"], told["attempt"], told["level"]) == (str(CANISTER), 1, "info")
