"""The IC's HTTP interface as a function of (method, path, body).

Owns what requests do, and the form of answers. Does not own sockets (`http_server`), the checks that need no subnet
(`gate`), when the subnet executes (`rounds`), certificates (`certified_view`) or path permissions (`read_state`).

Source: interface specification, "HTTPS Interface".
"""

from __future__ import annotations

import base64
import json
from asyncio import Future, Task, get_running_loop
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.ic.cbor import dumps, head
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.errors import EnvelopeError
from canister_factory.ic.requests import CallRequest, QueryRequest, ReadStateRequest
from canister_factory.replica.node.certification import CertifiedState, RangesLayout
from canister_factory.replica.node.certified_view import ObservableSubnet
from canister_factory.replica.node.destinations import Destinations
from canister_factory.replica.node.gate import CBOR, TEXT, Checked, check, refusal, signed_answer
from canister_factory.replica.node.http_error import HttpError
from canister_factory.replica.node.http_server import Answer, Respond, internal_error
from canister_factory.replica.node.keys import ReplicaKeys
from canister_factory.replica.node.read_state import (
    ReadAccess,
    RequestOwner,
    StateTreeReader,
)
from canister_factory.replica.node.round_failed import RoundFailedError
from canister_factory.replica.node.rounds import Outcome, Rounds
from canister_factory.replica.node.routes import Route
from canister_factory.replica.node.signature_checks import SignatureChecks
from canister_factory.replica.node.sliced_work import SlicedWork
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Response, Steps
from canister_factory.replica.subnet.messages import IngressMessage
from canister_factory.version import __version__

__all__ = ["Answer", "HttpApi", "ServedSubnet"]

SYNC_CALL_TIMEOUT_S: Final = 10.0
# Of the values that the official replica has, and strict clients know: what is certified stays behind what was sent.
_NOT_HEALTHY: Final = "certified_state_behind"
_API_VERSION: Final = "0.18.0"

# The beginning of {"status": "replied", "certificate": ...}, of which only the certificate differs.
_REPLIED: Final = dumps({"status": "replied", "certificate": b""})[:-1]
T = TypeVar("T")


class ServedSubnet(ObservableSubnet, Protocol):
    """What the HTTP interface needs of a subnet, besides what the certified view and the rounds need."""

    @property
    def canister_id_range(self) -> tuple[bytes, bytes]: ...

    def checking(self, message: IngressMessage) -> Steps[None]: ...

    def querying(self, query: QueryRequest, data_certificate: Callable[[bytes], bytes]) -> Steps[Response]: ...


def _layout(route: Route) -> RangesLayout:
    """Where answers of an endpoint show the canister ranges."""
    if route.about_subnet:
        return RangesLayout.NONE
    newer = route.version >= (4 if route.operation == "call" else 3)
    return RangesLayout.SHARDED if newer else RangesLayout.FLAT


