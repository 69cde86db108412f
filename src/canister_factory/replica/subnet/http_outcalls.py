"""`http_request`: a canister asks a server, and gets the answer, transformed by itself if it wants that.

Owns what is checked and charged, and what becomes of an answer. Deterministic: the answer is an input. Does not own
making the request (`node.outcalls`).

Source: interface specification, "IC method http_request". One difference: `http://` is taken too, for this computer's
own names and addresses, since servers for tests have no certificates that anybody trusts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError
from canister_factory.candid.types import Func, Opt, Record, resolve
from canister_factory.candid.values import Case, FuncRef
from canister_factory.ic.loopback import names_this_computer
from canister_factory.replica.runtime.execution import CanisterError, Entry, RejectCode
from canister_factory.replica.subnet.access import require_caller_is_canister
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import MANAGEMENT_CANISTER, text_of
from canister_factory.replica.subnet.cycles import SECOND_NS, Prices
from canister_factory.replica.subnet.management_interface import Argument, encode_result, method_type
from canister_factory.replica.subnet.messages import HttpResponse, OutcallAnswer, Request, rejection
from canister_factory.replica.subnet.outcalls import Headers, HttpRequest, Outcall
from canister_factory.replica.subnet.queries import QUERY_INSTRUCTIONS
from canister_factory.replica.subnet.state import SubnetState

MAX_URL: Final = 8_192
MAX_BYTES: Final = 2_000_000
MAX_HEADERS: Final = 64
MAX_HEADER_BYTES: Final = 8 << 10
MAX_HEADERS_BYTES: Final = 48 << 10
MAX_IN_FLIGHT: Final = 3_000
TIMEOUT_NS: Final = 60 * SECOND_NS
_REPLICATED: Final = ("get", "head", "post")


class HttpOutcalls:
    """The method, in `methods`, and the answers to its calls."""

    def __init__(self, state: SubnetState, calls: Calls, prices: Prices) -> None:
        self._state = state
        self._calls = calls
        self._prices = prices
        self.methods: dict[str, Callable[[Request, Argument], None]] = {"http_request": self._http_request}

    # --- asking ------------------------------------------------------------------------------------------------------

    def _http_request(self, request: Request, argument: Argument) -> None:
        require_caller_is_canister(request)
        if len(self._state.outcalls) >= MAX_IN_FLIGHT:
            raise _refused(f"max number ({MAX_IN_FLIGHT}) of http requests in-flight reached")
        asked = _checked_request(argument)
        transform, context = self._checked_transform(request, argument)
        size = (
            _size(asked.headers, asked.body) + len(asked.url.encode()) + len((transform or "").encode()) + len(context)
        )
        fee = self._prices.of_http_request(size, asked.max_response_bytes)
        if request.cycles < fee:
            raise _refused(f"http_request request sent with {request.cycles} cycles, but {fee} cycles are required")
        self._state.note_consumed(self._state.canister(request.caller), fee, "http_outcalls")
        outcall = Outcall(
            id=self._state.next_id(),
            origin=request.origin,
            caller=request.caller,
            request=asked,
            transform=transform,
            context=context,
            refund=request.cycles - fee,
            deadline_ns=self._state.time_ns + TIMEOUT_NS,
        )
        self._state.transaction.put(self._state.outcalls, outcall.id, outcall)

    def _checked_transform(self, request: Request, argument: Argument) -> tuple[str | None, bytes]:
        transform = argument["transform"]
        if transform is None:
            return None, b""
        function: FuncRef = transform["function"]
        if function.service.bytes != request.caller:
            raise _refused(
                f"The transform function must be the caller's own: it is {text_of(function.service.bytes)}'s, "
                f"the caller is {text_of(request.caller)}"
            )
        return function.method, transform["context"]

    # --- answering ---------------------------------------------------------------------------------------------------

    def finish(self, answer: OutcallAnswer) -> None:
        """Gives an answer to whoever waits for it; nobody does where it comes late or twice."""
        outcall = self._state.transaction.pop(self._state.outcalls, answer.outcall_id, in_order=True)
        if outcall is None:
            return
        try:
            if answer.reply is None:
                raise CanisterError(RejectCode.SYS_TRANSIENT, answer.problem, "")
            _check_response(outcall.request, answer.reply)
            record = self._transformed(outcall, answer, answer.reply)
            response = encode_result("http_request", (record,))
        except CanisterError as error:
            response = rejection(error)
        self._calls.respond(outcall.origin, response, outcall.refund)

    def expire(self, now_ns: int) -> bool:
        """Gives up on outcalls that nobody answered for a minute; whether there were any."""
        late = [outcall for outcall in self._state.outcalls.values() if outcall.deadline_ns <= now_ns]
        for outcall in late:
            self.finish(OutcallAnswer(outcall.caller, outcall.id, None, "Canister http request timed out"))
        return bool(late)

    def next_deadline_ns(self) -> int | None:
        """When the next outcall is given up."""
        return min((outcall.deadline_ns for outcall in self._state.outcalls.values()), default=None)

    def _transformed(self, outcall: Outcall, answer: OutcallAnswer, response: HttpResponse) -> dict[str, Any]:
        """The response as the caller's own query wants it.

        Raises:
            CanisterError: the query isn't there, failed, or made too much or something else of it.
        """
        record = _response_record(response)
        if outcall.transform is None:
            return record
        argument = {"response": record, "context": outcall.context}
        raw = self._run_transform(outcall, answer, encode(_transform_type().args, (argument,)))
        if len(raw) > outcall.request.max_response_bytes:
            raise _failed(
                f"Transformed http response exceeds limit: {outcall.request.max_response_bytes} "
                f"(it has {len(raw)} bytes)"
            )
        try:
            transformed = decode(raw, _transform_type().results)[0]
        except CandidError as error:
            raise _failed(f"The transform function's answer is no http response: {error}") from error
        return dict(transformed)

    def _run_transform(self, outcall: Outcall, answer: OutcallAnswer, arg: bytes) -> bytes:
        method = outcall.transform or ""
        canister = self._state.existing(outcall.caller)
        if not self._calls.work.has_begun:
            canister.require_running()
        module, instance = canister.running_module
        if method not in module.queries:
            raise _failed(f"Canister {text_of(canister.id)} has no query method '{method}' to transform the response")
        begun = self._calls.begin(canister, answer, 0)
        env = self._calls.environments.of(
            canister,
            time_ns=begun.time_ns,
            balance=begun.balance,
            caller=MANAGEMENT_CANISTER,
            method=method,
            arg=arg,
            in_replicated_execution=False,
            transforms=True,
        )
        outcome = self._calls.work.do(
            lambda: instance.execution(Entry.QUERY, env, instruction_limit=QUERY_INSTRUCTIONS, commit=False)
        )
        if outcome.error is not None:
            raise outcome.error
        if outcome.response is None or not outcome.response.is_reply:
            said = outcome.response.message if outcome.response is not None else "it did not reply"
            raise _failed(f"The transform function failed: {said}")
        return outcome.response.data


def _transform_type() -> Func:
    """The type of a transform function, from the interface."""
    argument = resolve(method_type("http_request").args[0])
    assert isinstance(argument, Record)
    transform = resolve(_field(argument, "transform"))
    assert isinstance(transform, Opt)
    record = resolve(transform.inner)
    assert isinstance(record, Record)
    function = resolve(_field(record, "function"))
    assert isinstance(function, Func)
    return function


def _field(record: Record, label: str) -> Any:
    return next(field.type for field in record.fields if field.label == label)


# --- limits ----------------------------------------------------------------------------------------------------------


def _checked_request(argument: Argument) -> HttpRequest:
    method: Case = argument["method"]
    if method.tag not in _REPLICATED and argument["is_replicated"] is not False:
        raise _refused(
            f"The method {str(method.tag).upper()} is for non-replicated requests only (is_replicated = false)"
        )
    limit = MAX_BYTES if argument["max_response_bytes"] is None else argument["max_response_bytes"]
    if limit > MAX_BYTES:
        raise _refused(f"max_response_bytes expected to be in the range [0..{MAX_BYTES}], got {limit}")
    headers = _headers(argument["headers"])
    body = argument["body"] or b""
    _check_headers(headers, "request", _refused)
    size = _size(headers, body)
    if size > MAX_BYTES:
        raise _refused(
            f"total number of bytes to represent all http header names, values and the body is {size}, at most "
            f"{MAX_BYTES} are allowed"
        )
    _check_url(argument["url"])
    return HttpRequest(argument["url"], str(method.tag).upper(), headers, body, limit)


def _check_url(url: str) -> None:
    if len(url) > MAX_URL:
        raise _refused(f"The url has {len(url)} characters, at most {MAX_URL} are allowed")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(f"The url is malformed: {error}") from None
    if not host or port == 0:
        raise _refused("The url names no server")
    if parts.scheme == "https" or (parts.scheme == "http" and names_this_computer(host)):
        return
    raise _refused("The url must start with https:// (or http:// for this computer's own addresses)")


def _check_response(request: HttpRequest, response: HttpResponse) -> None:
    _check_headers(response.headers, "response", _failed)
    size = _size(response.headers, response.body)
    if size > request.max_response_bytes:
        raise _failed(f"Http body exceeds size limit of {request.max_response_bytes} bytes")


def _check_headers(headers: Headers, what: str, error: Callable[[str], CanisterError]) -> None:
    if len(headers) > MAX_HEADERS:
        raise error(f"The {what} has {len(headers)} headers, at most {MAX_HEADERS} are allowed")
    longest = max((len(text.encode()) for header in headers for text in header), default=0)
    if longest > MAX_HEADER_BYTES:
        raise error(f"The {what} has a header of {longest} bytes, at most {MAX_HEADER_BYTES} are allowed")
    total = _size(headers, b"")
    if total > MAX_HEADERS_BYTES:
        raise error(f"The {what}'s headers have {total} bytes, at most {MAX_HEADERS_BYTES} are allowed")


def _size(headers: Headers, body: bytes) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in headers) + len(body)


def _headers(records: list[Mapping[str, str]]) -> Headers:
    return tuple((record["name"], record["value"]) for record in records)


def _response_record(response: HttpResponse) -> dict[str, Any]:
    headers = [{"name": name, "value": value} for name, value in response.headers]
    return {"status": response.status, "headers": headers, "body": response.body}


def _refused(problem: str) -> CanisterError:
    return CanisterError(RejectCode.CANISTER_REJECT, f"{problem}.", "IC0406")


def _failed(problem: str) -> CanisterError:
    return CanisterError(RejectCode.SYS_FATAL, f"{problem}.", "")
