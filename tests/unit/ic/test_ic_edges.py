"""The agent's limits to the last second and the last status: where one answer ends and the other begins."""

from __future__ import annotations

import asyncio
from typing import Any

import cbor2
import httpx
import pytest

from canister_factory.candid import leb128
from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor, outcome
from canister_factory.ic.agent import Agent
from canister_factory.ic.envelope import verify_envelope
from canister_factory.ic.errors import (
    NetworkUnreachableError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    RequestExpiryError,
    TransportError,
)
from canister_factory.ic.network import Network
from canister_factory.ic.outcome import Call, Undecided, judge
from canister_factory.ic.requester import Signed, answer_of, refusal, rejection_in
from canister_factory.ic.requests import QueryRequest
from canister_factory.ic.trace import Event
from canister_factory.ic.transport import Response
from support.ic_test_support import ALICE, CANISTER, NOW_NS, ROOT, STRANGER, SUBNET, FakeClock, FakeNetwork, agent_of

SECOND = 10**9
EXPIRED = b"Invalid request expiry: Specified ingress_expiry not within expected range"
MANAGEMENT = Principal.management_canister()


# --- Judging the first answer ----------------------------------------------------------------------------------------


def judged(response: Response) -> bytes | Undecided:
    def never(data: bytes) -> Any:
        raise AssertionError("there is no certificate in it")

    return judge(response, Call(Signed(b"id", NOW_NS, b"body"), CANISTER), never)


@pytest.mark.parametrize("status", [201, 202, 204, 301, 399, 408, 425, 429, 499, 500, 503, 599])
def test_an_answer_of_such_a_status_decides_nothing(status: int) -> None:
    found = judged(Response(status, b"words"))
    told = "accepted, but no outcome in time" if status == 202 else f"HTTP {status}: words"
    assert found == Undecided(told)


@pytest.mark.parametrize("status", [400, 401, 404, 407, 409, 413, 424, 426, 428, 430, 498])
def test_an_answer_of_such_a_status_says_that_the_call_was_not_taken(status: int) -> None:
    with pytest.raises(ProtocolError, match=f"the answer to the call: HTTP {status}: words") as refused:
        judged(Response(status, b"words"))
    assert refused.value.status == status


def test_a_certificate_that_is_no_bytes_is_no_certificate() -> None:
    found = judged(Response(200, cbor.dumps({"status": "replied", "certificate": "text"})))
    reason = "the answer to a call is neither a certificate nor a rejection"
    assert found == Undecided(f"the answers can't be verified: {reason}")


def test_only_an_answer_that_says_replied_is_read_by_its_certificate() -> None:
    rejection = {"reject_code": 4, "reject_message": "no", "certificate": b"a certificate"}
    with pytest.raises(RejectedError, match="no"):
        judged(Response(200, cbor.dumps({"status": "non_replicated_rejection", **rejection})))
    assert isinstance(judged(Response(200, cbor.dumps({"status": "dancing", **rejection}))), Undecided)


@pytest.mark.parametrize(
    ("status", "error"), [(499, ProtocolError), (500, TransportError), (201, ProtocolError), (404, ProtocolError)]
)
def test_a_read_that_fails_on_the_server_may_be_tried_again_and_any_other_not(
    status: int, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"the answer: HTTP {status}: words"):
        answer_of(Response(status, b"words"), "the answer")


def test_a_refusal_for_the_expiry_keeps_its_status() -> None:
    refused = refusal(Response(400, EXPIRED), "the call")
    assert (type(refused), refused.status) == (RequestExpiryError, 400)
    for other in (Response(403, EXPIRED), Response(400, b"invalid signature")):
        assert type(refusal(other, "the call")) is ProtocolError


# --- Waiting ---------------------------------------------------------------------------------------------------------


def test_the_tolerances_are_those_that_the_documentation_and_the_specification_give() -> None:
    assert outcome._EXPIRY_MARGIN_NS == 30 * SECOND
    assert outcome._PROCESSING_MARGIN_NS == 300 * SECOND
    assert outcome._RESEND_AFTER_NS == 5 * SECOND
    assert (outcome._POLL_FIRST_S, outcome._POLL_FACTOR, outcome._POLL_MAX_S) == (0.2, 1.4, 5.0)