class HttpApi:
    """Answers requests of the IC's HTTP interface for one subnet. `handle` may run concurrently in one event loop."""

    def __init__(
        self,
        subnet: ServedSubnet,
        rounds: Rounds,
        keys: ReplicaKeys,
        clock_ns: Callable[[], int],
        *,
        signatures: SignatureChecks | None = None,
        sync_call_timeout_s: float = SYNC_CALL_TIMEOUT_S,
    ) -> None:
        self._subnet = subnet
        self._rounds = rounds
        self._queries = SlicedWork()
        self._checks = SlicedWork()  # apart: queries take up to 25 times as long, and calls expire
        self._under_way: set[Task[None]] = set()
        self._node = keys.node
        self._subnet_id = keys.subnet.principal
        self._clock_ns = clock_ns
        self._sync_call_timeout_s = sync_call_timeout_s
        self._signatures = signatures or SignatureChecks(CertificateVerifier(keys.root.public_key))
        self._destinations = Destinations(self._subnet_id)
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
        """Ends queries and checks that would take long; calls are `rounds`'."""
        self._queries.stop()
        self._checks.stop()

    async def handle(self, method: str, path: str, body: bytes) -> Answer:
        """Answers one request. Every refusal is an answer; an exception means a defect of the replica."""
        answered: Future[Answer] = get_running_loop().create_future()

        def respond(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.serve(method, path, body, respond)
        return await answered

    def serve(self, method: str, path: str, body: bytes, respond: Respond) -> None:
        """Answers one request of whomever it is: `http_server.Serve`."""
        self._signatures.decide(
            partial(check, method, path, body, self._clock_ns), partial(self._proceed, method, path, respond)
        )

    def _proceed(self, method: str, path: str, respond: Respond, check_result: Callable[[], Checked | None]) -> None:
        try:
            checked = check_result()
            if checked is None:
                respond(self._get(method, path))
            else:
                self._execute(checked, respond)
        except (HttpError, EnvelopeError) as error:
            respond(refusal(error))
        except RoundFailedError as error:
            respond(_round_failed(error))
        except Exception:
            respond(internal_error(f"serving {method} {path}"))

    def _execute(self, checked: Checked, respond: Respond) -> None:
        """Does what a checked request asks; it is answered at once, or later where it has to wait for a round."""
        route, envelope, size_bytes = checked
        request = envelope.request
        if isinstance(request, CallRequest):
            self._call(route, IngressMessage(request, envelope.request_id, route.effective_id, size_bytes), respond)
            return
        # What is in memory may be more than what a restart will find.
        self._rounds.require_working()
        if isinstance(request, QueryRequest):
            self._query(route, request, envelope.request_id, respond)
        else:
            respond(self._read_state(route, request, envelope.targets))

    def _get(self, method: str, path: str) -> Answer:
        if path == "/api/v2/status":
            answer = (200, CBOR, dumps(self._status | self._trouble()))
        elif path == "/_/topology":
            answer = (200, "application/json", self._topology())
        else:
            raise HttpError(404, f"There is nothing at {path[:200]}")
        if method not in ("GET", "HEAD"):
            raise HttpError(405, f"{path} takes GET requests only")
        return answer

    # --- calls -------------------------------------------------------------------------------------------------------

    def _call(self, route: Route, message: IngressMessage, respond: Respond) -> None:
        request_id = message.request_id
        self._destinations.check_call(route, message.call)
        status = self._subnet.request_statuses.get(request_id)
        try:
            self._rounds.require_working(None if status is None else request_id)
        except RoundFailedError as error:
            respond(_call_failed(route, error))
            return
        if status is not None:  # a replay: it is executed once, and answered the same
            self._await_outcome(route, request_id, respond)
            return

        def then(refused: CanisterError | None) -> None:
            if refused is not None:
                respond((200, CBOR, _uncertified_rejection(route, refused)))
                return
            try:
                self._rounds.submit(message)
            except RoundFailedError as error:
                respond(_call_failed(route, error))
                return
            self._await_outcome(route, request_id, respond)

        self._finish(self._checks, self._subnet.checking(message), then, respond)

    def _await_outcome(self, route: Route, request_id: bytes, respond: Respond) -> None:
        status = self._subnet.request_statuses.get(request_id)
        if route.version == 2:
            respond((202, TEXT, b""))
        elif status is not None and status.is_final:
            respond(self._certified(route, request_id, self._rounds.current()))
        else:

            def then(outcome: Outcome) -> None:
                try:
                    respond(self._outcome(route, request_id, outcome))
                except RoundFailedError as error:
                    respond(_call_failed(route, error))
                except Exception:
                    respond(internal_error(f"answering {request_id.hex()}"))

            self._rounds.when_final(request_id, self._sync_call_timeout_s, then)

    def _outcome(self, route: Route, request_id: bytes, outcome: Outcome) -> Answer:
        if outcome is None:
            return 202, TEXT, b""
        if isinstance(outcome, RoundFailedError):
            return _call_failed(route, outcome)
        return self._certified(route, request_id, outcome)

    def _certified(self, route: Route, request_id: bytes, state: CertifiedState) -> Answer:
        if state.superseded:  # while answering others who waited for the same round
            state = self._rounds.current()
        certificate = state.certificate_of_request(request_id, _layout(route))
        return 200, CBOR, _REPLIED + head(2, len(certificate)) + certificate

    # --- queries -----------------------------------------------------------------------------------------------------

    def _query(self, route: Route, query: QueryRequest, request_id: bytes, respond: Respond) -> None:
        self._destinations.check_query(route, query)

        def then(response: Response | CanisterError) -> None:
            self._rounds.require_working()  # as before it began: it may have read what was executed meanwhile
            if isinstance(response, CanisterError):
                response = Response(b"", response.code, response.message, response.error_code)
            respond(signed_answer(self._node, response, request_id, self._clock_ns()))

        self._finish(self._queries, self._subnet.querying(query, self._rounds.data_certificate), then, respond)

    # --- work that may take long -------------------------------------------------------------------------------------

    def _finish(
        self, work: SlicedWork, steps: Steps[T], then: Callable[[T | CanisterError], None], respond: Respond
    ) -> None:
        """Gives `then` what work results in: short work is done at once, long work in turns with all else."""
        try:
            result = work.at_once(steps)
        except CanisterError as error:
            then(error)
            return
        if result:
            then(result[0])
            return
        task = get_running_loop().create_task(self._finish_in_turns(work, steps, then, respond))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _finish_in_turns(
        self, work: SlicedWork, steps: Steps[T], then: Callable[[T | CanisterError], None], respond: Respond
    ) -> None:
        try:
            result: T | CanisterError
            try:
                result = await work.in_turns(steps)
            except CanisterError as error:
                result = error
            then(result)
        except RoundFailedError as error:
            respond(_round_failed(error))
        except Exception:
            respond(internal_error("doing what takes long"))

    # --- read_state --------------------------------------------------------------------------------------------------

    def _read_state(self, route: Route, request: ReadStateRequest, targets: frozenset[bytes] | None) -> Answer:
        if route.about_subnet:
            self._destinations.require_our_subnet(route)
        access = ReadAccess(request.sender, route.effective_id, route.about_subnet, route.version, targets)
        paths = self._reader.permitted(access, request.paths)
        return 200, CBOR, dumps({"certificate": self._rounds.current().certificate(paths, _layout(route))})

    def _request_owner(self, request_id: bytes) -> RequestOwner | None:
        status = self._subnet.request_statuses.get(request_id) or self._rounds.status_shown(request_id)
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
        """Fields of the status that say why the replica executes nothing; the reason is for people."""
        failure, obstacle = self._rounds.failure, self._rounds.obstacle
        if failure is not None:
            return {"replica_health_status": _NOT_HEALTHY, "health_reason": failure}
        return {} if obstacle is None else {"replica_health_status": "waiting_for_room", "health_reason": obstacle}

    # --- other -------------------------------------------------------------------------------------------------------

    def _topology(self) -> bytes:
        """The network as PocketIC describes it: one application subnet, and where new canisters go."""

        def text(principal: bytes) -> str:
            return base64.b64encode(principal).decode()

        first, last = self._subnet.canister_id_range
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


def _uncertified_rejection(route: Route, error: CanisterError) -> bytes:
    fields: dict[str, Any] = {"reject_code": int(error.code), "reject_message": error.message}
    if error.error_code:
        fields["error_code"] = error.error_code
    return dumps(fields if route.version == 2 else {"status": "non_replicated_rejection", **fields})


def _call_failed(route: Route, error: RoundFailedError) -> Answer:
    if error.retry_helps or not error.surely_not_executed:
        return _round_failed(error)
    # A refusal that clients of every kind show at once; a 5xx would make them wait for an outcome.
    return 200, CBOR, _uncertified_rejection(route, CanisterError(RejectCode.SYS_FATAL, str(error)))


def _round_failed(error: RoundFailedError) -> Answer:
    return 503 if error.retry_helps else 500, TEXT, str(error).encode()
