"""Requests: signed, posted in the network's version, their answers verified by the network's time.

Owns the way of one request and its answer, and learning the network's time. Does not own: what becomes of a call whose
outcome isn't known at once (`outcome`), HTTP (`transport`), trust (`certificate`, `query_signature`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.ic import cbor
from canister_factory.ic.certificate import Certificate, CertificateVerifier
from canister_factory.ic.envelope import ANONYMOUS, Signer, sign_envelope
from canister_factory.ic.errors import (
    IcError,
    IdentityError,
    IngressTooLargeError,
    ProtocolError,
    RejectedError,
    RequestExpiryError,
    StaleAnswerError,
    StaleCertificateError,
    TransportError,
)
from canister_factory.ic.identity import Identity
from canister_factory.ic.network_clock import NetworkClock
from canister_factory.ic.query_signature import SubnetKeys, UnverifiedAnswerError
from canister_factory.ic.request_id import request_id as id_of
from canister_factory.ic.trace import Span
from canister_factory.ic.transport import Response, Transport

T = TypeVar("T")
logger = logging.getLogger(__name__)

MAX_INGRESS_BYTES = 2 << 20
"""The largest request that subnets take, envelope included."""

_VERSIONS = {"call": ("v4", "v3", "v2"), "query": ("v3", "v2"), "read_state": ("v3", "v2")}
_CLOCK_METHOD = "what_time_is_it"  # no canister needs to have it: a node signs a rejection just as well


class CallerIdentity(Signer, Protocol):
    """An identity to call as: ours, or one of ic-py's."""

    def sender(self) -> Any:
        """The principal that it calls as."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request; `expiry_ns` by the network's time. `body` is `None` where only a call's id is known."""

    request_id: bytes
    expiry_ns: int
    body: bytes | None


@dataclass(slots=True)
class Learnt:
    """What all agents of one network may share: verified delegations and node keys, spoken versions, its time.

    `canister_times`: whether it may be asked for the times of canisters, which networks before 0.66 refuse.
    """

    verifier: CertificateVerifier
    clock: NetworkClock
    subnets: dict[bytes, SubnetKeys]
    spoken: dict[str, int]
    canister_times: bool = True


