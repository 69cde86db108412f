"""The agent against a scripted network: it believes what is signed, and nothing else."""

from typing import Any

import cbor2
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor
from canister_factory.ic.agent import MAX_INGRESS_BYTES, Agent
from canister_factory.ic.envelope import verify_envelope
from canister_factory.ic.errors import (
    CertificateScopeError,
    CertificateSignatureError,
    IcError,
    IdentityError,
    IngressTooLargeError,
    NetworkUnreachableError,
    OutcomeUnknownError,
    ProtocolError,
    QuerySignatureError,
    RejectedError,
)
from canister_factory.ic.identity import DelegatedIdentity, Identity
from canister_factory.ic.network import Network
from canister_factory.ic.requests import CallRequest
from support.ic_test_support import ALICE, CANISTER, NOW_NS, OTHER_CANISTER, STRANGER, FakeNetwork

REJECTION = {"reject_code": 4, "reject_message": "no", "error_code": "IC0406"}


# --- Calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("canister", [CANISTER, str(CANISTER)], ids=["principal", "text"])
async def test_an_update_returns_the_certified_reply(agent: Agent, net: FakeNetwork, canister: Any) -> None:
    assert await agent.update(canister, "put", b"x") == b"reply to x"
    sent = verify_envelope(net.posted("call")[0], NOW_NS).request
    assert sent == CallRequest(ALICE.sender().bytes, NOW_NS + 240 * 10**9, CANISTER.bytes, "put", b"x")


async def test_an_identity_that_may_only_query_sends_no_calls(net: FakeNetwork) -> None:
    session = Identity.generate()
    link = ALICE.sign_delegation(session.der_pubkey or b"", NOW_NS + 10**12, permissions="queries")
    delegated = DelegatedIdentity(session, ALICE.der_pubkey or b"", [link])
    async with Agent(delegated, net.network(), transport=net.transport()) as agent:
        with pytest.raises(IdentityError, match="queries only: the call of put was not sent"):
            await agent.update(CANISTER, "put", b"x")
        assert not net.posted("call")
        assert await agent.query(CANISTER, "get", b"x") == b"reply to x"


async def test_an_empty_reply_is_a_reply(agent: Agent, net: FakeNetwork) -> None:
    net.canister = lambda request: b""
    assert await agent.update(CANISTER, "put", b"") == b""
    net.accept_only = True
    assert await agent.update(CANISTER, "put", b"") == b""


async def test_two_equal_calls_are_two_requests(agent: Agent, net: FakeNetwork) -> None:
    await agent.update(CANISTER, "add", b"1")
    await agent.update(CANISTER, "add", b"1")
    assert len(net.executed) == 2


async def test_a_certified_rejection_says_so(agent: Agent, net: FakeNetwork) -> None:
    net.canister = lambda request: REJECTION
    with pytest.raises(RejectedError, match=r"CANISTER_REJECT \(4, IC0406\): no") as caught:
        await agent.update(CANISTER, "put", b"")
    error = caught.value
    assert (error.code, error.message, error.error_code, error.certified) == (4, "no", "IC0406", True)
    assert not error.retry_helps


@pytest.mark.parametrize("status", [{"status": "non_replicated_rejection"}, {}], ids=["v3 and v4", "v2"])
async def test_a_rejection_by_one_replica_is_not_certified(agent: Agent, net: FakeNetwork, status: Any) -> None:
    net.next_answers = [httpx.Response(200, content=cbor.dumps({**status, **REJECTION, "reject_code": 2}))]
    with pytest.raises(RejectedError) as caught:
        await agent.update(CANISTER, "put", b"")
    assert not caught.value.certified
    assert caught.value.retry_helps


@pytest.mark.parametrize("version", ["v4", "v3", "v2"])
async def test_older_networks_are_spoken_to_in_their_version_and_remembered(
    agent: Agent, net: FakeNetwork, version: str
) -> None:
    net.versions = {"call": version, "query": "v2", "read_state": "v2"}
    for _ in range(2):
        assert await agent.update(CANISTER, "put", b"x") == b"reply to x"
        assert await agent.query(CANISTER, "get", b"x") == b"reply to x"
    asked = [path.split("/")[2] for path, _ in net.requests if path.endswith("/call")]
    assert asked == [*["v4", "v3", "v2"][: ["v4", "v3", "v2"].index(version) + 1], version]
    assert [path.split("/")[2] for path, _ in net.requests if path.endswith("/query")] == ["v3", "v2", "v2"]


