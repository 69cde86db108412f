"""What the traffic of an agent came to, by kind and method."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest

from canister_factory.cli.command_agent import CommandAgent
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.trace import Event, heard_by, told_to
from canister_factory.ic.traffic import Tally, Traffic
from support.ic_test_support import ALICE, CANISTER, FakeNetwork


async def test_requests_are_summed_up_by_kind_and_method(net: FakeNetwork) -> None:
    traffic, events = Traffic(), list[Event]()
    hook = told_to(events.append, traffic)
    async with Agent(ALICE, net.network(), transport=net.transport(), trace=hook) as agent:
        await agent.query(CANISTER, "get", b"1")
        net.next_answers = [httpx.ReadTimeout("slow")]
        await agent.query(CANISTER, "get", b"1")
        await agent.update(CANISTER, "add", b"1")
        net.canister = lambda envelope: {"reject_code": 4, "reject_message": "no", "error_code": "IC0406"}
        with pytest.raises(RejectedError):
            await agent.update(CANISTER, "add", b"1")
    assert {name: (t.requests, t.failures, t.attempts) for name, t in traffic.tallies.items()} == {
        "query get": (2, 0, 3),
        "read_state for node keys": (1, 0, 1),
        "call add": (2, 1, 2),
    }
    queries = traffic.tallies["query get"]
    assert queries.bytes_sent == sum(map(len, net.posted("query")))
    assert queries.milliseconds == sum(e.milliseconds for e in events if e.complete and e.kind == "query")
    attempts = [event for event in events if not event.complete]
    total = traffic.total
    assert (total.requests, total.failures, total.attempts) == (5, 1, len(attempts))
    assert total.bytes_sent == sum(len(body) for _, body in net.requests)
    assert total.bytes_received == sum(event.bytes_received for event in attempts)
    assert repr(traffic) == "Traffic(5 requests, 1 failures, 6 attempts)"


async def test_pieces_of_work_through_one_agent_are_counted_apart_with_the_tasks_that_they_start(
    net: FakeNetwork,
) -> None:
    all_of_it, traffics = Traffic(), [Traffic(), Traffic()]
    async with Agent(ALICE, net.network(), transport=net.transport(), trace=all_of_it) as agent:
        await agent.status()

        async def work(traffic: Traffic, calls: int) -> None:
            with heard_by(traffic):
                await asyncio.gather(*(agent.update(CANISTER, "add", b"1") for _ in range(calls)))
            await agent.update(CANISTER, "add", b"1")

        await asyncio.gather(*map(work, traffics, (2, 3)))
    assert [(t.total.requests, t.total.attempts) for t in traffics] == [(2, 2), (3, 3)]
    assert {name: tally.requests for name, tally in all_of_it.tallies.items()} == {"status": 1, "call add": 7}


async def test_a_request_needed_besides_is_heard_once_and_inner_work_counts_for_the_outer(net: FakeNetwork) -> None:
    outer, inner = Traffic(), Traffic()
    async with Agent(ALICE, net.network(), transport=net.transport()) as agent:
        with heard_by(outer):
            with heard_by(inner):
                await agent.query(CANISTER, "get", b"1")
            await agent.query(CANISTER, "get", b"1")
    keys = {"read_state for node keys": 1}
    assert {name: tally.requests for name, tally in inner.tallies.items()} == {"query get": 1} | keys
    assert {name: tally.requests for name, tally in outer.tallies.items()} == {"query get": 2} | keys


def test_sums_are_plain_values_for_json_and_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    traffic = Traffic()
    traffic(Event("call", "", "a\nb", b"", True, 2, 1500, 20, "replied", 1.26))
    traffic(Event("call", "", "a\nb", b"", False, 2, 1500, 20, "HTTP 200", 1.26))  # an attempt is in its request
    assert json.loads(json.dumps(traffic.fields())) == {
        r"call a\nb": {
            "requests": 1,
            "failures": 0,
            "attempts": 2,
            "bytes_sent": 1500,
            "bytes_received": 20,
            "milliseconds": 1.3,
        }
    }
    assert traffic.total == Tally(1, 0, 2, 1500, 20, 1.26)
    with caplog.at_level(logging.DEBUG, "canister_factory.ic.traffic"):
        traffic.log()
    (line,) = caplog.messages
    assert line.endswith(": 1 requests, 0 failed, 2 attempts, 1,500 bytes sent, 20 received, 1 ms")
    assert vars(caplog.records[0])["attempts"] == 2


async def test_a_command_says_at_its_end_what_its_traffic_came_to(
    net: FakeNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "canister_factory.ic.traffic")

    def at_the_end() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "canister_factory.ic.traffic"]

    agent = CommandAgent(ALICE, net.network())
    agent.transport._http = httpx.MockTransport(net.handle)
    async with agent:
        await agent.status()
        assert not at_the_end()
    (line,) = at_the_end()
    assert line.startswith("status: 1 requests, 0 failed, 1 attempts, 0 bytes sent, ")