class Requester:
    """Sends one identity's requests and believes only what is signed by the network."""

    def __init__(
        self, identity: CallerIdentity, transport: Transport, root_key: bytes, expiry_s: float, clock: NetworkClock
    ) -> None:
        self.identity = identity
        self.transport = transport
        self.expiry_s = expiry_s
        self.learnt = Learnt(CertificateVerifier(root_key), clock, {}, dict.fromkeys(_VERSIONS, 0))
        self._keys_lock = asyncio.Lock()
        self._clock_lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Requester({self.identity.sender()}, {self.transport!r})"

    @property
    def clock(self) -> NetworkClock:
        """The network's time."""
        return self.learnt.clock

    # --- Signing and sending ---

    def sign(self, kind: str, fields: dict[str, Any], what: str, *, latest_ns: int | None = None) -> Signed:
        """A request with a new nonce, as our identity; it expires at `latest_ns` (the network's time) at the latest.

        Raises:
            IngressTooLargeError: it is above the limit; `what` names it in the message.
            IdentityError: a call by an identity that may only query.
        """
        if kind == "call" and getattr(self.identity, "queries_only", False):
            raise IdentityError(f"the delegations of {self.identity!r} are for queries only: {what} was not sent")
        expiry_ns = self.clock() + round(self.expiry_s * 1e9)
        if latest_ns is not None:
            expiry_ns = min(expiry_ns, latest_ns)
        signed = _signed(kind, fields, self.identity.sender().bytes, self.identity, expiry_ns)
        assert signed.body is not None
        if len(signed.body) > MAX_INGRESS_BYTES:
            raise IngressTooLargeError(what, len(signed.body), MAX_INGRESS_BYTES)
        return signed

    async def post(self, kind: str, scope: str, subject: Principal, request: Signed, span: Span) -> Response:
        """Posts at the newest version of an endpoint that the network has: 404 means an older network.

        An attempt at any version that may have arrived counts: the answer is `resent` then, and a `TransportError` says
        so.
        """
        assert request.body is not None
        versions = _VERSIONS[kind]
        deadline_ns = self.transport.clock_ns() + request.expiry_ns - self.clock()
        resent = False
        for index in range(self.learnt.spoken[kind], len(versions)):
            path = f"/api/{versions[index]}/{scope}/{subject}/{kind}"
            try:
                response = await self.transport.post(path, request.body, deadline_ns=deadline_ns, span=span)
            except TransportError as error:
                if resent and not error.maybe_delivered:
                    raise TransportError(f"{error} (an earlier attempt may have arrived)") from error
                raise
            resent = resent or response.resent
            if response.status != 404:
                self.learnt.spoken[kind] = index
                break
        return Response(response.status, response.body, resent)

    # --- Reading ---

    async def read_state(
        self, scope: Literal["canister", "subnet"], subject: Principal, paths: Sequence[Sequence[bytes]], span: Span
    ) -> tuple[bytes, Certificate]:
        """A certificate with these paths, as its CBOR and verified."""

        async def read() -> tuple[bytes, Certificate]:
            request = self.sign("read_state", {"paths": [list(path) for path in paths]}, "the read_state request")
            return await self.read_state_once(scope, subject, request, span)

        return await self._with_the_networks_time(scope, subject, read, span)

    async def read_state_once(
        self, scope: Literal["canister", "subnet"], subject: Principal, request: Signed, span: Span
    ) -> tuple[bytes, Certificate]:
        """Like `read_state`, for a request that is signed already."""
        data = _certificate_in(await self.post("read_state", scope, subject, request, span))
        return data, self.verify(data, scope, subject)

    async def query(self, effective: Principal, fields: dict[str, Any], span: Span, *, verify: bool) -> dict[str, Any]:
        """The answer to a query: a map with `status`, whose signature is checked if `verify` says so."""
        what = f"the query of {fields['method_name']}"

        async def ask() -> dict[str, Any]:
            return await self.query_once(effective, self.sign("query", fields, what), what, span, verify=verify)

        return await self._with_the_networks_time("canister", effective, ask, span)

    async def query_once(
        self, effective: Principal, request: Signed, what: str, span: Span, *, verify: bool
    ) -> dict[str, Any]:
        """Like `query`, for a request that is signed already; `what` names it in errors."""
        span.about(request.request_id)
        answer = answer_of(await self.post("query", "canister", effective, request, span), f"the answer to {what}")
        if verify:
            await self._verify_query(answer, request.request_id, effective, span)
        return answer

    def verify(self, data: bytes, scope: str, subject: Principal) -> Certificate:
        """A fresh, trusted certificate that speaks for `subject`.

        Raises:
            CertificateError: it isn't one.
        """
        about = {f"{scope}_id": subject.bytes}
        certificate = self.learnt.verifier.verify(data, now_ns=self.clock(), **about)
        self.clock.saw(certificate.time_ns)
        return certificate

    async def _verify_query(self, answer: dict[str, Any], request_id: bytes, effective: Principal, span: Span) -> None:
        keys = await self._subnet_keys(effective, span)
        try:
            keys.verify(answer, request_id, self.clock())
        except UnverifiedAnswerError:
            # Nodes come and go: look once whether the keys have changed since.
            newer = await self._subnet_keys(effective, span, instead_of=keys)
            newer.verify(answer, request_id, self.clock())

    async def _subnet_keys(self, effective: Principal, span: Span, instead_of: SubnetKeys | None = None) -> SubnetKeys:
        async with self._keys_lock:
            for known in self.learnt.subnets.values():
                if known is not instead_of and known.covers(effective.bytes):
                    return known
            with span.aside("read_state", effective, "node keys") as aside:
                _, certificate = await self.read_state("canister", effective, [[b"subnet"]], aside)
            keys = SubnetKeys.from_certificate(certificate, effective.bytes)
            self.learnt.subnets[keys.subnet_id] = keys
            return keys

    # --- The network's time ---

    async def _with_the_networks_time(
        self, scope: str, subject: Principal, attempt: Callable[[], Awaitable[T]], span: Span
    ) -> T:
        """Tries a read once more when the clock was to blame for its failure and has been corrected."""
        seen = self.clock.corrections
        try:
            return await attempt()
        except (StaleCertificateError, StaleAnswerError, RequestExpiryError):
            # Only a canister can be asked in a way that proves the time.
            known = scope == "canister" and await self.learn_time(subject, span)
            if not known or self.clock.corrections == seen:
                raise
        return await attempt()

    async def learn_time(self, effective: Principal, span: Span) -> bool:
        """Corrects the clock by a proof of the network's time (`NetworkClock`); whether the time is known now.

        Asks anonymously, since the specification lets anonymous reads carry any expiry.
        """
        seen = self.clock.corrections
        async with self._clock_lock:
            if self.clock.corrections != seen or self.clock.checked_lately:
                return True
            try:
                with span.aside("time", effective, "the network's time") as aside:
                    certificate, answered_ns = await self._proof_of_time(effective, aside)
            except IcError as error:
                logger.info("the network's time can't be learnt: %s", error)
                return False
            return self.clock.correct(certificate.time_ns, answered_ns)

    async def _proof_of_time(self, effective: Principal, span: Span) -> tuple[Certificate, int]:
        nobody, lasting_ns = Identity.anonymous(), round(self.expiry_s * 1e9)
        paths = {"paths": [[b"subnet"], [b"time"]]}
        read = _signed("read_state", paths, ANONYMOUS, nobody, self.clock() + lasting_ns)
        data = _certificate_in(await self.post("read_state", "canister", effective, read, span))
        certificate = self.learnt.verifier.verify(data, now_ns=None, canister_id=effective.bytes)
        keys = SubnetKeys.from_certificate(certificate, effective.bytes)
        fields = {"canister_id": effective.bytes, "method_name": _CLOCK_METHOD, "arg": b""}
        query = _signed("query", fields, ANONYMOUS, nobody, certificate.time_ns + lasting_ns)
        answer = answer_of(await self.post("query", "canister", effective, query, span), "the answer about the time")
        return certificate, keys.verify(answer, query.request_id, None)


