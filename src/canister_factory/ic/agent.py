"""The agent: calls canisters and reads certified state, believing nothing that isn't signed by the network.

Owns the interface, ic-py's included. Does not own: signing and sending (`requester`), what becomes of a call
(`outcome`), HTTP (`transport`), trust (`certificate`, `query_signature`), Candid, what methods of canisters mean.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from canister_factory.candid.principal import Principal, PrincipalLike, as_principal
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.certificate import Certificate, CertificateVerifier
from canister_factory.ic.errors import ProtocolError
from canister_factory.ic.ic_py import IcPyAgent, IcPyClient, run_in_own_loop
from canister_factory.ic.network import Network
from canister_factory.ic.network_clock import NetworkClock
from canister_factory.ic.network_status import FIRST_CANISTER_ID, NetworkStatus, topology_default
from canister_factory.ic.outcome import Call, outcome_of, wait
from canister_factory.ic.requester import MAX_INGRESS_BYTES, CallerIdentity, Requester, Signed, answer_of, rejection_in
from canister_factory.ic.trace import Hook, Span, log, noting_call
from canister_factory.ic.transport import Transport

__all__ = ["INGRESS_EXPIRY_S", "MAX_INGRESS_BYTES", "Agent", "CallerIdentity"]

T = TypeVar("T")

INGRESS_EXPIRY_S = 240
_PATH_REFUSED = (400, 404)  # HTTP; the official replica says 404 to a path that it doesn't know
_MANAGEMENT = Principal.management_canister()


class Agent(IcPyAgent):
    """Calls canisters of one network as one identity. An async context manager; also takes ic-py's calls.

    One agent keeps one pool of connections, so share it between tasks of an event loop.

    Args:
        identity: whom to call as.
        network: where, and the root key that all answers are checked against.
        transport: another HTTP client than the default for the network; the agent then closes that one.
        clock_ns: this computer's nanoseconds since 1970; the transport's, unless given. Where the network proves that
            it is wrong, the network's time is used (`clock`).
        ingress_expiry_s: how long a call may wait to be executed, at most 300 s. Also how long it is resent.
        verify_query_signatures: check each query answer against certified node keys. Certificates are always checked.
        trace: told of every request and every attempt at one; writes them to the log, unless given.
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
        trace: Hook = log,
    ) -> None:
        if not 0 < ingress_expiry_s <= 300:
            raise ValueError(f"ingress_expiry_s must be above 0 and at most 300, not {ingress_expiry_s}")
        self.network = network
        self.transport = transport or Transport(network.url, hint=network.hint, direct=network.is_loopback)
        self.verify_query_signatures = verify_query_signatures
        self.clock = NetworkClock(clock_ns or self.transport.clock_ns)
        self._trace = trace
        self._requester = Requester(identity, self.transport, network.root_key, ingress_expiry_s, self.clock)
        self._client = IcPyClient(self, self._requester, trace)
        self._default_effective_id: Principal | None = None

    def __repr__(self) -> str:
        return f"Agent({self.principal}, {self.network.name}, {self.transport!r})"

    @property
    def identity(self) -> CallerIdentity:
        """Whom it calls as."""
        return self._requester.identity

    @property
    def principal(self) -> Principal:
        """The principal that it calls as."""
        return as_principal(self.identity.sender())

    @property
    def root_key(self) -> bytes:
        """The network's public key (DER), which all answers are checked against."""
        return self.network.root_key

    @property
    def certificates(self) -> CertificateVerifier:
        """Judges certificates of its network that came another way, such as in a canister's answer. What it has checked
        for other answers isn't checked again.
        """
        return self._requester.learnt.verifier

    @property
    def ingress_expiry(self) -> float:
        """How long a call may wait to be executed, in seconds."""
        return self._requester.expiry_s

    @property
    def client(self) -> IcPyClient:
        """ic-py's client: takes envelopes that were signed elsewhere."""
        return self._client

    async def __aenter__(self) -> Agent:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self.transport.close()

    # --- Calls ------------------------------------------------------------------------------------------------------

    async def update(
        self,
        canister_id: PrincipalLike,
        method: str,
        arg: bytes,
        *,
        effective_canister_id: PrincipalLike | None = None,
        latest_ns: int | None = None,
    ) -> bytes:
        """Calls an update method and returns the certified reply (Candid bytes).

        `effective_canister_id`: only for the management canister, whose calls go to where the affected canister is.
        `latest_ns`: nanoseconds since 1970 after which it must not be executed, where that is sooner than usual.

        Once it may have been delivered, it is waited for until it can't be executed any more, whatever the answers are
        like (`outcome.judge`).

        Raises:
            RejectedError: the call was rejected; `certified` says by whom.
            OutcomeUnknownError: it was sent, and no certified outcome came until its expiry.
            IngressTooLargeError, NetworkUnreachableError, TransportError: it was not sent, or surely not accepted.
            ProtocolError: the network refused it as invalid.
            IdentityError: it was not sent, since the identity's delegations are for queries only.
        """
        effective = _effective_id(canister_id, effective_canister_id)
        fields = _call_fields(canister_id, method, arg)

        def sign() -> Signed:
            return self._requester.sign("call", fields, f"the call of {method}", latest_ns=latest_ns)

        with Span(self._trace, "call", as_principal(canister_id), method) as span:
            return await outcome_of(self._requester, sign, effective, span)

    async def query(
        self, canister_id: PrincipalLike, method: str, arg: bytes, *, effective_canister_id: PrincipalLike | None = None
    ) -> bytes:
        """Calls a query method on one node and returns its reply (Candid bytes), whose signature was checked.

        Raises:
            RejectedError: it was rejected; never certified.
            QuerySignatureError: the answer isn't signed by a node of the subnet.
            CertificateError: the node keys can't be trusted.
            IngressTooLargeError, NetworkUnreachableError, TransportError, ProtocolError: there is no answer.
        """
        effective = _effective_id(canister_id, effective_canister_id)
        fields = _call_fields(canister_id, method, arg)
        with Span(self._trace, "query", as_principal(canister_id), method) as span:
            answer = await self._requester.query(effective, fields, span, verify=self.verify_query_signatures)
            if answer.get("status") == "rejected":
                raise rejection_in(answer)
            match answer:
                case {"status": "replied", "reply": {"arg": bytes(reply)}}:
                    return reply
            raise ProtocolError("the query answer is neither a reply nor a rejection")

    async def wait_for(
        self, request_id: bytes, effective_canister_id: PrincipalLike, *, expiry_ns: int | None = None
    ) -> bytes:
        """Polls for the outcome of a call sent before, by the same identity, until its expiry (default: in 5 minutes).

        Returns the certified reply.

        Raises:
            RejectedError: the call was rejected.
            OutcomeUnknownError: no certified outcome came until its expiry.
        """
        expiry_ns = expiry_ns if expiry_ns is not None else self.clock() + 300 * 10**9
        effective = as_principal(effective_canister_id)
        with Span(self._trace, "call", effective) as span:
            span.about(request_id)
            call = Call(Signed(request_id, expiry_ns, None), effective)
            return await wait(self._requester, call, "no outcome in time", span)

    # --- Certified state --------------------------------------------------------------------------------------------

    async def read_state(self, effective_canister_id: PrincipalLike, paths: Sequence[Sequence[bytes]]) -> Certificate:
        """Reads paths of the state tree, at the subnet of a canister; verified.

        Raises:
            CertificateError: the answer can't be trusted.
            ProtocolError: the request was refused, such as for a path that may not be read.
            TransportError: there is no answer.
        """
        return (await self._read_canister(effective_canister_id, paths))[1]

    async def read_subnet_state(self, subnet_id: PrincipalLike, paths: Sequence[Sequence[bytes]]) -> Certificate:
        """Like `read_state`, at a subnet."""
        subnet = as_principal(subnet_id)
        with Span(self._trace, "read_state", subnet) as span:
            return (await self._requester.read_state("subnet", subnet, paths, span))[1]

    async def read_state_cbor(self, effective_canister_id: PrincipalLike, paths: Sequence[Sequence[bytes]]) -> bytes:
        """The CBOR of the certificate that `read_state` verifies, verified as well."""
        return (await self._read_canister(effective_canister_id, paths))[0]

    async def _read_canister(
        self, effective_canister_id: PrincipalLike, paths: Sequence[Sequence[bytes]]
    ) -> tuple[bytes, Certificate]:
        effective = as_principal(effective_canister_id)
        with Span(self._trace, "read_state", effective) as span:
            return await self._requester.read_state("canister", effective, paths, span)

    async def canister_info(self, canister_id: PrincipalLike) -> CanisterInfo:
        """Controllers and module hash of a canister, and since when it and its code are there, certified.

        Raises:
            CanisterNotFoundError: it doesn't exist.
        """
        canister, learnt = as_principal(canister_id), self._requester.learnt
        with noting_call(canister):
            if learnt.canister_times:
                try:
                    return await self._canister_info(canister, times=True)
                except ProtocolError as error:
                    if error.status not in _PATH_REFUSED:
                        raise
            info = await self._canister_info(canister, times=False)
            learnt.canister_times = False  # that was what it refused
            return info

    async def _canister_info(self, canister: Principal, *, times: bool) -> CanisterInfo:
        certificate = await self.read_state(canister, CanisterInfo.paths(canister, times=times))
        return CanisterInfo.from_certificate(certificate, canister, times=times)

    async def metadata(self, canister_id: PrincipalLike, name: str) -> bytes | None:
        """A metadata section of a canister's Wasm such as `candid:service`, certified; `None` if it has none such.

        Raises:
            ProtocolError: a private section of a canister that the identity doesn't control.
        """
        canister = as_principal(canister_id)
        path = (b"canister", canister.bytes, b"metadata", name.encode())
        with noting_call(canister):
            return (await self.read_state(canister, [path])).value(path)

    async def status(self) -> NetworkStatus:
        """What the network says of its health. Not verified: only to see whether something answers."""
        with Span(self._trace, "status") as span:
            answer = answer_of(await self.transport.get("/api/v2/status", span=span), "the network's status")
            return NetworkStatus.from_fields(answer)

    async def default_effective_canister_id(self) -> Principal:
        """Where a call that creates a canister goes on a test network.

        Networks built on PocketIC, and the embedded replica, say so at `/_/topology`. Others have one subnet that takes
        any id of its ranges, so the first canister id serves.
        """
        if self._default_effective_id is None:
            with Span(self._trace, "topology") as span:
                response = await self.transport.get("/_/topology", span=span)
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
                clock_ns=self.clock.local_ns,
                ingress_expiry_s=self.ingress_expiry,
                verify_query_signatures=self.verify_query_signatures,
                trace=self._trace,
            )
            twin.clock = self.clock
            twin._requester.learnt = self._requester.learnt
            async with twin:
                return await call(twin)

        return run_in_own_loop(with_own_connections)


def _effective_id(canister_id: PrincipalLike, effective: PrincipalLike | None) -> Principal:
    target = as_principal(effective if effective is not None else canister_id)
    if effective is None and target == _MANAGEMENT:
        raise ValueError("a call of the management canister needs an effective_canister_id")
    return target


def _call_fields(canister_id: PrincipalLike, method: str, arg: bytes) -> dict[str, Any]:
    return {"canister_id": as_principal(canister_id).bytes, "method_name": method, "arg": arg}
