"""Once a call may have been delivered, only what is certified decides: every bad answer, at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from canister_factory.candid import leb128
from canister_factory.ic import cbor
from canister_factory.ic.agent import Agent
from canister_factory.ic.envelope import verify_envelope
from canister_factory.ic.errors import (
    NetworkUnreachableError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    TransportError,
)
from support.ic_test_support import (
    ALICE,
    CANISTER,
    NOW_NS,
    OTHER_CANISTER,
    STRANGER,
    SUBNET,
    BlsKey,
    FakeClock,
    FakeNetwork,
    delegation,
)

REJECTION = {"status": "non_replicated_rejection", "reject_code": 4, "reject_message": "no", "error_code": "IC0406"}
EXPIRED = "Invalid request expiry: Specified ingress_expiry not within expected range: Minimum allowed expiry: ..."


def at(seconds: int) -> FakeNetwork:
    return FakeNetwork(FakeClock(NOW_NS + seconds * 10**9))


def other_request(answer: bytes) -> bytes:
    """A genuine certificate, but about another request."""
    other = at(0)
    other.executed[b"other request id, 32 bytes long.."] = b"a reply"
    return certified(other.certificate(b"other request id, 32 bytes long.."))


def other_subnet(answer: bytes) -> bytes:
    subnet = BlsKey(b"other subnet")
    ranges = [(OTHER_CANISTER.bytes, OTHER_CANISTER.bytes)]
    return certified(subnet.certify({b"time": leb128.unsigned(NOW_NS)}, delegation(subnet=subnet, ranges=ranges)))


def certified(certificate: bytes) -> bytes:
    return cbor.dumps({"status": "replied", "certificate": certificate})


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda answer: b"",
    "cut off": lambda answer: answer[: len(answer) // 2],
    "HTML": lambda answer: b"<html><body>Please log in</body></html>",
    "a list": lambda answer: cbor.dumps([]),
    "an empty map": lambda answer: cbor.dumps({}),
    "replied without a certificate": lambda answer: cbor.dumps({"status": "replied"}),
    "replied, but rejected": lambda answer: cbor.dumps({**REJECTION, "status": "replied"}),
    "an unknown status": lambda answer: cbor.dumps({**REJECTION, "status": "dancing"}),
    "a rejection without a text": lambda answer: cbor.dumps({"status": "non_replicated_rejection", "reject_code": 4}),
    "a certificate of junk": lambda answer: certified(b"junk"),
    "a tampered reply": lambda answer: answer.replace(b"reply to 1", b"reply to 2"),
    "a stranger's certificate": lambda answer: certified(STRANGER.certify({b"time": leb128.unsigned(NOW_NS)})),
    "another request's certificate": other_request,
    "another subnet's certificate": other_subnet,
    "an old certificate": lambda answer: certified(at(-301).certificate()),
    "a certificate from the future": lambda answer: certified(at(3600).certificate()),
    "a certificate without a time": lambda answer: certified(SUBNET.certify({b"a": b""}, delegation())),
    "a certificate without the request": lambda answer: certified(at(0).certificate()),
}


def in_turn(answers: list[httpx.Response | Exception]) -> Callable[[bytes], httpx.Response | Exception]:
    """Each answer once."""
    rest = iter(answers)
    return lambda answer: next(rest)


class Liar:
    """Lets `net` handle every request, and changes what it answers to those that `lies` says."""

    def __init__(self, net: FakeNetwork, lie: Callable[[bytes], httpx.Response | Exception]) -> None:
        self.net = net
        self.lie = lie
        self.lies: Callable[[int], bool] = lambda number: True
        self.seen = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        answer = self.net.handle(request)
        self.seen += 1
        if not self.lies(self.seen):
            return answer
        changed = self.lie(answer.content)
        if isinstance(changed, Exception):
            raise changed
        return changed

    def agent(self, **options: Any) -> Agent:
        transport = self.net.transport()
        transport._http = httpx.MockTransport(self.handle)
        return Agent(ALICE, self.net.network(), transport=transport, **options)


def body(change: Callable[[bytes], bytes]) -> Callable[[bytes], httpx.Response]:
    return lambda answer: httpx.Response(200, content=change(answer))


def failing(*arguments: Any, **options: Any) -> Callable[[bytes], httpx.Response]:
    return lambda answer: httpx.Response(*arguments, **options)


Lie = Callable[[bytes], httpx.Response | Exception]
LIES: dict[str, Lie] = {
    **{name: body(change) for name, change in GARBAGE.items()},
    **{f"HTTP {status}": failing(status, content=b"oops") for status in (202, 204, 302, 408, 499, 500, 502, 503, 504)},
    "a broken connection": lambda answer: httpx.RemoteProtocolError("peer closed connection"),
    "a time-out": lambda answer: httpx.ReadTimeout("slow"),
    "too large": lambda answer: httpx.Response(200, content=bytes(9 << 20)),
}
REFUSALS: dict[str, Lie] = {f"HTTP {status}": failing(status, content=b"no") for status in (400, 403, 404, 413)}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("lies_first", [1, 2, 8])
async def test_what_may_have_been_delivered_is_asked_for_until_the_certified_reply_is_there(
    net: FakeNetwork, lie: str, lies_first: int
) -> None:
    liar = Liar(net, LIES[lie])
    liar.lies = lambda number: number <= lies_first
    async with liar.agent() as agent:
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.executed) == 1
    assert len(set(net.posted("call"))) == 1


@pytest.mark.sample(12)  # each of which is disbelieved above; here they go on until the patience ends
@pytest.mark.parametrize("lie", LIES)
async def test_when_no_answer_can_be_trusted_the_outcome_is_unknown_and_nothing_else(
    net: FakeNetwork, lie: str
) -> None:
    liar = Liar(net, LIES[lie])
    liar.lies = lambda number: number > 1
    async with liar.agent() as agent:
        await agent.read_state(CANISTER, [[b"time"]])
        with pytest.raises(OutcomeUnknownError) as caught:
            await agent.update(CANISTER, "add", b"1")
    assert not caught.value.retry_helps
    assert caught.value.expiry_ns == NOW_NS + 240 * 10**9
    assert net.clock.now_ns >= caught.value.expiry_ns
    assert len(net.executed) == 1
    if lie in GARBAGE and lie not in ("a certificate without the request", "another request's certificate"):
        assert "can't be verified" in str(caught.value)


@pytest.mark.parametrize("lie", LIES | REFUSALS)
@pytest.mark.parametrize("lies_first", [1, 4])
async def test_a_bad_answer_to_polling_costs_one_more_poll(net: FakeNetwork, lie: str, lies_first: int) -> None:
    net.accept_only = True
    liar = Liar(net, (LIES | REFUSALS)[lie])
    liar.lies = lambda number: 2 <= number < 2 + lies_first
    async with liar.agent() as agent:
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.executed) == 1


async def test_a_certified_rejection_decides_also_after_bad_answers(net: FakeNetwork) -> None:
    net.canister = lambda request: {name: REJECTION[name] for name in ("reject_code", "reject_message", "error_code")}
    liar = Liar(net, LIES["HTML"])
    liar.lies = lambda number: number <= 3
    async with liar.agent() as agent:
        with pytest.raises(RejectedError, match="no") as caught:
            await agent.update(CANISTER, "add", b"1")
    assert caught.value.certified


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
async def test_a_refusal_of_the_only_attempt_says_that_nothing_was_accepted(
    agent: Agent, net: FakeNetwork, status: int
) -> None:
    net.next_answers = [httpx.Response(status, content=b"because")] * (3 if status == 404 else 1)
    with pytest.raises(ProtocolError, match="because") as caught:
        await agent.update(CANISTER, "add", b"1")
    assert caught.value.status == status
    assert not net.executed
    assert not net.posted("read_state")


@pytest.mark.parametrize("refusal", [*REFUSALS, "a rejection"])
async def test_a_refusal_does_not_take_back_an_earlier_attempt(net: FakeNetwork, refusal: str) -> None:
    lies = {**REFUSALS, "a rejection": failing(200, content=cbor.dumps(REJECTION))}
    first: list[Any] = [httpx.ReadTimeout("slow")]
    liar = Liar(net, lambda answer: first.pop() if first else lies[refusal](answer))
    liar.lies = lambda number: number <= 4
    async with liar.agent() as agent:
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.executed) == 1


async def test_an_attempt_at_a_newer_version_counts_when_an_older_one_can_not_be_reached(net: FakeNetwork) -> None:
    answers: list[Any] = [httpx.ReadTimeout("slow"), httpx.Response(404), *[httpx.ConnectError("refused")] * 3]
    liar = Liar(net, lambda answer: answers.pop(0))
    liar.lies = lambda number: bool(answers)
    async with liar.agent() as agent:
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.executed) == 1


async def test_an_error_tells_of_an_earlier_attempt_only_if_the_last_one_surely_did_not_arrive(
    net: FakeNetwork,
) -> None:
    told = "an earlier attempt may have arrived"
    for last, said in ((httpx.ReadTimeout("slow"), False), (httpx.ConnectError("refused"), True)):
        answers: list[Any] = [httpx.ReadTimeout("slow"), httpx.Response(404), *[last] * 6]
        liar = Liar(net, in_turn(answers))
        async with liar.agent() as agent:
            with pytest.raises(TransportError) as caught:
                await agent.query(CANISTER, "get", b"1")
        assert caught.value.maybe_delivered
        assert (told in str(caught.value)) is said


async def test_what_was_not_sent_is_no_unknown_outcome(net: FakeNetwork) -> None:
    liar = Liar(net, lambda answer: httpx.ConnectError("refused"))
    async with liar.agent() as agent:
        with pytest.raises(NetworkUnreachableError):
            await agent.update(CANISTER, "add", b"1")


async def test_a_refusal_for_an_expiry_that_is_good_is_not_believed(net: FakeNetwork) -> None:
    liar = Liar(net, failing(400, content=EXPIRED.encode()))
    liar.lies = lambda number: number == 1
    async with liar.agent() as agent:
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.executed) == 1
    assert len(set(net.posted("call"))) == 1


async def test_a_status_that_makes_no_sense_leaves_the_outcome_unknown(agent: Agent, net: FakeNetwork) -> None:
    for status in (b"replied", b"rejected", b"dancing"):

        def half(request: Any, status: bytes = status) -> bytes:
            net.state = {
                b"request_status": {
                    verify_envelope(net.posted("call")[-1], net.clock()).request_id: {b"status": status}
                }
            }
            return b""

        net.canister = half
        with pytest.raises(OutcomeUnknownError, match="the request"):
            await agent.update(CANISTER, "put", b"x")


async def test_an_earlier_call_is_waited_for_through_bad_answers(net: FakeNetwork, agent: Agent) -> None:
    await agent.update(CANISTER, "add", b"1")
    (request_id,) = net.executed
    assert request_id == verify_envelope(net.posted("call")[0], NOW_NS).request_id
    liar = Liar(net, LIES["HTML"])
    liar.lies = lambda number: number <= 3
    async with liar.agent() as waiting:
        assert await waiting.wait_for(request_id, CANISTER) == b"reply to 1"