async def test_an_accepted_call_is_polled_until_it_is_done(agent: Agent, net: FakeNetwork) -> None:
    net.accept_only = True
    net.polls_until_done = 3
    assert await agent.update(CANISTER, "put", b"x") == b"reply to x"
    assert net.clock.slept == pytest.approx([0.2, 0.28, 0.392, 0.5488])
    assert len(net.posted("call")) == 1


async def test_polling_survives_a_network_that_fails_at_times(agent: Agent, net: FakeNetwork) -> None:
    net.accept_only = True
    net.polls_until_done = 1
    net.next_answers = [
        None,
        *[httpx.ConnectError("refused")] * 3,
        *[httpx.Response(503)] * 6,
        httpx.Response(200, content=b"<html>"),
    ]
    assert await agent.update(CANISTER, "put", b"x") == b"reply to x"


async def test_a_status_that_may_not_be_read_leaves_the_outcome_unknown(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.Response(202), *[httpx.Response(403, content=b"not yours")] * 5]
    with pytest.raises(OutcomeUnknownError, match="not yours"):
        await agent.update(CANISTER, "put", b"x")


async def test_a_call_that_is_never_executed_has_an_unknown_outcome_until_its_expiry(
    agent: Agent, net: FakeNetwork
) -> None:
    net.calls_to_lose = 10**6
    with pytest.raises(OutcomeUnknownError, match="doesn't know of it") as caught:
        await agent.update(CANISTER, "put", b"x")
    expiry_ns = NOW_NS + 240 * 10**9
    assert caught.value.expiry_ns == expiry_ns
    assert caught.value.request_id == verify_envelope(net.posted("call")[0], NOW_NS).request_id
    assert expiry_ns < net.clock.now_ns < expiry_ns + 40 * 10**9
    assert max(net.clock.slept) == 5.0


async def test_a_call_that_was_accepted_and_lost_is_sent_again_as_the_same_bytes(
    agent: Agent, net: FakeNetwork
) -> None:
    net.calls_to_lose = 3
    assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.posted("call")) == 4
    assert len(set(net.posted("call"))) == 1
    assert len(net.executed) == 1
    assert net.clock.now_ns < NOW_NS + 60 * 10**9


async def test_a_call_that_is_being_processed_is_waited_for_beyond_its_expiry(agent: Agent, net: FakeNetwork) -> None:
    net.accept_only = True
    net.polls_until_done = 70
    assert await agent.update(CANISTER, "put", b"x") == b"reply to x"
    assert net.clock.now_ns > NOW_NS + 300 * 10**9
    net.polls_until_done = 10**6
    with pytest.raises(OutcomeUnknownError, match="still processing"):
        await agent.update(CANISTER, "put", b"x")


async def test_a_call_whose_reply_was_forgotten_has_an_unknown_outcome(agent: Agent, net: FakeNetwork) -> None:
    def forget(request: Any) -> bytes:
        net.state = {
            b"request_status": {verify_envelope(net.posted("call")[-1], net.clock()).request_id: {b"status": b"done"}}
        }
        return b""

    net.canister = forget
    with pytest.raises(OutcomeUnknownError, match="no longer has the reply"):
        await agent.update(CANISTER, "put", b"x")


async def test_when_the_connection_breaks_the_same_bytes_are_sent_and_executed_once(
    agent: Agent, net: FakeNetwork
) -> None:
    net.next_answers = [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone")]
    assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.posted("call")) == 3
    assert len(set(net.posted("call"))) == 1
    assert len(net.executed) == 1


async def test_when_no_answer_comes_the_outcome_is_read_from_the_state(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.ReadTimeout("slow")] * 6
    assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"
    assert len(net.executed) == 1
    assert net.posted("read_state")


async def test_when_nothing_answers_any_more_the_outcome_is_unknown(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.ReadTimeout("slow"), *[httpx.ConnectError("refused")] * 5000]
    with pytest.raises(OutcomeUnknownError, match="can't connect"):
        await agent.update(CANISTER, "add", b"1")
    assert net.clock.now_ns >= NOW_NS + 240 * 10**9


async def test_when_nothing_was_sent_that_is_what_is_said(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.ConnectError("refused")] * 3
    with pytest.raises(NetworkUnreachableError, match=r"http://127\.0\.0\.1:1"):
        await agent.update(CANISTER, "add", b"1")
    assert not net.posted("read_state")


