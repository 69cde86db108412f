"""A network at the HTTP boundary for tests of the agent: real keys, real certificates, scripted canisters.

Built from the protocol alone; owns no behaviour of the embedded replica.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyblst
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from canister_factory.candid import leb128
from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor
from canister_factory.ic.agent import Agent
from canister_factory.ic.bls import BLS_DER_PREFIX, BLS_DOMAIN, G2_GENERATOR
from canister_factory.ic.certificate import STATE_ROOT_DOMAIN, encode_certificate
from canister_factory.ic.envelope import VerifiedEnvelope, verify_envelope
from canister_factory.ic.errors import EnvelopeError
from canister_factory.ic.hash_tree import Labeled, Leaf, Node, fork_all
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.ic.public_key import ED25519_DER_PREFIX, self_authenticating_id
from canister_factory.ic.request_id import hash_of_map
from canister_factory.ic.requests import CallRequest, QueryRequest, ReadStateRequest
from canister_factory.ic.transport import Transport

ALICE = Identity.generate()
NOW_NS = 1_800_000_000 * 10**9
CANISTER = Principal(bytes(7) + b"\x05\x01\x01")
OTHER_CANISTER = Principal(bytes(7) + b"\x99\x01\x01")
RANGE = (bytes(8) + b"\x01\x01", bytes(7) + b"\x0f\x01\x01")


def tree_of(value: Any) -> Node:
    """A hash tree of nested dicts (label -> subtree), with bytes for leaves; nodes are taken as they are."""
    if isinstance(value, bytes):
        return Leaf(value)
    if isinstance(value, dict):
        return fork_all([Labeled(label, tree_of(value[label])) for label in sorted(value)])
    node: Node = value
    return node


class BlsKey:
    def __init__(self, seed: bytes) -> None:
        self._secret = int.from_bytes(hashlib.sha256(seed).digest(), "big") >> 2
        point = pyblst.BlstP2Element().uncompress(G2_GENERATOR).scalar_mul(self._secret)
        self.der = BLS_DER_PREFIX + bytes(point.compress())
        self.subnet_id = self_authenticating_id(self.der)

    def sign(self, message: bytes) -> bytes:
        return bytes(pyblst.BlstP1Element.hash_to_group(message, BLS_DOMAIN).scalar_mul(self._secret).compress())

    def certify(self, state: Any, delegation: tuple[bytes, bytes] | None = None) -> bytes:
        tree = tree_of(state)
        return encode_certificate(tree, self.sign(STATE_ROOT_DOMAIN + tree.digest), delegation)


ROOT = BlsKey(b"root")
SUBNET = BlsKey(b"subnet")
STRANGER = BlsKey(b"stranger")


def delegation(
    *,
    signer: BlsKey = ROOT,
    subnet: BlsKey = SUBNET,
    ranges: list[tuple[bytes, bytes]] | None = None,
    layout: str = "flat",
    nested: tuple[bytes, bytes] | None = None,
) -> tuple[bytes, bytes]:
    """A delegation from the root subnet, with canister ranges in either layout (`flat`, `sharded`) or `none`."""
    ranges = [RANGE] if ranges is None else ranges
    subnet_state: dict[bytes, Any] = {b"public_key": subnet.der}
    state: dict[bytes, Any] = {b"time": leb128.unsigned(NOW_NS - 10**18), b"subnet": {subnet.subnet_id: subnet_state}}
    if layout == "flat":
        subnet_state[b"canister_ranges"] = cbor.dumps([list(item) for item in ranges])
    elif layout == "sharded":
        shards = {item[0]: cbor.dumps([list(item)]) for item in ranges}
        state[b"canister_ranges"] = {subnet.subnet_id: shards}
    return subnet.subnet_id, signer.certify(state, nested)


@dataclass
class FakeClock:
    """Time that passes only when someone sleeps."""

    now_ns: int = NOW_NS
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * 1e9)


Canister = Callable[[CallRequest | QueryRequest], Any]
"""Gives the reply (bytes), or a dict that is the certified or signed rejection."""


def transport_to(handle: Callable[[httpx.Request], httpx.Response], clock: FakeClock, **options: Any) -> Transport:
    """A transport to what answers for the network, by its clock; it waits as long as it may, never by chance."""
    return Transport(
        "http://127.0.0.1:1/",  # as people type it
        http=httpx.MockTransport(handle),
        clock_ns=clock,
        sleep=clock.sleep,
        chance=lambda: 1.0,
        **options,
    )


class FakeNetwork:
    """Answers HTTP requests as a subnet would. `canister` decides replies; the lists at the top script misbehaviour."""

    def __init__(self, clock: FakeClock, canister: Canister | None = None) -> None:
        self.clock = clock
        self.canister: Canister = canister or (lambda request: b"reply to " + request.arg)
        self.root_key = ROOT.der
        self.delegation: tuple[bytes, bytes] | None = delegation()
        self.node = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"node").digest())
        self.versions = {"call": "v4", "query": "v3", "read_state": "v3"}
        self.next_answers: list[httpx.Response | Exception | None] = []
        """Answers that come first, in order; an exception breaks the connection after the request was handled."""
        self.accept_only = False
        """Whether calls are answered with 202 and executed at `polls_until_done` reads."""
        self.polls_until_done = 0
        self.calls_to_lose = 0
        """How many calls are answered with 202 and then forgotten."""
        self.requests: list[tuple[str, bytes]] = []
        self.executed: dict[bytes, Any] = {}
        self.accepted: dict[bytes, VerifiedEnvelope] = {}
        self.state: dict[bytes, Any] = {}
        self.topology: bytes | None = None
        self.alter_certificate: Callable[[bytes], bytes] = lambda data: data
        self.alter_query: Callable[[dict[str, Any]], None] = lambda answer: None
        self.time_offset_ns = 0

    # --- For tests ---

    def network(self) -> Network:
        return Network("test", "http://127.0.0.1:1", self.root_key)

    def transport(self, **options: Any) -> Transport:
        return transport_to(self.handle, self.clock, **options)

    def posted(self, kind: str) -> list[bytes]:
        return [body for path, body in self.requests if path.endswith("/" + kind)]

    @property
    def node_id(self) -> bytes:
        return self_authenticating_id(self.node_der)

    @property
    def node_der(self) -> bytes:
        return ED25519_DER_PREFIX + self.node.public_key().public_bytes_raw()

    # --- The server ---

    def handle(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        path = request.url.path
        self.requests.append((path, body))
        scripted = self.next_answers.pop(0) if self.next_answers else None
        if isinstance(scripted, httpx.Response):
            return scripted
        answer = self._answer(path, body)
        if isinstance(scripted, Exception):
            raise scripted
        return answer

    def _answer(self, path: str, body: bytes) -> httpx.Response:
        if path == "/_/topology":
            return httpx.Response(404) if self.topology is None else httpx.Response(200, content=self.topology)
        if path == "/api/v2/status":
            fields = {"root_key": self.root_key, "replica_health_status": "healthy", "impl_version": "fake"}
            return _cbor(fields)
        _, api, version, scope, subject, kind = path.split("/")
        if (api, scope) != ("api", "canister") and (scope, kind) != ("subnet", "read_state"):
            return httpx.Response(404, content=b"no such route")
        Principal.from_str(subject)
        if version != self.versions[kind] and not (kind == "call" and version == "v2"):
            return httpx.Response(404, content=b"no such route")
        try:
            envelope = verify_envelope(body, self.clock.now_ns)
        except EnvelopeError as error:
            return httpx.Response(400, content=str(error).encode())
        handle: Callable[[VerifiedEnvelope, str], httpx.Response] = getattr(self, f"_{kind}")
        return handle(envelope, version)

    def _call(self, envelope: VerifiedEnvelope, version: str) -> httpx.Response:
        rid = envelope.request_id
        if self.calls_to_lose > 0:
            self.calls_to_lose -= 1
            return httpx.Response(202)
        if self.accept_only or version == "v2":
            self.accepted[rid] = envelope
            return httpx.Response(202)
        self._execute(rid, envelope)
        return _cbor({"status": "replied", "certificate": self.certificate(rid)})

    def _execute(self, rid: bytes, envelope: VerifiedEnvelope) -> None:
        if rid not in self.executed:
            assert isinstance(envelope.request, CallRequest)
            self.executed[rid] = self.canister(envelope.request)

    def _read_state(self, envelope: VerifiedEnvelope, version: str) -> httpx.Response:
        assert isinstance(envelope.request, ReadStateRequest)
        path = envelope.request.paths[0]
        rid = path[1] if path[0] == b"request_status" else None
        if rid in self.accepted:
            if self.polls_until_done > 0:
                self.polls_until_done -= 1
            else:
                self._execute(rid, self.accepted.pop(rid))
        return _cbor({"certificate": self.certificate(rid)})

    def _query(self, envelope: VerifiedEnvelope, version: str) -> httpx.Response:
        assert isinstance(envelope.request, QueryRequest)
        result = self.canister(envelope.request)
        if isinstance(result, bytes):
            answer: dict[str, Any] = {"status": "replied", "reply": {"arg": result}}
        else:
            answer = {"status": "rejected", **result}
        time_ns = self.clock.now_ns + self.time_offset_ns
        signed = hash_of_map({**answer, "timestamp": time_ns, "request_id": envelope.request_id})
        signature = self.node.sign(b"\x0bic-response" + signed)
        answer["signatures"] = [{"timestamp": time_ns, "signature": signature, "identity": self.node_id}]
        self.alter_query(answer)
        return _cbor(answer)

    def certificate(self, rid: bytes | None = None) -> bytes:
        """What a read of a request's status, or of anything else, is answered with."""
        signer = SUBNET if self.delegation else ROOT
        subnet = {
            b"public_key": signer.der,
            b"canister_ranges": cbor.dumps([list(RANGE)]),
            b"node": {self.node_id: {b"public_key": self.node_der}},
        }
        state: dict[bytes, Any] = {
            b"time": leb128.unsigned(self.clock.now_ns + self.time_offset_ns),
            b"subnet": {signer.subnet_id: subnet},
            b"request_status": self._statuses(rid),
            **self.state,
        }
        return self.alter_certificate(signer.certify(state, self.delegation))

    def _statuses(self, rid: bytes | None) -> dict[bytes, Any]:
        if rid in self.accepted:
            return {rid: {b"status": b"processing"}}
        if rid not in self.executed:
            return {}
        result = self.executed[rid]
        if isinstance(result, bytes):
            return {rid: {b"status": b"replied", b"reply": result}}
        return {
            rid: {
                b"status": b"rejected",
                b"reject_code": leb128.unsigned(result["reject_code"]),
                b"reject_message": result["reject_message"].encode(),
                b"error_code": result["error_code"].encode(),
            }
        }


def _cbor(value: Any) -> httpx.Response:
    return httpx.Response(200, content=cbor.dumps(value), headers={"content-type": "application/cbor"})


def agent_of(net: FakeNetwork, skew_s: int, identity: Any = ALICE, http: Any = None) -> Agent:
    """An agent on a computer whose clock is `skew_s` ahead of the network's."""
    transport = net.transport()
    transport.clock_ns = lambda: net.clock() + skew_s * 10**9
    if http is not None:
        transport._http = httpx.MockTransport(http)
    return Agent(identity, net.network(), transport=transport)
