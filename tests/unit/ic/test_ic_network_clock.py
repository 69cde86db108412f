"""A clock that is wrong is corrected by what the network proves, and by nothing that can be replayed."""

from __future__ import annotations

import logging

import httpx
import pytest

from canister_factory.ic import cbor
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import (
    IcError,
    OutcomeUnknownError,
    ProtocolError,
    StaleAnswerError,
    StaleCertificateError,
)
from canister_factory.ic.identity import Identity
from canister_factory.ic.network_clock import NetworkClock
from support.ic_test_support import ALICE, CANISTER, NOW_NS, FakeClock, FakeNetwork, agent_of

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize("skew_s", [-90, 90, -3 * MINUTE, 3 * MINUTE, -20 * MINUTE, 20 * MINUTE, -3 * HOUR, 3 * HOUR])
@pytest.mark.parametrize("first", ["update", "query", "read_state", "anonymous query"])
async def test_calls_work_by_the_networks_time(
    net: FakeNetwork, skew_s: int, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    identity = Identity.anonymous() if first.startswith("anonymous") else ALICE
    async with agent_of(net, skew_s, identity) as agent:
        if first == "update":
            assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
        elif first == "read_state":
            assert (await agent.read_state(CANISTER, [[b"time"]])).time_ns == net.clock()
        else:
            assert await agent.query(CANISTER, "get", b"1") == b"reply to 1"
        assert await agent.update(CANISTER, "add", b"2") == b"reply to 2"
    assert len(net.executed) == 1 + (first == "update")
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    if abs(skew_s) >= 5 * MINUTE:
        where = "ahead of" if skew_s > 0 else "behind"
        amount = f"{abs(skew_s) // HOUR} hours" if abs(skew_s) >= HOUR else f"{abs(skew_s) // MINUTE} minutes"
        assert warnings == [f"this computer's clock is {amount} {where} the network's: the network's time is used"]
        assert agent.clock() == net.clock()
    else:
        assert len(warnings) <= 1


@pytest.mark.parametrize("skew_s", [-25 * HOUR, 25 * HOUR])
async def test_a_clock_that_is_off_by_more_than_a_day_is_named_and_not_corrected(
    net: FakeNetwork, skew_s: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with agent_of(net, skew_s) as agent:
        with pytest.raises(ProtocolError, match="expiry"):
            await agent.update(CANISTER, "add", b"1")
        with pytest.raises(IcError, match="Specified ingress_expiry not within expected range"):
            await agent.query(CANISTER, "get", b"1")
    assert agent.clock.offset_ns == 0
    assert "set it" in caplog.text
    assert not net.executed


@pytest.mark.parametrize("age_s", [6 * MINUTE, 3 * HOUR, DAY])
async def test_a_replayed_certificate_is_refused_and_moves_no_clock(net: FakeNetwork, age_s: int) -> None:
    old = FakeNetwork(FakeClock(NOW_NS - age_s * 10**9))
    net.alter_certificate = lambda data: old.certificate()
    async with agent_of(net, 0) as agent:
        with pytest.raises(StaleCertificateError):
            await agent.read_state(CANISTER, [[b"time"]])
        with pytest.raises(StaleCertificateError):  # while fetching the node keys
            await agent.query(CANISTER, "get", b"1")
        with pytest.raises(OutcomeUnknownError, match="old"):
            await agent.update(CANISTER, "add", b"1")
        assert agent.clock.offset_ns == 0


async def test_recorded_answers_to_everything_are_not_the_networks_time(net: FakeNetwork) -> None:
    """Whoever stands in between has yesterday's certificate and yesterday's answer to the question for the time."""
    yesterday = FakeNetwork(FakeClock(NOW_NS - 20 * HOUR * 10**9))
    recorded: dict[str, bytes] = {}

    def record(request: httpx.Request) -> httpx.Response:
        answer = yesterday.handle(request)
        recorded[request.url.path.rsplit("/", 1)[-1]] = answer.content
        return answer

    async with agent_of(yesterday, 6 * HOUR, http=record) as victim:
        await victim.query(CANISTER, "get", b"1")
    assert set(recorded) == {"query", "read_state"}

    def replay(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=recorded[request.url.path.rsplit("/", 1)[-1]])

    async with agent_of(net, 0, http=replay) as agent:
        with pytest.raises(StaleCertificateError):
            await agent.read_state(CANISTER, [[b"time"]])
        assert agent.clock.offset_ns == 0


async def test_one_stale_signature_of_a_query_is_refused_while_the_clock_is_right(net: FakeNetwork) -> None:
    async with agent_of(net, 0) as agent:
        await agent.query(CANISTER, "get", b"1")

        def handle(request: httpx.Request) -> httpx.Response:
            late = b"get" in request.content
            net.time_offset_ns = -301 * 10**9 if late else 0
            return net.handle(request)

        agent.transport._http = httpx.MockTransport(handle)
        await agent.transport.close()
        with pytest.raises(StaleAnswerError, match="clock"):
            await agent.query(CANISTER, "get", b"1")
        assert agent.clock.corrections == 0


async def test_a_clock_that_is_set_right_meanwhile_is_followed(net: FakeNetwork) -> None:
    skew = [-20 * MINUTE]
    transport = net.transport()
    transport.clock_ns = lambda: net.clock() + skew[0] * 10**9
    async with Agent(ALICE, net.network(), transport=transport) as agent:
        await agent.update(CANISTER, "add", b"1")
        skew[0] = 0
        await agent.update(CANISTER, "add", b"2")
        assert agent.clock() == net.clock()
    assert len(net.executed) == 2


async def test_a_refusal_for_the_expiry_is_tried_once_more_and_then_told(net: FakeNetwork) -> None:
    refusal = b"Invalid request expiry: Specified ingress_expiry not within expected range"

    def handle(request: httpx.Request) -> httpx.Response:
        answer = net.handle(request)
        return httpx.Response(400, content=refusal) if request.url.path.endswith("/call") else answer

    async with agent_of(net, -20 * MINUTE, http=handle) as agent:
        with pytest.raises(ProtocolError, match="Invalid request expiry"):
            await agent.update(CANISTER, "add", b"1")
    assert len(net.posted("call")) == 2


def test_time_does_not_go_back_behind_what_was_fresh() -> None:
    clock = NetworkClock(lambda: NOW_NS)
    clock.saw(NOW_NS)
    earlier = NOW_NS - HOUR * 10**9
    assert not clock.correct(earlier, earlier)
    assert clock() == NOW_NS


def test_a_certificate_and_a_node_that_differ_prove_nothing() -> None:
    clock = NetworkClock(lambda: NOW_NS)
    assert not clock.correct(NOW_NS - HOUR * 10**9, NOW_NS)
    assert not clock.correct(NOW_NS, NOW_NS - HOUR * 10**9)
    assert repr(clock) == "NetworkClock(this computer's +0.0 s, 0 corrections)"


async def test_networks_without_an_answer_about_the_time_leave_the_clock_alone(net: FakeNetwork) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/query"):
            return httpx.Response(200, content=cbor.dumps({"status": "replied", "reply": {"arg": b""}}))
        return net.handle(request)

    async with agent_of(net, -20 * MINUTE, http=handle) as agent:
        with pytest.raises(ProtocolError, match="expiry"):
            await agent.update(CANISTER, "add", b"1")
        assert agent.clock.offset_ns == 0


async def test_an_answer_about_the_time_that_is_refused_is_named_in_the_log(
    net: FakeNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403) if request.url.path.endswith("/query") else net.handle(request)

    caplog.set_level(logging.INFO)
    async with agent_of(net, -20 * MINUTE, http=handle) as agent:
        with pytest.raises(ProtocolError, match="expiry"):
            await agent.update(CANISTER, "add", b"1")
    assert "the network's time can't be learnt: the answer about the time: HTTP 403" in caplog.text