async def test_a_refusal_after_an_attempt_that_may_have_arrived_does_not_decide(agent: Agent, net: FakeNetwork) -> None:
    refusal = httpx.Response(400, content=b"expired")
    rejection = httpx.Response(200, content=cbor.dumps({"status": "non_replicated_rejection", **REJECTION}))
    for second in (refusal, rejection, httpx.Response(500)):
        net.next_answers = [httpx.ReadTimeout("slow"), second]
        assert await agent.update(CANISTER, "add", b"1") == b"reply to 1"


async def test_a_refused_request_says_why(agent: Agent, net: FakeNetwork) -> None:
    net.next_answers = [httpx.Response(400, content=b"Invalid signature: bad")]
    with pytest.raises(ProtocolError, match="HTTP 400: Invalid signature: bad") as caught:
        await agent.update(CANISTER, "put", b"")
    assert caught.value.status == 400


async def test_a_call_may_have_just_the_size_that_the_limit_allows(agent: Agent, net: FakeNetwork) -> None:
    await agent.update(CANISTER, "put", bytes(1_500_000))
    (body,) = net.posted("call")
    fits = MAX_INGRESS_BYTES - (len(body) - 1_500_000)
    await agent.update(CANISTER, "put", bytes(fits))
    assert len(net.posted("call")[1]) == MAX_INGRESS_BYTES
    with pytest.raises(IngressTooLargeError):
        await agent.update(CANISTER, "put", bytes(fits + 1))


async def test_a_call_that_is_too_large_is_not_sent(agent: Agent, net: FakeNetwork) -> None:
    with pytest.raises(
        IngressTooLargeError, match=r"the call of put is 2,09\d,\d+ bytes, above the limit of"
    ) as caught:
        await agent.update(CANISTER, "put", bytes(MAX_INGRESS_BYTES - 100))
    assert caught.value.size_bytes > caught.value.limit_bytes
    assert not net.requests
    await agent.update(CANISTER, "put", bytes(MAX_INGRESS_BYTES - 1000))


async def test_a_management_call_needs_to_be_told_where_it_goes(agent: Agent, net: FakeNetwork) -> None:
    management = Principal.management_canister()
    with pytest.raises(ValueError, match="effective_canister_id"):
        await agent.update(management, "start_canister", b"")
    await agent.update(management, "start_canister", b"", effective_canister_id=CANISTER)
    assert net.requests[0][0] == f"/api/v4/canister/{CANISTER}/call"


async def test_an_earlier_call_can_be_waited_for_by_its_request_id(agent: Agent, net: FakeNetwork) -> None:
    await agent.update(CANISTER, "put", b"x")
    (request_id,) = net.executed
    assert await agent.wait_for(request_id, CANISTER) == b"reply to x"
    with pytest.raises(OutcomeUnknownError):
        await agent.wait_for(bytes(32), CANISTER)


# --- What is not believed --------------------------------------------------------------------------------------------


async def test_a_subnet_is_not_believed_about_a_canister_of_another_one(agent: Agent, net: FakeNetwork) -> None:
    with pytest.raises(CertificateScopeError):
        await agent.query(OTHER_CANISTER, "get", b"x")
    with pytest.raises(OutcomeUnknownError, match="canister ranges do not include"):
        await agent.update(OTHER_CANISTER, "put", b"x")


async def test_an_agent_with_the_wrong_root_key_believes_nothing(net: FakeNetwork) -> None:
    network = Network("wrong", "http://127.0.0.1:1", STRANGER.der)
    async with Agent(ALICE, network, transport=net.transport()) as agent:
        with pytest.raises(CertificateSignatureError):
            await agent.query(CANISTER, "get", b"")
        with pytest.raises(CertificateSignatureError):
            await agent.canister_info(CANISTER)
        with pytest.raises(OutcomeUnknownError, match=r"can't be verified.*is the root key this network's"):
            await agent.update(CANISTER, "put", b"x")
    assert net.clock.now_ns < NOW_NS + 30 * 10**9, "nobody waits five minutes for a root key to fit"


# --- Queries ---------------------------------------------------------------------------------------------------------


async def test_a_query_returns_the_signed_reply_and_fetches_node_keys_once(agent: Agent, net: FakeNetwork) -> None:
    for _ in range(3):
        assert await agent.query(CANISTER, "get", b"x") == b"reply to x"
    assert len(net.posted("read_state")) == 1
    assert len(set(net.posted("query"))) == 3


async def test_a_query_of_a_root_subnets_canister_is_verified_too(net: FakeNetwork) -> None:
    net.delegation = None
    async with Agent(ALICE, net.network(), transport=net.transport()) as agent:
        assert await agent.query(CANISTER, "get", b"x") == b"reply to x"
        with pytest.raises(CertificateScopeError):
            await agent.query(OTHER_CANISTER, "get", b"x")