async def test_pauses_between_polls_grow_to_five_seconds(agent: Agent, net: FakeNetwork) -> None:
    net.accept_only, net.polls_until_done = True, 14
    assert await agent.update(CANISTER, "put", b"1") == b"reply to 1"
    expected = [min(0.2 * 1.4**n, 5.0) for n in range(15)]
    assert net.clock.slept == pytest.approx(expected)


async def test_an_earlier_call_is_waited_for_for_five_minutes_unless_its_expiry_is_known(
    agent: Agent, net: FakeNetwork
) -> None:
    with pytest.raises(OutcomeUnknownError) as unknown:
        await agent.wait_for(b"r" * 32, CANISTER)
    assert unknown.value.expiry_ns == NOW_NS + 300 * SECOND
    with pytest.raises(OutcomeUnknownError) as unknown:
        await agent.wait_for(b"r" * 32, CANISTER, expiry_ns=NOW_NS + SECOND)
    assert unknown.value.expiry_ns == NOW_NS + SECOND


async def test_an_earlier_call_that_was_not_asked_for_in_time_has_no_outcome(agent: Agent, net: FakeNetwork) -> None:
    with pytest.raises(OutcomeUnknownError, match="no outcome in time"):
        await agent.wait_for(b"r" * 32, CANISTER, expiry_ns=NOW_NS - 31 * SECOND)
    assert net.requests == []


@pytest.mark.parametrize(("refusals", "settled"), [(4, False), (5, True)])
async def test_five_refusals_in_a_row_settle_that_the_status_may_not_be_read(
    agent: Agent, net: FakeNetwork, refusals: int, settled: bool
) -> None:
    no = httpx.Response(403, content=b"not yours")
    # What comes between them is no refusal, and they are counted anew.
    net.next_answers = [httpx.Response(202), *[no] * 4, httpx.Response(200, content=b"<html>"), *[no] * refusals]
    net.accepted, net.accept_only = {}, True
    if settled:
        with pytest.raises(OutcomeUnknownError, match=r"its status can't be read: .* HTTP 403"):
            await agent.update(CANISTER, "put", b"1")
    else:
        assert await agent.update(CANISTER, "put", b"1") == b"reply to 1"


def stranger() -> httpx.Response:
    certificate = STRANGER.certify({b"time": leb128.unsigned(NOW_NS)})
    return httpx.Response(200, content=cbor.dumps({"certificate": certificate}))


async def test_strangers_are_counted_from_the_first_answer_on(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.Response(202), *[stranger()] * 8]
    with pytest.raises(OutcomeUnknownError, match="is the root key this network's"):
        await agent.update(CANISTER, "put", b"1")
    assert len(net.posted("read_state")) == 8


async def test_a_call_that_the_subnet_does_not_know_is_sent_again_after_five_seconds(
    agent: Agent, net: FakeNetwork
) -> None:
    net.calls_to_lose = 1
    assert await agent.update(CANISTER, "put", b"1") == b"reply to 1"
    kinds = [path.rsplit("/", 1)[1] for path, _ in net.requests]
    assert kinds[:10] == ["call", *["read_state"] * 8, "call"]  # after 0.2 s, 0.48 s, ... 4.8 s, 6.9 s
    assert sum(net.clock.slept[:7]) < 5 < sum(net.clock.slept[:8])
    first, again = net.posted("call")
    assert first == again


async def test_a_call_that_is_not_known_after_its_expiry_is_not_waited_for(agent: Agent, net: FakeNetwork) -> None:
    net.calls_to_lose = 1000
    with pytest.raises(OutcomeUnknownError, match="the subnet doesn't know of it"):
        await agent.update(CANISTER, "put", b"1")
    assert 240 <= (net.clock() - NOW_NS) / SECOND <= 240 + 5


@pytest.mark.parametrize(("strangers", "settled"), [(7, False), (8, True)])
async def test_eight_strangers_in_a_row_settle_that_the_root_key_is_another_networks(
    agent: Agent, net: FakeNetwork, strangers: int, settled: bool
) -> None:
    # What comes between them is no stranger's, and they are counted anew.
    between = httpx.Response(200, content=b"<html>")
    net.next_answers = [httpx.Response(202), *[stranger()] * 7, between, *[stranger()] * strangers]
    net.calls_to_lose = 1
    if settled:
        with pytest.raises(OutcomeUnknownError, match="is the root key this network's"):
            await agent.update(CANISTER, "put", b"1")
        assert len(net.posted("read_state")) == 7 + 1 + 8
    else:
        assert await agent.update(CANISTER, "put", b"1") == b"reply to 1"


