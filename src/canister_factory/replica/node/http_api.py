"""The IC's HTTP interface as a function of (method, path, body).

Owns routing, the checks before a request reaches the subnet, and the form of answers. Does not own sockets (`server`),
when the subnet executes (`rounds`), certificates (`certified_view`) or path permissions (`read_state`).

Source: interface specification, "HTTPS Interface".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.ic.canister_signature import verifying_with
from canister_factory.ic.cbor import dumps
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.envelope import verify_envelope
from canister_factory.ic.errors import EnvelopeError
from canister_factory.ic.request_id import hash_of_map
from canister_factory.ic.requests import CallRequest, QueryRequest, ReadStateRequest
from canister_factory.replica.node.certification import CANISTER_RANGES, RangesLayout
from canister_factory.replica.node.certified_view import ObservableSubnet
from canister_factory.replica.node.http_error import HttpError
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.read_state import (
    ReadAccess,
    RequestOwner,
    StateTreeReader,
)
from canister_factory.replica.node.round_failed import RoundFailedError
from canister_factory.replica.node.rounds import Rounds
from canister_factory.replica.node.sliced_work import SlicedWork
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Response, Steps
from canister_factory.replica.subnet.management_interface import decode_argument
from canister_factory.replica.subnet.messages import IngressMessage
from canister_factory.version import __version__

__all__ = ["Answer", "HttpApi", "ServedSubnet"]

MAX_INGRESS_BYTES: Final = 2 * 1024 * 1024
SYNC_CALL_TIMEOUT_S: Final = 10.0
# Of the values that the official replica has, and strict clients know: what is certified stays behind what was sent.
_NOT_HEALTHY: Final = "certified_state_behind"
_API_VERSION: Final = "0.18.0"
_CBOR: Final = "application/cbor"
_TEXT: Final = "text/plain; charset=utf-8"
_ROUTES: Final = {
    ("canister", "call"): ("v2", "v3", "v4"),
    ("canister", "query"): ("v2", "v3"),
    ("canister", "read_state"): ("v2", "v3"),
    ("subnet", "call"): ("v4",),
    ("subnet", "query"): ("v3",),
    ("subnet", "read_state"): ("v2", "v3"),
}
_MANAGEMENT_CANISTER: Final = b""
_CREATION_METHODS: Final = ("create_canister", "provisional_create_canister_with_cycles")

Answer = tuple[int, str, bytes]
"""HTTP status, content type, body."""


class ServedSubnet(ObservableSubnet, Protocol):
    """What the HTTP interface needs of a subnet, besides what the certified view and the rounds need."""

    @property
    def first_canister_id(self) -> bytes: ...

    @property
    def last_canister_id(self) -> bytes: ...

    def checking(self, message: IngressMessage) -> Steps[None]: ...

    def querying(self, query: QueryRequest, data_certificate: Callable[[bytes], bytes]) -> Steps[Response]: ...


@dataclass(frozen=True, slots=True)
class _Route:
    version: int
    about_subnet: bool
    operation: str
    effective_id: bytes

    @property
    def layout(self) -> RangesLayout:
        if self.about_subnet:
            return RangesLayout.NONE
        newer = self.version >= (4 if self.operation == "call" else 3)
        return RangesLayout.SHARDED if newer else RangesLayout.FLAT


@lru_cache(maxsize=4096)
def _route(path: str) -> _Route | None:
    """The route of a path, or None where there is none.

    Raises:
        HttpError: 400, a principal in it is malformed or not of this subnet.
    """
    parts = path.split("/")
    if len(parts) != 6 or parts[:2] != ["", "api"] or parts[2] not in _ROUTES.get((parts[3], parts[5]), ()):
        return None
    try:
        effective_id = Principal.from_str(parts[4]).bytes
    except CandidError as error:
        raise HttpError(400, f"The {parts[3]} id in the URL is malformed: {error}") from None
    if parts[3] == "canister" and not any(low <= effective_id <= high for low, high in CANISTER_RANGES):
        raise HttpError(
            400,
            f"The effective canister id {parts[4]} in the URL is not a canister of this subnet; calls that create "
            "canisters take the default_effective_canister_id of GET /_/topology",
        )
    return _Route(int(parts[2][1:]), parts[3] == "subnet", parts[5], effective_id)


class HttpApi:
    """Answers requests of the IC's HTTP interface for one subnet. `handle` may run concurrently in one event loop."""

    def __init__(
        self,
        subnet: ServedSubnet,
        rounds: Rounds,
        keys: ReplicaKeys,
        clock_ns: Callable[[], int],
        *,
        sync_call_timeout_s: float = SYNC_CALL_TIMEOUT_S,
    ) -> None:
        self._subnet = subnet
        self._rounds = rounds
        self._work = SlicedWork()
        self._node = keys.node
        self._subnet_id = keys.subnet.principal
        self._clock_ns = clock_ns
        self._sync_call_timeout_s = sync_call_timeout_s
        self._verify = verifying_with(CertificateVerifier(keys.root.public_key))
        self._reader = StateTreeReader(self._subnet_id, self._request_owner, self._private_sections)
        self._status = {
            "ic_api_version": _API_VERSION,
            "impl_version": f"canister-factory {__version__}",
            "replica_health_status": "healthy",
            "root_key": keys.root.public_key,
        }

    def __repr__(self) -> str:
        return f"<HttpApi subnet={Principal(self._subnet_id)}>"

    def stop(self) -> None:
        """Ends queries that would take long; calls are `rounds`'."""
        self._work.stop()

    async def handle(self, method: str, path: str, body: bytes) -> Answer:
        """Answer one request. Every refusal is an answer; an exception means a defect of the replica."""
        try:
            route = _route(path)
            if route is None:
                return self._get(method, path)
            if method != "POST":
                raise HttpError(405, f"{path} takes POST requests only")
            return await self._post(route, body)
        except HttpError as error:
            return error.status, _TEXT, str(error).encode()
        except EnvelopeError as error:
            return 400, _TEXT, str(error).encode()
        except RoundFailedError as error:
            return 503 if error.retry_helps else 500, _TEXT, str(error).encode()

    def _get(self, method: str, path: str) -> Answer:
        if path == "/api/v2/status":
            answer = (200, _CBOR, dumps(self._status | self._trouble()))
        elif path == "/_/topology":
            answer = (200, "application/json", self._topology())
        else:
            raise HttpError(404, f"There is nothing at {path[:200]}")
        if method not in ("GET", "HEAD"):
            raise HttpError(405, f"{path} takes GET requests only")
        return answer

    async def _post(self, route: _Route, body: bytes) -> Answer:
        if len(body) > MAX_INGRESS_BYTES:
            raise HttpError(413, f"The request is {len(body)} bytes, above the limit of {MAX_INGRESS_BYTES} bytes")
        envelope = verify_envelope(body, self._clock_ns(), verify=self._verify)
        request, request_id = envelope.request, envelope.request_id
        if request.kind != route.operation:
            raise HttpError(400, f"The request_type is {request.kind!r}, but the URL is for {route.operation!r}")
        if not isinstance(request, CallRequest):
            # What is in memory may be more than what a restart will find.
            self._rounds.require_working()
            if isinstance(request, QueryRequest):
                return await self._query(route, request, request_id)
            return self._read_state(route, request, envelope.targets)
        try:
            return await self._call(route, IngressMessage(request, request_id, route.effective_id))
        except RoundFailedError as error:
            if error.retry_helps or not error.surely_not_executed:
                raise
            # A refusal that clients of every kind show at once; a 5xx would make them wait for an outcome.
            rejection = CanisterError(RejectCode.SYS_FATAL, str(error))
            return 200, _CBOR, _uncertified_rejection(route, rejection)

    # --- calls -------------------------------------------------------------------------------------------------------

    async def _call(self, route: _Route, message: IngressMessage) -> Answer:
        request_id = message.request_id
        self._check_destination(route, message.call)
        status = self._subnet.request_statuses.get(request_id)
        self._rounds.require_working(None if status is None else request_id)
        if status is None:  # else a replay: it is executed once, and answered the same
            try:
                await self._work.finish(self._subnet.checking(message))
            except CanisterError as error:
                return 200, _CBOR, _uncertified_rejection(route, error)
            self._rounds.submit(message)
        if route.version == 2:
            return 202, _TEXT, b""
        if status is not None and status.is_final:
            state = self._rounds.current()
        else:
            waited = await self._rounds.outcome(request_id, self._sync_call_timeout_s)
            if waited is None:
                return 202, _TEXT, b""
            state = waited
        certificate = state.certificate([(b"request_status", request_id)], route.layout)
        return 200, _CBOR, dumps({"status": "replied", "certificate": certificate})

    def _check_destination(self, route: _Route, call: CallRequest) -> None:
        if not route.about_subnet:
            _require_effective_id(route, call)
            return
        self._require_our_subnet(route)
        if call.canister_id != _MANAGEMENT_CANISTER or call.method_name not in _CREATION_METHODS:
            raise HttpError(400, "A call to a subnet can only create a canister; send others to /api/v4/canister/…")

    def _check_query_destination(self, route: _Route, query: QueryRequest) -> None:
        listing = query.canister_id == _MANAGEMENT_CANISTER and query.method_name == "list_canisters"
        if route.about_subnet:
            self._require_our_subnet(route)
            if not listing:
                raise HttpError(
                    400, "A query to a subnet can only list its canisters; send others to /api/v3/canister/…"
                )
            return
        _require_effective_id(route, query)
        if query.canister_id == _MANAGEMENT_CANISTER and not listing:
            _require_target(route, query)

    # --- queries -----------------------------------------------------------------------------------------------------

    async def _query(self, route: _Route, query: QueryRequest, request_id: bytes) -> Answer:
        self._check_query_destination(route, query)
        try:
            response = await self._work.finish(self._subnet.querying(query, self._rounds.data_certificate))
        except CanisterError as error:
            response = Response(b"", error.code, error.message, error.error_code)
        answer: dict[str, Any]
        if response.code is None:
            answer = {"status": "replied", "reply": {"arg": response.data}}
        else:
            answer = {"status": "rejected", "reject_code": int(response.code), "reject_message": response.message}
            if response.error_code:
                answer["error_code"] = response.error_code
        now = self._clock_ns()
        signature = self._node.sign_response(hash_of_map({**answer, "timestamp": now, "request_id": request_id}))
        answer["signatures"] = [{"timestamp": now, "signature": signature, "identity": self._node.principal}]
        return 200, _CBOR, dumps(answer)

    # --- read_state --------------------------------------------------------------------------------------------------

    def _read_state(self, route: _Route, request: ReadStateRequest, targets: frozenset[bytes] | None) -> Answer:
        if route.about_subnet:
            self._require_our_subnet(route)
        access = ReadAccess(request.sender, route.effective_id, route.about_subnet, route.version, targets)
        paths = self._reader.permitted(access, request.paths)
        return 200, _CBOR, dumps({"certificate": self._rounds.current().certificate(paths, route.layout)})

    def _request_owner(self, request_id: bytes) -> RequestOwner | None:
        status = self._subnet.request_statuses.get(request_id)
        if status is None:
            return None
        origin = status.origin
        return RequestOwner(origin.sender, origin.canister_id, origin.effective_canister_id)

    def _private_sections(self, canister_id: bytes) -> tuple[frozenset[bytes], frozenset[bytes]]:
        canister = self._subnet.canisters.get(canister_id)
        if canister is None or canister.module is None:
            return frozenset(), frozenset()
        sections = canister.module.custom_sections.items()
        private = frozenset(name.encode() for name, (visibility, _) in sections if visibility == "private")
        return frozenset(canister.settings.controllers), private

    def _trouble(self) -> dict[str, str]:
        """Fields of the status that say why the replica executes nothing any more; the reason is for people."""
        failure = self._rounds.failure
        return {} if failure is None else {"replica_health_status": _NOT_HEALTHY, "health_reason": failure}

    # --- other -------------------------------------------------------------------------------------------------------

    def _require_our_subnet(self, route: _Route) -> None:
        if route.effective_id != self._subnet_id:
            raise HttpError(400, f"This replica belongs to the subnet {Principal(self._subnet_id)}, not to the URL's")

    def _topology(self) -> bytes:
        """The network as PocketIC describes it: one application subnet, and where new canisters go."""

        def text(principal: bytes) -> str:
            return base64.b64encode(principal).decode()

        first, last = self._subnet.first_canister_id, self._subnet.last_canister_id
        return json.dumps(
            {
                "subnet_configs": {
                    str(Principal(self._subnet_id)): {
                        "subnet_kind": "Application",
                        "node_ids": [{"node_id": text(self._node.principal)}],
                        "canister_ranges": [
                            {"start": {"canister_id": text(first)}, "end": {"canister_id": text(last)}}
                        ],
                    }
                },
                "default_effective_canister_id": {"canister_id": text(first)},
            }
        ).encode()