async def test_a_rejected_query_is_an_error_and_never_a_value(agent: Agent, net: FakeNetwork) -> None:
    net.canister = lambda request: REJECTION
    with pytest.raises(RejectedError, match="no") as caught:
        await agent.query(CANISTER, "get", b"x")
    assert not caught.value.certified


def forged_reply(answer: dict[str, Any]) -> None:
    answer["reply"] = {"arg": b"forged"}


def forged_rejection(answer: dict[str, Any]) -> None:
    answer.update({"status": "rejected", **REJECTION})


def unsigned(answer: dict[str, Any]) -> None:
    answer["signatures"] = []


def signed_by_a_stranger(answer: dict[str, Any]) -> None:
    answer["signatures"][0]["identity"] = b"stranger"


def signed_twice(answer: dict[str, Any]) -> None:
    answer["signatures"] *= 2


def later(answer: dict[str, Any]) -> None:
    answer["signatures"][0]["timestamp"] += 1


@pytest.mark.parametrize(
    "forge",
    [forged_reply, forged_rejection, unsigned, signed_by_a_stranger, signed_twice, later],
    ids=lambda f: f.__name__,
)
async def test_a_forged_query_answer_is_refused(agent: Agent, net: FakeNetwork, forge: Any) -> None:
    net.alter_query = forge
    with pytest.raises(QuerySignatureError):
        await agent.query(CANISTER, "get", b"x")


async def test_the_answer_to_another_query_is_refused(agent: Agent, net: FakeNetwork) -> None:
    await agent.query(CANISTER, "get", b"x")
    answers: list[dict[str, Any]] = []

    def replay(answer: dict[str, Any]) -> None:
        answers.append(dict(answer))
        answer.clear()
        answer.update(answers[0])

    net.alter_query = replay
    await agent.query(CANISTER, "get", b"x")
    with pytest.raises(QuerySignatureError, match="not what node"):
        await agent.query(CANISTER, "get", b"x")


async def test_a_node_that_joined_later_is_believed_after_looking_again(agent: Agent, net: FakeNetwork) -> None:
    await agent.query(CANISTER, "get", b"x")
    net.node = Ed25519PrivateKey.generate()
    assert await agent.query(CANISTER, "get", b"x") == b"reply to x"
    assert len(net.posted("read_state")) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({}, QuerySignatureError),
        ({"status": "replied", "signatures": [{}]}, ProtocolError),
        ({"status": "replied", "reply": {"arg": b""}, "signatures": [{"timestamp": -1}]}, ProtocolError),
        (
            {
                "status": "replied",
                "reply": {"arg": b""},
                "signatures": [{"timestamp": 10**5_000, "signature": b"", "identity": b""}],
            },
            ProtocolError,
        ),
        ({"status": "rejected", "signatures": [{}]}, ProtocolError),
        ({"status": "rejected", "reject_code": 10**5_000, "reject_message": "no", "signatures": [{}]}, ProtocolError),
    ],
    ids=["empty", "no reply", "negative time", "endless time", "no rejection", "endless code"],
)
async def test_a_query_answer_of_the_wrong_form_is_refused(
    agent: Agent, net: FakeNetwork, answer: Any, error: type[IcError]
) -> None:
    net.next_answers = [httpx.Response(200, content=cbor2.dumps(answer))]
    with pytest.raises(error):
        await agent.query(CANISTER, "get", b"x")


async def test_query_signatures_can_be_left_unchecked(net: FakeNetwork) -> None:
    net.alter_query = unsigned
    async with Agent(ALICE, net.network(), transport=net.transport(), verify_query_signatures=False) as agent:
        assert await agent.query(CANISTER, "get", b"x") == b"reply to x"
        net.canister = lambda request: REJECTION
        with pytest.raises(RejectedError, match="IC0406"):
            await agent.query(CANISTER, "get", b"x")


async def test_an_unsigned_query_answer_that_is_neither_a_reply_nor_a_rejection_is_no_answer(net: FakeNetwork) -> None:
    async with Agent(ALICE, net.network(), transport=net.transport(), verify_query_signatures=False) as agent:
        for answer in ({}, {"status": "replied"}, {"status": "replied", "reply": {"arg": "text"}}):
            net.next_answers = [httpx.Response(200, content=cbor.dumps(answer))]
            with pytest.raises(ProtocolError, match="neither a reply nor a rejection"):
                await agent.query(CANISTER, "get", b"x")