# --- Time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skew_s", "good"), [(60, True), (61, False), (-220, True), (-221, False)])
async def test_a_refused_expiry_was_good_from_twenty_seconds_to_five_minutes_ahead(
    net: FakeNetwork, skew_s: int, good: bool
) -> None:
    async with agent_of(net, skew_s) as agent:
        net.next_answers = [httpx.Response(400, content=EXPIRED)]
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    # A good one is waited for, and in the end sent again as it was; another one is signed anew.
    assert len({*net.posted("call")}) == (1 if good else 2)


async def test_the_time_is_asked_for_anonymously_with_nothing_in_it(net: FakeNetwork) -> None:
    async with agent_of(net, -3600) as agent:
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    (read,) = net.posted("read_state")
    (query,) = net.posted("query")
    asked = verify_envelope(query, net.clock()).request
    assert isinstance(asked, QueryRequest)
    assert asked.sender == b"\x04"
    assert (asked.canister_id, asked.method_name, asked.arg) == (CANISTER.bytes, "what_time_is_it", b"")
    assert asked.ingress_expiry_ns == NOW_NS + 240 * SECOND
    assert cbor.loads_map(read, "request")["content"]["ingress_expiry"] == NOW_NS - 3360 * SECOND
    assert cbor.loads_map(read, "request")["content"]["paths"] == [[b"subnet"], [b"time"]]


@pytest.mark.parametrize("skew_s", [0, 3600])
async def test_a_request_is_sent_again_until_its_expiry_and_not_longer(net: FakeNetwork, skew_s: int) -> None:
    transport = net.transport()
    transport.clock_ns = lambda: net.clock() + skew_s * SECOND
    async with Agent(ALICE, net.network(), transport=transport, ingress_expiry_s=100) as agent:
        agent.clock.offset_ns = -skew_s * SECOND
        net.next_answers = [httpx.Response(503, headers={"retry-after": "60"}) for _ in range(9)]
        with pytest.raises(TransportError, match="503"):
            await agent.query(CANISTER, "get", b"1")
    assert len(net.clock.slept) == 1


# --- The agent's own -------------------------------------------------------------------------------------------------


async def test_when_nothing_listens_the_networks_hint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:2")
    network = Network("here", "http://127.0.0.1:1", ROOT.der, hint="start it first")
    async with Agent(ALICE, network) as agent:
        agent.transport.sleep = FakeClock().sleep
        with pytest.raises(NetworkUnreachableError, match=r"can't connect to http://127.0.0.1:1: .*; start it first"):
            await agent.query(CANISTER, "get", b"")


async def test_a_call_that_goes_to_the_management_canisters_own_id_is_not_refused_here(
    agent: Agent, net: FakeNetwork
) -> None:
    net.delegation = None  # the root subnet may speak for every id
    assert await agent.update(MANAGEMENT, "raw", b"1", effective_canister_id=MANAGEMENT) == b"reply to 1"
    with pytest.raises(ValueError, match="needs an effective_canister_id"):
        await agent.update(MANAGEMENT, "raw", b"1")


def test_a_blocking_call_goes_by_the_same_clock_and_what_was_learnt(net: FakeNetwork) -> None:
    agent = Agent(ALICE, net.network(), transport=net.transport())

    async def twin(other: Agent) -> tuple[bool, bool]:
        return other.clock is agent.clock, other._requester.learnt is agent._requester.learnt

    assert agent.run_blocking(twin) == (True, True)


async def test_reads_of_a_subnet_the_topology_and_earlier_calls_are_told_too(net: FakeNetwork) -> None:
    events: list[Event] = []
    async with Agent(ALICE, net.network(), transport=net.transport(), trace=events.append) as agent:
        await agent.read_subnet_state(Principal(SUBNET.subnet_id), [[b"time"]])
        await agent.default_effective_canister_id()
        with pytest.raises(OutcomeUnknownError):
            await agent.wait_for(b"r" * 32, CANISTER, expiry_ns=NOW_NS)
    assert [(e.kind, e.canister, e.request_id) for e in events if e.complete] == [
        ("read_state", str(Principal(SUBNET.subnet_id)), b""),
        ("topology", "", b""),
        ("call", str(CANISTER), b"r" * 32),
    ]
    assert [(e.kind, e.attempt) for e in events if not e.complete][:2] == [("read_state", 1), ("topology", 1)]


