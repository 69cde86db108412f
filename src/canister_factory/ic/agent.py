"""The agent: calls canisters and reads certified state, believing nothing that isn't signed by the network.

Owns the life of a request: signed once, sent, resent as the same bytes, its outcome learnt or declared unknown. Does
not own: HTTP (`transport`), trust (`certificate`, `query_signature`), Candid, or what the methods of canisters mean.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor
from canister_factory.ic.certificate import Certificate, CertificateVerifier
from canister_factory.ic.envelope import Signer, sign_envelope
from canister_factory.ic.errors import (
    CertificateError,
    IngressTooLargeError,
    MalformedCborError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    StaleCertificateError,
    TransportError,
)
from canister_factory.ic.facts import FIRST_CANISTER_ID, CanisterInfo, NetworkStatus, topology_default
from canister_factory.ic.ic_py import CanisterId, IcPyAgent, as_principal, run_in_own_loop
from canister_factory.ic.network import Network
from canister_factory.ic.query_signature import SubnetKeys, UnverifiedAnswerError
from canister_factory.ic.request_id import request_id as id_of
from canister_factory.ic.request_status import PENDING, certified_rejection, certified_reply, certified_status
from canister_factory.ic.transport import Response, Transport

T = TypeVar("T")

MAX_INGRESS_BYTES = 2 << 20
"""The largest request that subnets take, envelope included."""

INGRESS_EXPIRY_S = 240
_POLL_FIRST_S, _POLL_FACTOR, _POLL_MAX_S = 0.2, 1.4, 5.0
# After its expiry a call can't start any more. The margin is for a subnet clock behind ours; a call that is already
# being processed may take longer, and its status is kept for at least as long again.
_EXPIRY_MARGIN_NS = 30 * 10**9
_PROCESSING_MARGIN_NS = 300 * 10**9

# A call that the subnet doesn't know of is sent again, as the same bytes: it was lost on the way, or with a node.
_RESEND_AFTER_NS = 5 * 10**9

_MANAGEMENT = Principal.management_canister()
_VERSIONS = {"call": ("v4", "v3", "v2"), "query": ("v3", "v2"), "read_state": ("v3", "v2")}


@dataclass(frozen=True, slots=True)
class _Call:
    """A signed call; `body` is `None` where only its request id is known."""

    request_id: bytes
    effective: Principal
    expiry_ns: int
    body: bytes | None


class CallerIdentity(Signer, Protocol):
    """An identity to call as: ours, or one of ic-py's."""

    def sender(self) -> Any:
        """The principal that it calls as."""


