"""A subnet of one line of behaviour, and signed requests, for the tests of the HTTP half."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from canister_factory.candid.principal import Principal
from canister_factory.ic import hash_tree
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.envelope import sign_envelope
from canister_factory.ic.public_key import self_authenticating_id
from canister_factory.ic.request_id import request_id
from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.node.certified_view import CertifiedView
from canister_factory.replica.node.changes import Changes
from canister_factory.replica.node.http_api import Answer, HttpApi
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.rounds import Rounds
from canister_factory.replica.node.signature_checks import SignatureChecks
from canister_factory.replica.node.state_tree import witness
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Response, Steps
from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.durability import CheckpointError
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import FromIngress, IngressMessage, OutcallAnswer, caller_info
from canister_factory.replica.subnet.outcalls import Outcall
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus
from canister_factory.replica.subnet.schedule import Pace

FIRST = bytes.fromhex("ffffffffffe000000101")
OTHER = bytes.fromhex("ffffffffffe000010101")
LAST = bytes.fromhex("ffffffffffffffff0101")
NOW = 1_700_000_000_000_000_000
MINUTE = 60 * 10**9
KEYS = ReplicaKeys.generate()


@dataclass
class Caller:
    """An Ed25519 identity; `delegations` as in the envelope."""

    secret: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    delegations: list[dict[str, Any]] | None = None
    der_pubkey: bytes = b""

    @property
    def public_key(self) -> bytes:
        return self.secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def principal(self) -> bytes:
        return self_authenticating_id(self.der_pubkey or self.public_key)

    def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
        return self.public_key, self.secret.sign(msg)


class Nobody:
    principal = b"\x04"

    def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
        return None, None


@dataclass
class FakeModule:
    hash: bytes = b"\x11" * 32
    custom_sections: dict[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass
class FakeSettings:
    controllers: tuple[bytes, ...] = ()


@dataclass
class FakeCanister:
    settings: FakeSettings = field(default_factory=FakeSettings)
    module: FakeModule | None = field(default_factory=FakeModule)
    certified_data: bytes = b""
    memory_bytes: int = 1000
    created_ns: int = NOW - 20
    installed_ns: int | None = NOW - 10


class FakeSubnet:
    """Canisters that append. Methods: `append` replies with all so far, `refuse` is not accepted, `trap` is rejected,
    `later` is answered once `release` was called, `defect` breaks the replica."""

    canister_id_range = (FIRST, LAST)

    def __init__(self, listeners: Listeners) -> None:
        self.listeners = listeners
        self.canisters: dict[bytes, Any] = {FIRST: FakeCanister()}
        self.request_statuses: dict[bytes, RequestStatus] = {}
        self.consumed_cycles = 5 << 64 | 7
        self.executed_messages = 0
        self.queue: list[IngressMessage] = []
        self.awaited: list[Future[Any]] = []
        self.held: list[bytes] = []
        self.text = b""
        self.rounds: list[int] = []
        self.tasks: list[bool] = []  # of each round, whether what is due was to be executed
        self.persisted = 0
        self.rests = 0  # how often it was told that nothing had happened for a while
        self.wakeups_ns: list[int] = []  # one for each round to come
        self.more_rounds = 0
        self.disk_failure: CheckpointError | None = None
        self.fails_late = False  # not when it is written, but when it is forced to disk
        self.shortage: CheckpointError | None = None
        self.broken = False
        self.checks_end = self.slow_queries_end = True
        self.outcalls: dict[int, Outcall] = {}
        self.outcall_answers: list[OutcallAnswer] = []

    @property
    def request_contents(self) -> dict[bytes, bytes]:
        return {request_id_: status.content for request_id_, status in self.request_statuses.items()}

    def checking(self, message: IngressMessage) -> Steps[None]:
        if message.call.method_name == "refuse":
            raise CanisterError(RejectCode.CANISTER_REJECT, "not today", "IC0516")
        yield None
        while not self.checks_end:
            yield None

    def submit(self, message: IngressMessage) -> None:
        if self.shortage is not None:
            raise self.shortage
        origin = message.request().origin
        assert isinstance(origin, FromIngress)
        self.queue.append(message)
        self.set_status(message.request_id, RequestStatus(RequestState.RECEIVED, origin))

    def submit_outcall_answer(self, answer: OutcallAnswer) -> None:
        self.outcalls.pop(answer.outcall_id, None)
        self.outcall_answers.append(answer)

    def execute_round(self, *, with_tasks: bool = True, pace: Pace | None = None) -> bool:
        if self.broken:
            raise SubnetBrokenError
        if self.shortage is not None:
            raise self.shortage
        self.rounds.append(len(self.queue))
        self.tasks.append(with_tasks)
        for message in self.queue:
            info = b"".join(caller_info(message.call))
            self._execute(message.request_id, message.call.method_name, info or message.call.arg)
        self.queue.clear()
        self.more_rounds -= 1
        return self.more_rounds > 0

    def _execute(self, request_id_: bytes, method: str, arg: bytes) -> None:
        self.executed_messages += 1
        match method:
            case "append" | "info":
                self.text += arg
                self.finish(request_id_, Response(self.text))
            case "trap":
                self.finish(request_id_, Response(b"", RejectCode.CANISTER_ERROR, "trapped", "IC0503"))
            case "later":
                self.held.append(request_id_)
                origin = self.request_statuses[request_id_].origin
                self.set_status(request_id_, RequestStatus(RequestState.PROCESSING, origin))
            case "defect":
                raise RuntimeError("a defect")

    def release(self) -> None:
        for request_id_ in self.held:
            self.finish(request_id_, Response(b"released"))
        self.held.clear()

    def finish(self, request_id_: bytes, response: Response) -> None:
        state = RequestState.REPLIED if response.is_reply else RequestState.REJECTED
        self.set_status(request_id_, RequestStatus(state, self.request_statuses[request_id_].origin, response))

    def set_status(self, request_id_: bytes, status: RequestStatus | None) -> None:
        if status is None:
            del self.request_statuses[request_id_]
        else:
            self.request_statuses[request_id_] = status
        self.listeners.request_status(request_id_, status)

    def querying(self, query: QueryRequest, data_certificate: Callable[[bytes], bytes]) -> Steps[Response]:
        yield None
        match query.method_name:
            case "read":
                return Response(self.text)
            case "info":
                return Response(b"".join(caller_info(query)))
            case "slow":
                while not self.slow_queries_end:
                    yield None
                return Response(self.text)
            case "list_canisters":
                return Response(b"the canisters")
            case "certificate":
                return Response(data_certificate(query.canister_id))
            case "defect":
                raise RuntimeError("a defect")
        raise CanisterError(RejectCode.CANISTER_ERROR, "no such query", "IC0536")

    def next_wakeup_ns(self) -> int | None:
        return self.wakeups_ns.pop(0) if self.wakeups_ns else None

    def persist(self, meanwhile: Callable[[], None] | None = None, *, at_rest: bool = False) -> None:
        self.rests += at_rest
        if self.disk_failure is not None and not self.fails_late:
            raise self.disk_failure
        if meanwhile is not None:
            meanwhile()
        if self.disk_failure is not None:
            raise self.disk_failure
        self.persisted += 1


class Network:
    """The HTTP half over a fake subnet, with a clock that stands still until moved."""

    def __init__(
        self,
        *,
        sync_call_timeout_s: float = 5.0,
        beside: bool = False,
        arrivals: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.now_ns = NOW
        changes = Changes()
        self.subnet = FakeSubnet(changes.listeners)
        self.view = CertifiedView(KEYS, self.subnet, changes, self.clock)
        self.signatures = SignatureChecks(CertificateVerifier(KEYS.root.public_key), beside=beside, clock_s=lambda: 0.0)
        self.written_ahead = False
        self.rounds = Rounds(
            self.subnet,
            self.view,
            changes,
            self.clock,
            arrivals or self.signatures.settled,
            lambda: self.written_ahead,
        )
        self.api = HttpApi(
            self.subnet,
            self.rounds,
            KEYS,
            self.clock,
            signatures=self.signatures,
            sync_call_timeout_s=sync_call_timeout_s,
        )

    def clock(self) -> int:
        return self.now_ns

    async def __aenter__(self) -> Network:
        self.rounds.start()
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rounds.stop()
        self.signatures.stop()

    async def post(self, path: str, caller: Any, **content: Any) -> Answer:
        return await self.api.handle("POST", path, envelope(caller, **content))


def envelope(caller: Any, **content: Any) -> bytes:
    return sign_envelope(with_defaults(caller, **content), caller)


def with_defaults(caller: Any, **content: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"sender": caller.principal, "ingress_expiry": NOW + 3 * MINUTE}
    if content["request_type"] != "read_state":
        defaults |= {"canister_id": FIRST, "arg": b""}
    return {**defaults, **content}


def id_of(caller: Any, **content: Any) -> bytes:
    return request_id(with_defaults(caller, **content))


def url(version: int, operation: str, effective_id: bytes = FIRST, kind: str = "canister") -> str:
    return f"/api/v{version}/{kind}/{Principal(effective_id)}/{operation}"


def decoded(answer: Answer) -> Any:
    status, content_type, body = answer
    assert status == 200, body.decode(errors="replace")
    assert content_type == "application/cbor"
    return cbor2.loads(body)


async def settle(turns: int = 5) -> None:
    """Lets others have their turns."""
    for _ in range(turns):
        await asyncio.sleep(0)


def shown(network: Network, path: Sequence[bytes]) -> hash_tree.Node:
    """What the newest state shows at a path."""
    return hash_tree.decode_tree(witness(network.view.current().root, [path]))