@pytest.mark.parametrize(
    "rejection",
    [
        {},
        {"reject_code": 4},
        {"reject_message": "no"},
        {"reject_code": "4", "reject_message": "no"},
        {"reject_code": -1, "reject_message": "no"},
        {"reject_code": 10**5_000, "reject_message": "no"},
    ],
    ids=["neither", "no message", "no code", "text", "negative", "longer than Python writes out"],
)
def test_a_rejection_needs_a_code_and_a_message(rejection: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="a rejection without code or message"):
        rejection_in(rejection)


@pytest.mark.parametrize("code", [0, 2**64 - 1])
def test_any_code_of_64_bits_is_a_code(code: int) -> None:
    assert rejection_in({"reject_code": code, "reject_message": "no"}).code == code


async def test_two_requests_differ_by_sixteen_random_bytes(net: FakeNetwork) -> None:
    async with Agent(ALICE, net.network(), transport=net.transport()) as agent:
        for _ in range(2):
            await agent.query(CANISTER, "get", b"x")
    first, second = (cbor2.loads(body)["content"]["nonce"] for body in net.posted("query"))
    assert (len(first), len(second)) == (16, 16)
    assert first != second


@pytest.mark.parametrize(("detail", "kept"), [("IC0406", "IC0406"), (5, None), (None, None)])
def test_the_detailed_code_of_a_rejection_is_kept_if_it_is_a_text(detail: object, kept: str | None) -> None:
    rejection = rejection_in({"reject_code": 4, "reject_message": "no", "error_code": detail})
    assert (rejection.code, rejection.error_code, rejection.certified) == (4, kept, False)


@pytest.mark.parametrize(
    ("body", "named"),
    [(b"junk", "the answer to the call: "), (cbor.dumps([]), "the answer to the call: expected a CBOR map")],
)
def test_an_answer_that_cannot_be_read_is_named(body: bytes, named: str) -> None:
    found = judged(Response(200, body))
    assert isinstance(found, Undecided)
    assert found.reason.startswith(f"the answers can't be verified: {named}")


async def test_answers_to_reads_are_named_in_errors(agent: Agent, net: FakeNetwork) -> None:
    for answer, named in (
        (httpx.Response(403), r"the answer to read_state: HTTP 403"),
        (httpx.Response(200, content=cbor.dumps({})), "the answer to read_state has no certificate"),
        (
            httpx.Response(200, content=cbor.dumps({"certificate": "text"})),
            "the answer to read_state has no certificate",
        ),
    ):
        net.next_answers = [answer]
        with pytest.raises(ProtocolError, match=named):
            await agent.read_state(CANISTER, [[b"time"]])
    net.next_answers = [httpx.Response(403)]
    with pytest.raises(ProtocolError, match="the answer to the query of get: HTTP 403"):
        await agent.query(CANISTER, "get", b"")
    net.next_answers = [httpx.Response(404)]
    with pytest.raises(ProtocolError, match="the network's status: HTTP 404"):
        await agent.status()


def test_a_blocking_call_has_the_agents_settings(net: FakeNetwork) -> None:
    events: list[Event] = []
    made = Agent(
        ALICE,
        net.network(),
        transport=net.transport(),
        ingress_expiry_s=100,
        verify_query_signatures=False,
        trace=events.append,
    )

    async def settings(other: Agent) -> tuple[Any, ...]:
        await other.status()
        return other.identity, other.network, other.ingress_expiry, other.verify_query_signatures

    assert made.run_blocking(settings) == (ALICE, made.network, 100, False)
    assert [event.kind for event in events] == ["status", "status"]


async def test_calls_at_the_same_time_learn_the_networks_time_once(net: FakeNetwork) -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # the other calls go on, so that all of them are refused before the time is known
        return net.handle(request)

    async with agent_of(net, 3600, http=handle) as agent:
        replies = await asyncio.gather(*(agent.update(CANISTER, "add", bytes([n])) for n in range(4)))
    assert replies == [b"reply to " + bytes([n]) for n in range(4)]
    assert (agent.clock.corrections, len(net.posted("query"))) == (1, 1)


async def test_a_read_refused_for_its_expiry_while_the_clock_is_right_is_not_tried_again(
    agent: Agent, net: FakeNetwork
) -> None:
    net.next_answers = [httpx.Response(400, content=EXPIRED)]
    with pytest.raises(RequestExpiryError, match="the answer to the query of get"):
        await agent.query(CANISTER, "get", b"1")
    assert len(net.posted("query")) == 2, "the second asked for the time"
