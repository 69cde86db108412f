"""A canister by its interface: what is sent, what comes back, and what is said when a name or a value is wrong."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

import canister_factory as cf
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.types import BOOL, NAT, TEXT, Func, Opt, Record, Type
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.requests import CallRequest, QueryRequest
from support.ic_test_support import CANISTER, FakeNetwork

DID = """service : {
  increment : (nat) -> (nat);
  read : () -> (nat) query;
  look : () -> (nat) composite_query;
  both : () -> (nat, text) query;
  clear : () -> ();
  notify : (text) -> () oneway;
  methods : () -> (bool) query;
  "with-dash" : () -> ();
}"""


class Pair(cf.models.CandidModel):
    """A record in a declared interface."""

    first: cf.models.Nat
    note: str | None = None


class Declared(Protocol):
    """An interface declared in Python."""

    async def put(self, pair: Pair, flag: bool) -> Pair:
        """An update with a model each way."""

    @cf.query
    async def read(self) -> cf.models.Nat:
        """A query."""

    async def clear(self) -> None:
        """No result."""


def answering(net: FakeNetwork, types: Sequence[Type], *values: Any) -> list[tuple[str, str, bytes]]:
    """Scripts the reply of all methods; returns where the calls are noted."""
    calls: list[tuple[str, str, bytes]] = []

    def canister(request: CallRequest | QueryRequest) -> bytes:
        calls.append((request.kind, request.method_name, request.arg))
        return encode(types, values)

    net.canister = canister
    return calls


async def test_a_method_is_an_attribute_and_its_value_comes_plain(agent: Agent, net: FakeNetwork) -> None:
    calls = answering(net, [NAT], 6)
    counter = cf.Canister(agent, str(CANISTER), DID)
    assert await counter.increment(5) == 6
    ((kind, method, arg),) = calls
    assert (kind, method, decode(arg, [NAT])) == ("call", "increment", (5,))


@pytest.mark.parametrize(
    ("method", "kind"),
    [("read", "query"), ("look", "query"), ("increment", "call"), ("methods", "query"), ("with-dash", "call")],
)
async def test_the_interface_says_what_is_a_query(agent: Agent, net: FakeNetwork, method: str, kind: str) -> None:
    results = [] if method == "with-dash" else [BOOL] if method == "methods" else [NAT]
    calls = answering(net, results, *([1] if results == [NAT] else [True] if results else []))
    await cf.Canister(agent, CANISTER, DID).call(method, *([1] if method == "increment" else []))
    assert calls[0][:2] == (kind, method)


async def test_no_result_is_none_and_several_are_a_tuple(agent: Agent, net: FakeNetwork) -> None:
    counter = cf.Canister(agent, CANISTER, DID)
    answering(net, [])
    assert await counter.clear() is None
    answering(net, [NAT, TEXT], 5, "five")
    assert await counter.both() == (5, "five")


async def test_what_a_oneway_method_answers_is_not_read(agent: Agent, net: FakeNetwork) -> None:
    net.canister = lambda envelope: b""
    assert await cf.Canister(agent, CANISTER, DID).notify("hello") is None


async def test_the_interface_may_be_a_file_with_imports_or_parsed(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "types.did").write_text("type N = nat;")
    (tmp_path / "main.did").write_text('import "types.did"; service : { f : (N) -> () }')
    for given in (tmp_path / "main.did", cf.candid.parse_did("type N = nat; service : { f : (N) -> () }")):
        canister = cf.Canister(agent, CANISTER, given)
        assert list(canister.methods) == ["f"]
        assert cf.candid.types.resolve(canister.methods["f"].args[0]) is NAT


async def test_a_declared_interface_has_models_each_way(agent: Agent, net: FakeNetwork) -> None:
    pair = Record({"first": NAT, "note": Opt(TEXT)})
    calls = answering(net, [pair], {"first": 2, "note": "x"})
    canister = cf.Canister(agent, CANISTER, Declared)
    assert await canister.put(Pair(first=1), True) == Pair(first=2, note="x")
    ((kind, method, arg),) = calls
    assert (kind, method, decode(arg, [pair, BOOL])) == ("call", "put", ({"first": 1, "note": None}, True))
    calls = answering(net, [NAT], 7)
    assert await canister.read() == 7
    assert calls[0][0] == "query"
    answering(net, [])
    assert await canister.clear() is None


def test_a_declaration_without_annotations_or_methods_is_refused(agent: Agent) -> None:
    class Unannotated:
        async def put(self, pair) -> None:  # type: ignore[no-untyped-def]
            pass

    with pytest.raises(cf.errors.InvalidTypeError, match="put: the parameter pair has no annotation"):
        cf.Canister(agent, CANISTER, Unannotated)
    with pytest.raises(cf.errors.NoInterfaceError, match="Pair declares no methods"):
        cf.Canister(agent, CANISTER, Pair)


async def test_the_published_interface_is_read_certified(agent: Agent, net: FakeNetwork) -> None:
    net.state = {b"canister": {CANISTER.bytes: {b"metadata": {b"candid:service": DID.encode()}}}}
    answering(net, [NAT], 6)
    counter = await cf.Canister.from_network(agent, str(CANISTER))
    assert await counter.read() == 6
    net.alter_certificate = lambda data: data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(cf.errors.CertificateSignatureError):
        await cf.Canister.from_network(agent, CANISTER)


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({}, "there is no metadata candid:service"),
        ({b"candid:service": b"\xff"}, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ({b"candid:service": b"service : {"}, "candid:service:1:12: the text ends too early"),
        ({b"candid:service": b"type T = nat"}, "the interface describes no service, only types"),
    ],
)
async def test_a_canister_without_a_usable_interface_says_what_to_do(
    agent: Agent, net: FakeNetwork, metadata: dict[bytes, bytes], problem: str
) -> None:
    net.state = {b"canister": {CANISTER.bytes: {b"metadata": metadata}}}
    with pytest.raises(cf.errors.NoInterfaceError) as caught:
        await cf.Canister.from_network(agent, CANISTER)
    assert str(caught.value).startswith(f"{CANISTER} publishes no usable interface ({problem}")
    assert str(caught.value).endswith("give its .did to cf.Canister(agent, id, did)")
    assert caught.value.canister_id == CANISTER


def test_an_unknown_method_is_an_attribute_error_with_near_names(agent: Agent) -> None:
    counter = cf.Canister(agent, CANISTER, DID)
    with pytest.raises(cf.errors.UnknownMethodError) as caught:
        _ = counter.incremnt
    assert str(caught.value) == f"{CANISTER} has no method 'incremnt'; it has: increment"
    assert (caught.value.method, caught.value.canister_id) == ("incremnt", CANISTER)
    assert not hasattr(counter, "zzz")
    with pytest.raises(cf.errors.UnknownMethodError) as caught:
        _ = counter.zzz
    assert str(caught.value).endswith("both, clear, increment, look, methods, notify, read, with-dash")


async def test_wrong_arguments_are_refused_with_the_type_before_anything_is_sent(
    agent: Agent, net: FakeNetwork
) -> None:
    counter = cf.Canister(agent, CANISTER, DID)
    with pytest.raises(cf.errors.EncodeError) as caught:
        await counter.increment()
    assert str(caught.value) == "1 argument expected, got 0: func (nat) -> (nat)"
    assert (caught.value.method, caught.value.canister_id) == ("increment", CANISTER)
    with pytest.raises(cf.errors.EncodeError, match="argument 0: a nat is at least 0"):
        await counter.increment(-1)
    assert net.requests == []


async def test_a_reply_of_another_type_names_the_method(agent: Agent, net: FakeNetwork) -> None:
    answering(net, [TEXT], "x")
    with pytest.raises(cf.errors.MismatchError) as caught:
        await cf.Canister(agent, CANISTER, DID).read()
    assert (caught.value.method, caught.value.canister_id) == ("read", CANISTER)


def test_methods_dir_and_repr_show_the_interface(agent: Agent) -> None:
    counter = cf.Canister(agent, CANISTER, DID)
    assert counter.methods["increment"] == Func([NAT], [NAT])
    with pytest.raises(TypeError):
        counter.methods["more"] = Func()  # type: ignore[index]
    assert {"increment", "read", "call", "canister_id"} <= set(dir(counter))
    assert "with-dash" not in dir(counter)
    assert counter.increment.__doc__ == "increment : (nat) -> (nat)"
    assert counter.increment.__name__ == "increment"
    assert repr(counter) == (
        f"Canister({CANISTER}: both, clear, increment, look, methods, notify, read, with-dash; {agent!r})"
    )
    many = cf.Canister(agent, CANISTER, "service : {" + "".join(f"m{i} : () -> ();" for i in range(11)) + "}")
    assert ", m6, and 3 more; Agent(" in repr(many)


def test_a_copy_is_a_canister_like_it(agent: Agent) -> None:
    counter = cf.Canister(agent, CANISTER, DID)
    assert copy.copy(counter).methods == counter.methods


async def test_another_agent_calls_the_same_canister_as_itself(agent: Agent, net: FakeNetwork) -> None:
    answering(net, [NAT], 6)
    counter = cf.Canister(agent, CANISTER, DID)
    stranger = Agent(Identity.generate(), net.network(), transport=net.transport())
    other = counter.with_agent(stranger)
    assert await other.increment(5) == 6
    assert (other.agent, counter.agent) == (stranger, agent)
    assert (other.canister_id, list(other.methods)) == (CANISTER, list(counter.methods))