def _signed(kind: str, fields: dict[str, Any], sender: bytes, identity: Signer, expiry_ns: int) -> Signed:
    content = {
        "request_type": kind,
        "sender": sender,
        "nonce": os.urandom(16),
        "ingress_expiry": expiry_ns,
        **fields,
    }
    request_id = id_of(content)
    return Signed(request_id, expiry_ns, sign_envelope(content, identity, content_id=request_id))


def answer_of(response: Response, what: str) -> dict[str, Any]:
    """The CBOR map of a 200 answer.

    Raises:
        RequestExpiryError, ProtocolError: the request was refused.
        TransportError: the server fails.
    """
    if response.status >= 500:
        raise TransportError(f"{what}: HTTP {response.status}: {response.text}")
    if response.status != 200:
        raise refusal(response, what)
    return cbor.loads_map(response.body, what)


def refusal(response: Response, what: str) -> ProtocolError:
    """The error of a request that was refused. Networks name a wrong expiry by the words that agents know it by."""
    text = f"{what}: HTTP {response.status}: {response.text}"
    if response.status == 400 and b"request expiry" in response.body.lower():
        return RequestExpiryError(text, status=400)
    return ProtocolError(text, status=response.status)


def rejection_in(answer: dict[str, Any]) -> RejectedError:
    """The rejection in an answer that isn't certified.

    Raises:
        ProtocolError: there is none of the right form.
    """
    code, message, detail = answer.get("reject_code"), answer.get("reject_message"), answer.get("error_code")
    if type(code) is not int or not 0 <= code < 2**64 or type(message) is not str:
        raise ProtocolError("a rejection without code or message")
    return RejectedError(code, message, detail if isinstance(detail, str) else None, certified=False)


def _certificate_in(response: Response) -> bytes:
    data = answer_of(response, "the answer to read_state").get("certificate")
    if not isinstance(data, bytes):
        raise ProtocolError("the answer to read_state has no certificate")
    return data
