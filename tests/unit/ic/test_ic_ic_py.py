"""Everything that ic-py's classes offer works here, with verified answers, or is refused by a name to use instead."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import cbor2
import httpx
import ic.agent
import ic.candid
import ic.canister
import ic.certificate
import ic.client
import ic.identity
import pytest

from canister_factory.candid import leb128
from canister_factory.candid.encoding import encode
from canister_factory.candid.types import NAT, TEXT
from canister_factory.ic import cbor
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import (
    CertificateSignatureError,
    MalformedEnvelopeError,
    NotOfferedError,
    OutcomeUnknownError,
    ProtocolError,
    QuerySignatureError,
    RejectedError,
)
from canister_factory.ic.identity import DelegatedIdentity, Identity
from canister_factory.ic.trace import Event
from support.ic_test_support import ALICE, CANISTER, NOW_NS, ROOT, STRANGER, FakeNetwork, agent_of

REJECTION = {"reject_code": 4, "reject_message": "no", "error_code": "IC0406"}
SECRET = "0f" * 32


def public(theirs: Any) -> list[str]:
    return [name for name in dir(theirs) if not name.startswith("_")]


def signed(kind: str, **fields: Any) -> tuple[bytes, bytes]:
    """A request id and an envelope as ic-py makes them."""
    about = {"canister_id": CANISTER.bytes, "method_name": "add", "arg": b"1"} if kind != "read_state" else {}
    content = {"request_type": kind, "sender": ALICE.sender().bytes, "ingress_expiry": NOW_NS + 60 * 10**9}
    request_id, envelope = ic.agent.sign_request({**content, **about, **fields}, ALICE)
    return request_id, envelope


def delegated() -> DelegatedIdentity:
    owner, session = Identity.generate(), Identity(privkey=SECRET)
    assert owner.der_pubkey
    assert session.der_pubkey
    link = owner.sign_delegation(session.der_pubkey, NOW_NS + 10**18)
    return DelegatedIdentity(session, owner.der_pubkey, [link])


CALL_ID, CALL = signed("call")
_, QUERY = signed("query")
_, READ = signed("read_state", paths=[[b"time"]])
WHERE = str(CANISTER)


def time_in(certificate: Any) -> bytes:
    time: bytes = ic.certificate.lookup([b"time"], certificate)
    return time


def after_the_call(name: str, *arguments: Any) -> Callable[[Agent], Any]:
    """Sends the call first; an asynchronous method may be asked in the same way."""

    def check(agent: Agent) -> Any:
        assert agent.call_endpoint(WHERE, CALL_ID, CALL) == CALL_ID
        return getattr(agent, name)(*arguments)

    return check


Checks = dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Any]]
"""For each attribute: how it is asked (the answer may be awaitable), what is compared of the answer, and with what."""


def posted(call: str, read_state: str) -> Checks:
    """Checks of the two methods that post envelopes signed elsewhere."""
    return {
        call: (methodcaller(call, WHERE, CALL_ID, CALL), lambda it: it, CALL_ID),
        read_state: (
            methodcaller(read_state, WHERE, READ),
            lambda it: time_in(cbor2.loads(cbor2.loads(it)["certificate"])),
            leb128.unsigned(NOW_NS),
        ),
    }


AGENT: Checks = {
    "identity": (lambda agent: agent.identity, lambda it: it, ALICE),
    "client": (lambda agent: agent.client, lambda it: isinstance(it, ic.client.Client), True),
    "ingress_expiry": (lambda agent: agent.ingress_expiry, float, 240.0),
    "root_key": (lambda agent: agent.root_key, lambda it: it, ROOT.der),
    "nonce_factory": (lambda agent: agent.nonce_factory, lambda it: it, None),
    "get_principal": (lambda agent: agent.get_principal(), lambda it: it, ALICE.sender()),
    "get_expiry_date": (lambda agent: agent.get_expiry_date(), lambda it: it, NOW_NS + 240 * 10**9),
}
for suffix in ("", "_async"):
    AGENT |= {
        f"query_endpoint{suffix}": (
            methodcaller(f"query_endpoint{suffix}", WHERE, QUERY),
            lambda it: (it["status"], it["reply"]),
            ("replied", {"arg": b"reply to 1"}),
        ),
        **posted(f"call_endpoint{suffix}", f"read_state_endpoint{suffix}"),
        f"query_raw{suffix}": (
            methodcaller(f"query_raw{suffix}", WHERE, "get", b"x", None, WHERE),
            lambda it: it,
            b"reply to x",
        ),
        f"update_raw{suffix}": (
            methodcaller(f"update_raw{suffix}", WHERE, "put", b"x", timeout=5),
            lambda it: it,
            b"reply to x",
        ),
        f"read_state_raw{suffix}": (
            methodcaller(f"read_state_raw{suffix}", WHERE, [[b"time"]]),
            time_in,
            leb128.unsigned(NOW_NS),
        ),
        f"request_status_raw{suffix}": (
            after_the_call(f"request_status_raw{suffix}", WHERE, CALL_ID),
            lambda it: (it[0], time_in(it[1])),
            ("replied", leb128.unsigned(NOW_NS)),
        ),
        f"poll{suffix}": (
            after_the_call(f"poll{suffix}", WHERE, CALL_ID, 1, 5),
            lambda it: it,
            ("replied", b"reply to 1"),
        ),
    }
CLIENT: Checks = {
    "url": (lambda client: client.url, lambda it: it, "http://127.0.0.1:1"),
}
for suffix in ("", "_async"):
    CLIENT |= {
        f"query{suffix}": (
            methodcaller(f"query{suffix}", WHERE, QUERY),
            lambda it: cbor2.loads(it)["reply"],
            {"arg": b"reply to 1"},
        ),
        **posted(f"call{suffix}", f"read_state{suffix}"),
        f"status{suffix}": (
            methodcaller(f"status{suffix}"),
            lambda it: cbor2.loads(it)["root_key"],
            ROOT.der,
        ),
    }


def answered(result: Any) -> Any:
    async def main() -> Any:
        return await result

    return asyncio.run(main()) if inspect.isawaitable(result) else result


@pytest.mark.parametrize("name", public(ic.agent.Agent(ALICE, None)))
def test_each_attribute_of_ic_pys_agent_works_with_verified_answers(net: FakeNetwork, name: str) -> None:
    assert name in AGENT, f"ic-py's agent has a new attribute {name}: it has to work or be refused by name"
    ask, shown, expected = AGENT[name]
    assert shown(answered(ask(Agent(ALICE, net.network(), transport=net.transport())))) == expected


@pytest.mark.parametrize("name", public(ic.client.Client()))
def test_each_attribute_of_ic_pys_client_works_with_verified_answers(net: FakeNetwork, name: str) -> None:
    assert name in CLIENT, f"ic-py's client has a new attribute {name}: it has to work or be refused by name"
    ask, shown, expected = CLIENT[name]
    agent = Agent(ALICE, net.network(), transport=net.transport())
    assert shown(answered(ask(agent.client))) == expected


@pytest.mark.parametrize("theirs", [ic.agent.Agent, ic.client.Client], ids=["agent", "client"])
def test_methods_take_the_arguments_that_ic_pys_take(net: FakeNetwork, theirs: Any) -> None:
    agent = Agent(ALICE, net.network(), transport=net.transport())
    ours = agent if theirs is ic.agent.Agent else agent.client
    for name in public(theirs):
        here = [(each.name, each.default) for each in inspect.signature(getattr(ours, name)).parameters.values()]
        there = list(inspect.signature(getattr(theirs, name)).parameters.values())[1:]
        assert here == [(each.name, each.default) for each in there], name


@pytest.mark.parametrize("name", ["identity", "client", "ingress_expiry", "root_key"])
def test_an_agent_is_for_one_identity_and_one_network(net: FakeNetwork, name: str) -> None:
    agent = Agent(ALICE, net.network(), transport=net.transport())
    with pytest.raises(AttributeError, match=name):
        setattr(agent, name, None)


def test_an_agent_of_an_ic_py_identity_has_our_principal(net: FakeNetwork) -> None:
    theirs = ic.identity.Identity(privkey=SECRET)
    agent = Agent(theirs, net.network(), transport=net.transport())
    assert agent.principal == Identity(privkey=SECRET).sender()
    assert agent.query_raw(WHERE, "get", b"x") == b"reply to x"


# --- Identities ------------------------------------------------------------------------------------------------------

REFUSED = {"privkey": "write_pem", "sk": "sign", "vk": "verify"}
GIVEN: dict[str, Callable[[Any, Any], bool]] = {
    "anonymous": lambda ours, theirs: ours.anonymous is theirs.anonymous is False,
    "key_type": lambda ours, theirs: ours.key_type == theirs.key_type,
    "pubkey": lambda ours, theirs: ours.pubkey == theirs.pubkey,
    "der_pubkey": lambda ours, theirs: ours.der_pubkey == theirs.der_pubkey,
    "sender": lambda ours, theirs: str(ours.sender()) == str(theirs.sender()),
    "sign": lambda ours, theirs: theirs.verify(b"message", ours.sign(b"message")[1]),
    "verify": lambda ours, theirs: ours.verify(b"message", theirs.sign(b"message")[1]),
    "to_pem": lambda ours, theirs: Identity.from_pem(ours.to_pem()).sender() == ours.sender(),
    "from_pem": lambda ours, theirs: ours.from_pem(theirs.to_pem()).sender() == ours.sender(),
    "from_seed": lambda ours, theirs: ours.from_seed(PHRASE).pubkey == theirs.from_seed(PHRASE).pubkey,
}
PHRASE = "abandon " * 11 + "about"


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1"])
@pytest.mark.parametrize("name", public(ic.identity.Identity()))
def test_each_attribute_of_ic_pys_identity_works_or_is_refused_by_name(name: str, kind: str) -> None:
    ours, theirs = Identity(privkey=SECRET, type=kind), ic.identity.Identity(privkey=SECRET, type=kind)
    if name in REFUSED:
        with pytest.raises(NotOfferedError, match=rf"Identity\.{name} is not offered: use {REFUSED[name]}") as refused:
            getattr(ours, name)
        assert SECRET not in str(refused.value) + repr(refused.value)
        assert not hasattr(ours, name), "so that whoever lists attributes isn't stopped"
        return
    assert name in GIVEN, f"ic-py's identity has a new attribute {name}: it has to work or be refused by name"
    assert GIVEN[name](ours, theirs)


def test_each_attribute_of_ic_pys_delegated_identity_works() -> None:
    ours = delegated()
    given = {
        "sign": ours.sign(b"message"),
        "sender": ours.sender(),
        "delegations": ours.delegations,
        "der_pubkey": ours.der_pubkey,
        "identity": ours.identity,
        "from_json": ours.from_json,  # its own tests are with those of identities
    }
    public_key, signature = given["sign"]
    assert public_key == given["identity"].der_pubkey == given["delegations"][0]["delegation"]["pubkey"]
    assert given["identity"].verify(b"message", signature)
    assert given["sender"] == type(ours.sender()).self_authenticating(given["der_pubkey"])
    theirs = {*public(ic.identity.DelegateIdentity), "identity"}  # the one that its constructor sets
    assert theirs == set(given), "ic-py's delegated identity has a new attribute: it has to work or be refused by name"


# --- What is not believed, in the forms that ic-py's code uses -------------------------------------------------------


async def test_endpoints_believe_only_what_is_signed(agent: Agent, net: FakeNetwork) -> None:
    net.alter_query = lambda answer: answer.update(reply={"arg": b"forged"})
    with pytest.raises(QuerySignatureError):
        await agent.query_endpoint_async(WHERE, QUERY)
    net.alter_certificate = lambda data: STRANGER.certify({b"time": leb128.unsigned(NOW_NS)})
    with pytest.raises(CertificateSignatureError):
        await agent.read_state_endpoint_async(WHERE, READ)


async def test_query_endpoints_leave_signatures_unchecked_where_the_agent_does(net: FakeNetwork) -> None:
    net.alter_query = lambda answer: answer.update(signatures=[])
    async with Agent(ALICE, net.network(), transport=net.transport(), verify_query_signatures=False) as agent:
        assert (await agent.query_endpoint_async(WHERE, QUERY))["status"] == "replied"


async def test_a_call_endpoint_leaves_a_certified_outcome_to_polling(agent: Agent, net: FakeNetwork) -> None:
    net.canister = lambda envelope: REJECTION
    assert await agent.call_endpoint_async(WHERE, CALL_ID, CALL) == CALL_ID
    assert await agent.poll_async(WHERE, CALL_ID) == ("rejected", b"no")
    assert len(net.posted("call")) == 1


async def test_a_call_that_a_replica_or_the_network_refuses_is_an_error_at_once(agent: Agent, net: FakeNetwork) -> None:
    rejection = cbor.dumps({"status": "non_replicated_rejection", **REJECTION})
    net.next_answers = [httpx.Response(200, content=rejection), httpx.Response(400, content=b"bad")]
    with pytest.raises(RejectedError) as refused:
        await agent.call_endpoint_async(WHERE, CALL_ID, CALL)
    assert (refused.value.certified, refused.value.request_id, refused.value.method) == (False, CALL_ID, "add")
    with pytest.raises(ProtocolError, match="HTTP 400: bad"):
        await agent.call_endpoint_async(WHERE, CALL_ID, CALL)


@pytest.mark.parametrize(
    "data",
    [b"junk", QUERY, cbor2.dumps({}), cbor2.dumps({"content": {"request_type": "call", "ingress_expiry": "soon"}})],
    ids=["junk", "a query", "no content", "no expiry"],
)
async def test_what_is_no_envelope_of_that_kind_is_not_sent(agent: Agent, net: FakeNetwork, data: bytes) -> None:
    with pytest.raises(ProtocolError, match="the envelope"):
        await agent.call_endpoint_async(WHERE, CALL_ID, data)
    assert not net.requests


async def test_an_envelope_of_another_request_or_without_a_request_id_is_not_sent(
    agent: Agent, net: FakeNetwork
) -> None:
    with pytest.raises(MalformedEnvelopeError, match="another one"):
        await agent.call_endpoint_async(WHERE, bytes(32), CALL)
    odd = cbor2.dumps({"content": {"request_type": "call", "ingress_expiry": 1, "arg": 1.5}})
    with pytest.raises(MalformedEnvelopeError, match="no request id"):
        await agent.call_endpoint_async(WHERE, CALL_ID, odd)
    assert not net.requests


async def test_what_is_sent_as_an_envelope_is_traced_like_the_rest(net: FakeNetwork) -> None:
    events: list[Event] = []
    async with Agent(ALICE, net.network(), transport=net.transport(), trace=events.append) as agent:
        await agent.call_endpoint_async(WHERE, CALL_ID, CALL)
        await agent.client.status_async()
    assert [(e.kind, e.method, e.request_id) for e in events if e.complete] == [
        ("call", "add", CALL_ID),
        ("status", "", b""),
    ]


# --- Values ----------------------------------------------------------------------------------------------------------


async def test_a_reply_is_decoded_by_our_types_or_by_ic_pys(agent: Agent, net: FakeNetwork) -> None:
    net.canister = lambda envelope: encode([TEXT, NAT], ["hello", 5])
    assert await agent.query_raw_async(WHERE, "get", b"", [TEXT, NAT]) == ("hello", 5)
    assert await agent.update_raw_async(WHERE, "put", b"", TEXT) == ("hello",)
    theirs = [ic.candid.Types.Text, ic.candid.Types.Nat]
    expected = [{"type": "text", "value": "hello"}, {"type": "nat", "value": 5}]
    assert await agent.query_raw_async(WHERE, "get", b"", theirs) == expected
    assert await agent.update_raw_async(WHERE, "put", b"", theirs) == expected
    assert await agent.update_raw_async(WHERE, "put", b"") == encode([TEXT, NAT], ["hello", 5])


def test_ic_pys_canisters_work_on_our_agent(net: FakeNetwork) -> None:
    net.canister = lambda envelope: encode([TEXT], ["hello"])
    agent = Agent(ALICE, net.network(), transport=net.transport())
    interface = "service : { greet : (text) -> (text) query; set : (text) -> (text); }"
    canister = ic.canister.Canister(agent=agent, canister_id=WHERE, candid=interface)
    assert canister.greet("you") == ["hello"]
    assert canister.set("you") == ["hello"]
    assert len(net.executed) == 1


async def test_polling_ends_at_its_time_limit_or_with_the_call(net: FakeNetwork) -> None:
    async def silent(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("nothing ends this wait but the limit")

    async with agent_of(net, 0, ALICE, silent) as agent:
        assert await agent.poll_async(WHERE, CALL_ID, timeout=0) == ("unknown", None)
    async with agent_of(net, 0, ALICE) as agent:
        assert await agent.poll_async(WHERE, CALL_ID) == ("unknown", None)
    assert net.clock.now_ns > NOW_NS + 300 * 10**9


# --- Blocking --------------------------------------------------------------------------------------------------------


def test_blocking_calls_share_what_was_learnt_and_refuse_what_async_ones_refuse(net: FakeNetwork) -> None:
    agent = Agent(ALICE, net.network(), transport=net.transport())
    for _ in range(2):
        assert agent.query_raw(WHERE, "get", b"x") == b"reply to x"
    assert len(net.posted("read_state")) == 1
    net.canister = lambda envelope: REJECTION
    with pytest.raises(RejectedError):
        agent.query_raw(WHERE, "get", b"x")
    net.alter_certificate = lambda data: data.replace(b"reject_message", b"reject_massage")
    with pytest.raises(OutcomeUnknownError):
        agent.update_raw(WHERE, "put", b"x")


async def test_blocking_calls_do_not_block_a_running_event_loop(agent: Agent) -> None:
    for call in (lambda: agent.query_raw(WHERE, "get", b"x"), agent.client.status):
        with pytest.raises(RuntimeError, match="running event loop"):
            call()