class Agent(IcPyAgent):
    """Calls canisters of one network as one identity. An async context manager; also takes ic-py's calls.

    One agent keeps one pool of connections, so share it between tasks of an event loop.

    Args:
        identity: whom to call as.
        network: where, and the root key that all answers are checked against.
        transport: another HTTP client than the default for the network; the agent then closes that one.
        clock_ns: nanoseconds since 1970; the transport's, unless given.
        ingress_expiry_s: how long a call may wait to be executed, at most 300 s. Also how long it is resent.
        verify_query_signatures: check each query answer against certified node keys. Certificates are always checked.
    """

    def __init__(
        self,
        identity: CallerIdentity,
        network: Network,
        *,
        transport: Transport | None = None,
        clock_ns: Callable[[], int] | None = None,
        ingress_expiry_s: float = INGRESS_EXPIRY_S,
        verify_query_signatures: bool = True,
    ) -> None:
        if not 0 < ingress_expiry_s <= 300:
            raise ValueError(f"ingress_expiry_s must be above 0 and at most 300, not {ingress_expiry_s}")
        self.identity = identity
        self.network = network
        self.transport = transport or Transport(network.url, hint=network.hint, direct=network.is_loopback)
        self.verify_query_signatures = verify_query_signatures
        self._clock_ns = clock_ns or self.transport.clock_ns
        self._verifier = CertificateVerifier(network.root_key)
        self._subnets: dict[bytes, SubnetKeys] = {}
        self._spoken = dict.fromkeys(_VERSIONS, 0)
        self._keys_lock = asyncio.Lock()
        self._default_effective_id: Principal | None = None
        # What ic-py's agents have:
        self.client = self.transport
        self.ingress_expiry = ingress_expiry_s
        self.root_key = network.root_key
        self.nonce_factory = None

    def __repr__(self) -> str:
        return f"Agent({self.identity.sender()}, {self.network.name}, {self.transport!r})"

    async def __aenter__(self) -> Agent:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self.transport.close()

    # --- Calls ------------------------------------------------------------------------------------------------------

    async def update(
        self, canister_id: CanisterId, method: str, arg: bytes, *, effective_canister_id: CanisterId | None = None
    ) -> bytes:
        """Calls an update method and returns the certified reply (Candid bytes).

        `effective_canister_id`: only for the management canister, whose calls go to where the affected canister is.

        Raises:
            RejectedError: the call was rejected; `certified` says by whom.
            OutcomeUnknownError: it was sent, and no certified outcome came until its expiry.
            CertificateError: an answer that can't be trusted. The call may have been executed all the same.
            IngressTooLargeError, NetworkUnreachableError, TransportError: it was not sent, or surely not accepted.
            ProtocolError: the network refused it as invalid.
        """
        effective = self._effective_id(canister_id, effective_canister_id)
        content = self._call_content("call", canister_id, method, arg)
        request_id, body = self._signed(content, f"the call of {method}")
        call = _Call(request_id, effective, content["ingress_expiry"], body)
        try:
            response = await self._send(call)
        except TransportError as error:
            if not error.maybe_delivered:
                raise
            return await self._wait(call, str(error))
        return await self._call_outcome(response, call)

    async def query(
        self, canister_id: CanisterId, method: str, arg: bytes, *, effective_canister_id: CanisterId | None = None
    ) -> bytes:
        """Calls a query method on one node and returns its reply (Candid bytes), whose signature was checked.

        Raises `RejectedError` (never certified), `QuerySignatureError`, `CertificateError` (while fetching node keys),
        `NetworkUnreachableError`, `TransportError`, `ProtocolError`, `IngressTooLargeError`.
        """
        effective = self._effective_id(canister_id, effective_canister_id)
        content = self._call_content("query", canister_id, method, arg)
        request_id, body = self._signed(content, f"the query of {method}")
        response = await self._post("query", "canister", effective, body, content["ingress_expiry"])
        answer = _answer(response, f"the answer to the query of {method}")
        if self.verify_query_signatures:
            await self._verify_query(answer, request_id, effective)
        if answer.get("status") == "rejected":
            raise _uncertified_rejection(answer)
        match answer:
            case {"status": "replied", "reply": {"arg": bytes(reply)}}:
                return reply
        raise ProtocolError("the query answer is neither a reply nor a rejection")

    async def wait_for(
        self, request_id: bytes, effective_canister_id: CanisterId, *, expiry_ns: int | None = None
    ) -> bytes:
        """Polls for the outcome of a call sent before, by the same identity, until its expiry (default: in 5 minutes).

        Returns the certified reply. Raises `RejectedError`, `OutcomeUnknownError` or `CertificateError`.
        """
        expiry_ns = expiry_ns if expiry_ns is not None else self._clock_ns() + 300 * 10**9
        call = _Call(request_id, as_principal(effective_canister_id), expiry_ns, None)
        return await self._wait(call, "no outcome in time")

    async def _send(self, call: _Call) -> Response:
        assert call.body is not None
        return await self._post("call", "canister", call.effective, call.body, call.expiry_ns)

    async def _call_outcome(self, response: Response, call: _Call) -> bytes:
        if response.status == 202:
            return await self._wait(call, "accepted, but no outcome in time")
        if response.status >= 500 or (response.status != 200 and response.resent):
            # A refusal now doesn't take back an earlier attempt that may have arrived.
            return await self._wait(call, f"HTTP {response.status}: {response.text}")
        answer = _answer(response, "the answer to the call")
        data = answer.get("certificate")
        if answer.get("status") == "replied" and isinstance(data, bytes):
            certificate = self._verify(data, call.effective)
            status = certified_status(certificate, call.request_id)
            if status is None:
                raise CertificateError("the answer's certificate proves that the subnet doesn't know of the request")
            reply = _outcome(certificate, call, status)
            if reply is None:
                return await self._wait(call, f"still {status}")
            return reply
        if "reject_code" not in answer:
            raise ProtocolError("the answer to a call is neither a certificate nor a rejection")
        rejection = _uncertified_rejection(answer)
        if response.resent:
            return await self._wait(call, str(rejection))
        raise rejection

    async def _wait(self, call: _Call, reason: str) -> bytes:
        delay_s = _POLL_FIRST_S
        deadline_ns = call.expiry_ns + _EXPIRY_MARGIN_NS
        sent_ns = self._clock_ns()
        while self._clock_ns() < deadline_ns:
            await self.transport.sleep(delay_s)
            delay_s = min(delay_s * _POLL_FACTOR, _POLL_MAX_S)
            try:
                certificate = await self.read_state(call.effective, [[b"request_status", call.request_id]])
            except (TransportError, StaleCertificateError, MalformedCborError) as error:
                reason = str(error)
                continue
            except ProtocolError as error:
                raise OutcomeUnknownError(
                    call.request_id, call.expiry_ns, f"its status can't be read: {error}"
                ) from error
            status = certified_status(certificate, call.request_id)
            if status is None:
                reason = "the subnet doesn't know of it"
                if certificate.time_ns > call.expiry_ns:
                    break
                if call.body is not None and self._clock_ns() >= sent_ns + _RESEND_AFTER_NS:
                    with suppress(TransportError):
                        await self._send(call)  # whatever the answer: the state is what decides
                    sent_ns = self._clock_ns()
            else:
                reply = _outcome(certificate, call, status)
                if reply is not None:
                    return reply
                reason = f"still {status}"
                deadline_ns = call.expiry_ns + _PROCESSING_MARGIN_NS
        raise OutcomeUnknownError(call.request_id, call.expiry_ns, reason)

    # --- Certified state --------------------------------------------------------------------------------------------

    async def read_state(self, effective_canister_id: CanisterId, paths: Sequence[Sequence[bytes]]) -> Certificate:
        """Reads paths of the state tree, at the subnet of a canister; verified.

        Raises `CertificateError`, `ProtocolError` (such as for a path that may not be read), `TransportError`.
        """
        effective = as_principal(effective_canister_id)
        return self._verify(await self._read_state("canister", effective, paths), effective)

    async def read_subnet_state(self, subnet_id: CanisterId, paths: Sequence[Sequence[bytes]]) -> Certificate:
        """Like `read_state`, at a subnet."""
        subnet = as_principal(subnet_id)
        data = await self._read_state("subnet", subnet, paths)
        return self._verifier.verify(data, now_ns=self._clock_ns(), subnet_id=subnet.bytes)

    async def read_state_cbor(self, effective_canister_id: CanisterId, paths: Sequence[Sequence[bytes]]) -> bytes:
        """The CBOR of the certificate that `read_state` verifies, verified as well."""
        effective = as_principal(effective_canister_id)
        data = await self._read_state("canister", effective, paths)
        self._verify(data, effective)
        return data

    async def canister_info(self, canister_id: CanisterId) -> CanisterInfo:
        """Controllers and module hash of a canister, certified. Raises `CanisterNotFoundError` if it doesn't exist."""
        canister = as_principal(canister_id)
        certificate = await self.read_state(canister, CanisterInfo.paths(canister))
        return CanisterInfo.from_certificate(certificate, canister)

    async def metadata(self, canister_id: CanisterId, name: str) -> bytes | None:
        """A metadata section of a canister's Wasm such as `candid:service`, certified; `None` if it has none such.

        Raises `ProtocolError` for a private section of a canister that the identity doesn't control.
        """
        canister = as_principal(canister_id)
        path = (b"canister", canister.bytes, b"metadata", name.encode())
        return (await self.read_state(canister, [path])).value(path)

    async def status(self) -> NetworkStatus:
        """What the network says of its health. Not verified: only to see whether something answers."""
        return NetworkStatus.from_fields(_answer(await self.transport.get("/api/v2/status"), "the network's status"))

    async def default_effective_canister_id(self) -> Principal:
        """Where a call that creates a canister goes on a test network.

        Networks built on PocketIC, and the embedded replica, say so at `/_/topology`. Others have one subnet that takes
        any id of its ranges, so the first canister id serves.
        """
        if self._default_effective_id is None:
            response = await self.transport.get("/_/topology")
            known = response.status == 200
            self._default_effective_id = topology_default(response.body) if known else FIRST_CANISTER_ID
        return self._default_effective_id

    def run_blocking(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """Runs `call(agent)` in an event loop of its own, with an agent like this one.

        Not for use in `async` code.
        """

        async def with_own_connections() -> T:
            twin = Agent(
                self.identity,
                self.network,
                transport=self.transport.unshared(),
                clock_ns=self._clock_ns,
                ingress_expiry_s=self.ingress_expiry,
                verify_query_signatures=self.verify_query_signatures,
            )
            twin._verifier, twin._subnets, twin._spoken = self._verifier, self._subnets, self._spoken
            async with twin:
                return await call(twin)

        return run_in_own_loop(with_own_connections)

    # --- Requests ---------------------------------------------------------------------------------------------------

    def _effective_id(self, canister_id: CanisterId, effective: CanisterId | None) -> Principal:
        target = as_principal(effective if effective is not None else canister_id)
        if effective is None and target == _MANAGEMENT:
            raise ValueError("a call of the management canister needs an effective_canister_id")
        return target

    def _request_content(self, kind: str) -> dict[str, Any]:
        return {
            "request_type": kind,
            "sender": self.identity.sender().bytes,
            "nonce": os.urandom(16),
            "ingress_expiry": self._clock_ns() + round(self.ingress_expiry * 1e9),
        }

    def _call_content(self, kind: str, canister_id: CanisterId, method: str, arg: bytes) -> dict[str, Any]:
        canister = as_principal(canister_id).bytes
        return {**self._request_content(kind), "canister_id": canister, "method_name": method, "arg": arg}

    def _signed(self, content: dict[str, Any], what: str) -> tuple[bytes, bytes]:
        request_id = id_of(content)
        body = sign_envelope(content, self.identity, content_id=request_id)
        if len(body) > MAX_INGRESS_BYTES:
            raise IngressTooLargeError(what, len(body), MAX_INGRESS_BYTES)
        return request_id, body

    async def _read_state(
        self, scope: Literal["canister", "subnet"], subject: Principal, paths: Sequence[Sequence[bytes]]
    ) -> bytes:
        content = {**self._request_content("read_state"), "paths": [list(path) for path in paths]}
        _, body = self._signed(content, "the read_state request")
        response = await self._post("read_state", scope, subject, body, content["ingress_expiry"])
        data = _answer(response, "the answer to read_state").get("certificate")
        if not isinstance(data, bytes):
            raise ProtocolError("the answer to read_state has no certificate")
        return data

    async def _post(self, kind: str, scope: str, subject: Principal, body: bytes, deadline_ns: int) -> Response:
        """Posts at the newest version of an endpoint that the network has: 404 means an older network."""
        versions = _VERSIONS[kind]
        first = self._spoken[kind]
        for index in range(first, len(versions)):
            path = f"/api/{versions[index]}/{scope}/{subject}/{kind}"
            response = await self.transport.post(path, body, deadline_ns=deadline_ns)
            if response.status != 404:
                self._spoken[kind] = index
                break
        return response

    def _verify(self, data: bytes, effective: Principal) -> Certificate:
        return self._verifier.verify(data, now_ns=self._clock_ns(), canister_id=effective.bytes)

    async def _verify_query(self, answer: dict[str, Any], request_id: bytes, effective: Principal) -> None:
        keys = await self._subnet_keys(effective)
        try:
            keys.verify(answer, request_id, self._clock_ns())
        except UnverifiedAnswerError:
            # Nodes come and go: look once whether the keys have changed since.
            newer = await self._subnet_keys(effective, instead_of=keys)
            newer.verify(answer, request_id, self._clock_ns())

    async def _subnet_keys(self, effective: Principal, instead_of: SubnetKeys | None = None) -> SubnetKeys:
        async with self._keys_lock:
            for known in self._subnets.values():
                if known is not instead_of and known.covers(effective.bytes):
                    return known
            certificate = await self.read_state(effective, [[b"subnet"]])
            keys = SubnetKeys.from_certificate(certificate, effective.bytes)
            self._subnets[keys.subnet_id] = keys
            return keys


def _answer(response: Response, what: str) -> dict[str, Any]:
    """The CBOR map of a 200 answer. Raises `ProtocolError` for a refusal, `TransportError` for a failing server."""
    if response.status >= 500:
        raise TransportError(f"{what}: HTTP {response.status}: {response.text}")
    if response.status != 200:
        raise ProtocolError(f"{what}: HTTP {response.status}: {response.text}", status=response.status)
    return cbor.loads_map(response.body, what)


def _uncertified_rejection(answer: dict[str, Any]) -> RejectedError:
    code, message, detail = answer.get("reject_code"), answer.get("reject_message"), answer.get("error_code")
    if type(code) is not int or type(message) is not str:
        raise ProtocolError("a rejection without code or message")
    return RejectedError(code, message, detail if isinstance(detail, str) else None, certified=False)


def _outcome(certificate: Certificate, call: _Call, status: str) -> bytes | None:
    """The reply, or `None` while the call is under way. Raises what else a certified status means."""
    if status in PENDING:
        return None
    if status == "rejected":
        raise certified_rejection(certificate, call.request_id)
    if status == "done":
        reason = "it was executed, but the subnet no longer has the reply"
        raise OutcomeUnknownError(call.request_id, call.expiry_ns, reason)
    return certified_reply(certificate, call.request_id)