def _require_effective_id(route: _Route, request: CallRequest | QueryRequest) -> None:
    """Refuses requests for other canisters than the URL's.

    Which id a management call must name depends on its argument: the subnet checks that, of queries `_require_target`.

    Raises:
        HttpError: 400, the ids differ.
    """
    canister_id = request.canister_id
    if canister_id not in (route.effective_id, _MANAGEMENT_CANISTER):
        raise HttpError(
            400,
            f"The request is for the canister {Principal(canister_id)}, but the URL names the effective canister id "
            f"{Principal(route.effective_id)}",
        )


def _require_target(route: _Route, query: QueryRequest) -> None:
    """Refuses a query of the management canister that is about another canister than the URL names.

    Raises:
        HttpError: 400, the ids differ.
    """
    try:
        target = decode_argument(query.method_name, query.arg).get("canister_id")
    except CanisterError:  # said in the answer
        return
    if target is not None and target.bytes != route.effective_id:
        raise HttpError(
            400,
            f"The query is about the canister {target}, but the URL names the effective canister id "
            f"{Principal(route.effective_id)}",
        )


def _uncertified_rejection(route: _Route, error: CanisterError) -> bytes:
    fields: dict[str, Any] = {"reject_code": int(error.code), "reject_message": error.message}
    if error.error_code:
        fields["error_code"] = error.error_code
    return dumps(fields if route.version == 2 else {"status": "non_replicated_rejection", **fields})
