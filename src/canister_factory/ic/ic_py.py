"""ic-py's agent and client, answered by ours: existing ic-py code gets verification, time-outs and typed errors.

Owns the translation of names, of envelopes signed elsewhere, and of blocking calls. Does not own behaviour: that is
`agent.Agent`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import update_wrapper
from math import isfinite
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import ic.agent
import ic.candid
import ic.client

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import PrincipalLike, as_principal
from canister_factory.candid.types import Type
from canister_factory.ic import cbor
from canister_factory.ic.errors import MalformedEnvelopeError, OutcomeUnknownError, RejectedError
from canister_factory.ic.network_clock import NetworkClock
from canister_factory.ic.outcome import Call, judge
from canister_factory.ic.request_id import request_id
from canister_factory.ic.requester import Requester, Signed, answer_of
from canister_factory.ic.trace import Hook, Span, noting_call

T = TypeVar("T")
P = ParamSpec("P")


class _RunsBlocking(Protocol):
    """What can run a call in an event loop of its own."""

    def run_blocking(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """Runs `call` with an object like this one."""


B = TypeVar("B", bound=_RunsBlocking)


def _blocking_form(method: Callable[Concatenate[B, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[B, P], T]:
    """The blocking form of an asynchronous method, with its parameters."""
    name = method.__name__

    def run(self: B, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self.run_blocking(lambda own: getattr(own, name)(*args, **kwargs))
        return result

    update_wrapper(run, method)
    run.__name__ = name.removesuffix("_async")
    run.__qualname__ = method.__qualname__.removesuffix("_async")
    run.__doc__ = f"Blocking `{name}`."
    return run


class IcPyAgent(ic.agent.Agent):  # type: ignore[misc]
    """ic-py's methods in terms of `update`, `query`, `read_state_cbor`, `wait_for` and `client`.

    Differences from ic-py, all of them deliberate: a rejected query raises `RejectedError` instead of returning the
    text; `return_type` takes our Candid types as well as ic-py's, and gives a tuple of values for ours; without it the
    raw bytes are returned. Attributes can't be assigned: an agent is made for one identity and one network.
    The blocking methods run an event loop of their own, with connections for one call: not for `async` code.
    """

    clock: NetworkClock
    verify_query_signatures: bool
    nonce_factory = None
    """Nonces are 16 random bytes; ic-py doesn't use its own either."""

    @property
    @abstractmethod
    def client(self) -> IcPyClient: ...

    @abstractmethod
    async def update(
        self, canister_id: PrincipalLike, method: str, arg: bytes, *, effective_canister_id: PrincipalLike | None = None
    ) -> bytes: ...

    @abstractmethod
    async def query(
        self, canister_id: PrincipalLike, method: str, arg: bytes, *, effective_canister_id: PrincipalLike | None = None
    ) -> bytes: ...

    @abstractmethod
    async def read_state_cbor(
        self, effective_canister_id: PrincipalLike, paths: Sequence[Sequence[bytes]]
    ) -> bytes: ...

    @abstractmethod
    async def wait_for(
        self, request_id: bytes, effective_canister_id: PrincipalLike, *, expiry_ns: int | None = None
    ) -> bytes: ...

    @abstractmethod
    def run_blocking(self, call: Callable[[Any], Awaitable[T]]) -> T: ...

    def get_expiry_date(self) -> int:
        """When a request signed now expires: nanoseconds since 1970, in whole seconds of the network's time."""
        return int((self.clock() / 1e9) + self.ingress_expiry) * 10**9

    async def query_raw_async(
        self,
        canister_id: PrincipalLike,
        method_name: str,
        arg: bytes,
        return_type: Any = None,
        effective_canister_id: PrincipalLike | None = None,
    ) -> Any:
        """As `query`; the reply decoded if `return_type` is given."""
        with noting_call(as_principal(canister_id), method_name):
            reply = await self.query(canister_id, method_name, arg, effective_canister_id=effective_canister_id)
            return _decoded(reply, return_type)

    async def update_raw_async(
        self,
        /,
        canister_id: PrincipalLike,
        method_name: str,
        arg: bytes,
        return_type: Any = None,
        effective_canister_id: PrincipalLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `update`; the reply decoded if `return_type` is given. ic-py's polling options have no effect."""
        with noting_call(as_principal(canister_id), method_name):
            reply = await self.update(canister_id, method_name, arg, effective_canister_id=effective_canister_id)
            return _decoded(reply, return_type)

    async def read_state_raw_async(self, canister_id: PrincipalLike, paths: Sequence[Sequence[bytes]]) -> Any:
        """A verified certificate in ic-py's form: a dict with the tree as nested lists."""
        return cbor.loads(await self.read_state_cbor(canister_id, paths), "certificate")

    async def poll_async(
        self,
        canister_id: PrincipalLike,
        req_id: bytes,
        delay: float = 1,
        timeout: float = float("inf"),  # noqa: ASYNC109 - the name is ic-py's
    ) -> tuple[str, bytes | None]:
        """ic-py's pair of a status and the reply or reject message; the outcome may stay `unknown`.

        Waits for at most `timeout` seconds, and not beyond the call's expiry. Pauses are chosen here, not by `delay`.
        """
        try:
            async with asyncio.timeout(timeout if isfinite(timeout) else None):
                return "replied", await self.wait_for(req_id, canister_id)
        except RejectedError as error:
            return "rejected", error.message.encode()
        except (OutcomeUnknownError, TimeoutError):
            return "unknown", None

    query_raw = _blocking_form(query_raw_async)
    update_raw = _blocking_form(update_raw_async)
    read_state_raw = _blocking_form(read_state_raw_async)
    poll = _blocking_form(poll_async)


class IcPyClient(ic.client.Client):  # type: ignore[misc]
    """ic-py's HTTP client over an agent's transport; `data` is a request's signed envelope, by whichever identity.

    Answers are returned as CBOR, as in ic-py, after they were verified: ic-py's `query_endpoint`, `call_endpoint` and
    `read_state_endpoint` work on it.
    """

    def __init__(self, agent: IcPyAgent, requester: Requester, trace: Hook) -> None:
        self.url = requester.transport.url
        self._agent = agent
        self._requester = requester
        self._trace = trace

    def __repr__(self) -> str:
        return f"IcPyClient({self._requester!r})"

    async def query_async(self, canister_id: PrincipalLike, data: bytes) -> bytes:
        """Sends a signed query.

        Returns CBOR of a map with `status`, and `reply` or the rejection.

        Raises:
            MalformedEnvelopeError: `data` is no envelope of a query.
            QuerySignatureError, CertificateError, TransportError, ProtocolError: as `Agent.query`.
        """
        request, method = _signed_elsewhere(data, "query")
        effective, what = as_principal(canister_id), f"the query of {method}"
        verify = self._agent.verify_query_signatures
        with Span(self._trace, "query", effective, method) as span:
            return cbor.dumps(await self._requester.query_once(effective, request, what, span, verify=verify))

    async def call_async(self, canister_id: PrincipalLike, req_id: bytes, data: bytes) -> bytes:
        """Sends a signed call, and returns its request id without waiting for what becomes of it: see `Agent.poll`.

        Raises:
            MalformedEnvelopeError: `data` is no envelope of a call, or not of this request.
            RejectedError: a replica refused it; not certified.
            TransportError: `maybe_delivered` says whether it may be executed all the same.
            ProtocolError: the network refused it as invalid.
        """
        request, method = _signed_elsewhere(data, "call")
        if req_id != request.request_id:
            raise MalformedEnvelopeError(f"the envelope's request id is 0x{request.request_id.hex()}, another one")
        effective = as_principal(canister_id)
        with Span(self._trace, "call", effective, method) as span:
            span.about(req_id)
            response = await self._requester.post("call", "canister", effective, request, span)
            try:
                judge(
                    response,
                    Call(request, effective),
                    lambda certificate: self._requester.verify(certificate, "canister", effective),
                )
            except RejectedError as error:
                if not error.certified:
                    raise
        return req_id

    async def read_state_async(self, canister_id: PrincipalLike, data: bytes) -> bytes:
        """Sends a signed request for parts of the state, and returns CBOR of a map with `certificate`.

        Raises:
            MalformedEnvelopeError: `data` is no envelope of such a request.
            CertificateError, TransportError, ProtocolError: as `Agent.read_state`.
        """
        request, _ = _signed_elsewhere(data, "read_state")
        effective = as_principal(canister_id)
        with Span(self._trace, "read_state", effective) as span:
            certificate, _ = await self._requester.read_state_once("canister", effective, request, span)
        return cbor.dumps({"certificate": certificate})

    async def status_async(self) -> bytes:
        """The CBOR of the network's status; not verified.

        Raises:
            TransportError, ProtocolError: it gave none.
        """
        with Span(self._trace, "status") as span:
            response = await self._requester.transport.get("/api/v2/status", span=span)
            answer_of(response, "the network's status")
        return response.body

    def run_blocking(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """Runs `call(client)` in an event loop of its own, with the client of an agent like this one."""
        return self._agent.run_blocking(lambda agent: call(agent.client))

    query = _blocking_form(query_async)
    call = _blocking_form(call_async)
    read_state = _blocking_form(read_state_async)
    status = _blocking_form(status_async)


def run_in_own_loop(call: Callable[[], Awaitable[T]]) -> T:
    """Runs an awaitable to its end in a new event loop.

    Raises:
        RuntimeError: inside a running one.
    """

    async def main() -> T:
        return await call()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    raise RuntimeError("a blocking call inside a running event loop would stop everything in it: use the async form")


def _signed_elsewhere(data: bytes, kind: str) -> tuple[Signed, str]:
    """The request in an envelope, and its method if it has one."""
    content = cbor.loads_map(data, "the envelope").get("content")
    fields: dict[str, Any] = content if isinstance(content, dict) else {}
    expiry_ns = fields.get("ingress_expiry")
    if fields.get("request_type") != kind or type(expiry_ns) is not int:
        raise MalformedEnvelopeError(f"the envelope has no request of type {kind} with an ingress_expiry")
    try:
        return Signed(request_id(fields), expiry_ns, data), str(fields.get("method_name", ""))
    except (TypeError, ValueError) as error:
        raise MalformedEnvelopeError(f"the envelope's content has no request id: {error}") from None


def _decoded(reply: bytes, return_type: Any) -> Any:
    if return_type is None:
        return reply
    types = [return_type] if isinstance(return_type, Type) else return_type
    if isinstance(types, (list, tuple)) and all(isinstance(item, Type) for item in types):
        return decode(reply, types)
    return ic.candid.decode(reply, return_type)
