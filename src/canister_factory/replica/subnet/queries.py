"""Query calls: plain ones, and composite ones that ask other canisters; nothing they do is kept.

Owns the evaluation of one query. Does not own signing the answer (`http_api`) or updates of query methods (`calls`).

Source: interface specification, "Request: Query call" and "Composite query".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from canister_factory.replica.runtime.execution import CanisterError, Entry, Outcome, OutgoingCall, RejectCode, Response
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.subnet.calls import Calls, rejection
from canister_factory.replica.subnet.canister import CanisterState, text_of
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.messages import DID_NOT_REPLY, FromSystem, Request
from canister_factory.replica.subnet.state import SubnetState

QUERY_INSTRUCTIONS = 5_000_000_000
MAX_REPLY_BYTES = 3 << 20
MAX_CALL_DEPTH = 6
DataCertificate = Callable[[bytes], bytes] | None


@dataclass(slots=True)
class _Evaluation:
    """One query with everything that it asks: time, remaining instructions, and throw-away copies to close."""

    time_ns: int
    data_certificate: DataCertificate
    instructions_left: int = QUERY_INSTRUCTIONS
    copies: list[Instance] = field(default_factory=list)


class Queries:
    """Answers query calls on the present state."""

    def __init__(self, state: SubnetState, calls: Calls, prices: Prices) -> None:
        self._state = state
        self._calls = calls
        self._prices = prices
        self.builtins: dict[bytes, Callable[[Request], Response]] = {}

    def answer(self, request: Request, time_ns: int, data_certificate: DataCertificate) -> Response:
        """The reply, or the canister's own reject.

        Raises:
            CanisterError: the query can't be executed, or it trapped.
        """
        builtin = self.builtins.get(request.callee)
        if builtin is not None:
            return builtin(request)
        evaluation = _Evaluation(time_ns, data_certificate)
        try:
            return self._evaluate(request, evaluation, depth=0)
        finally:
            for copy in evaluation.copies:
                copy.close()

    def _evaluate(self, request: Request, evaluation: _Evaluation, depth: int) -> Response:
        canister = self._state.canister(request.callee)
        self._require_queryable(canister)
        module, instance = canister.running_module
        composite = request.method in module.composite_queries
        if not composite and request.method not in module.queries:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Error from Canister {text_of(canister.id)}: Canister has no query method '{request.method}'.",
                "IC0536",
            )
        if not composite:
            outcome = self._execute(canister, instance, Entry.QUERY, request, evaluation, may_reply=True)
            return _response(canister, outcome)
        return self._evaluate_composite(canister, instance, request, evaluation, depth)

    def _evaluate_composite(
        self, canister: CanisterState, instance: Instance, request: Request, evaluation: _Evaluation, depth: int
    ) -> Response:
        """Runs the query and the callbacks of its calls on a copy, whose state lives until the answer is there."""
        if depth >= MAX_CALL_DEPTH:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Composite query calls exceeded the maximum depth of {MAX_CALL_DEPTH}.",
                "IC0525",
            )
        copy = instance.fork(canister.stable.fork())
        evaluation.copies.append(copy)
        outcome = self._execute(canister, copy, Entry.COMPOSITE_QUERY, request, evaluation, may_reply=True, commit=True)
        response = outcome.response
        outstanding: deque[OutgoingCall] = deque(outcome.calls)
        while outcome.error is None and outstanding:
            call = outstanding.popleft()
            answer = self._ask(canister, call, evaluation, depth)
            outcome = self._call_back(canister, copy, call, answer, request, evaluation, may_reply=response is None)
            response = response or outcome.response
            outstanding += outcome.calls
        return _response(canister, Outcome(error=outcome.error, response=response))

    def _ask(self, canister: CanisterState, call: OutgoingCall, evaluation: _Evaluation, depth: int) -> Response:
        nested = Request(FromSystem(), canister.id, call.callee, call.method, call.arg)
        try:
            return self._evaluate(nested, evaluation, depth + 1)
        except CanisterError as error:
            return rejection(error)

    def _call_back(
        self,
        canister: CanisterState,
        copy: Instance,
        call: OutgoingCall,
        answer: Response,
        request: Request,
        evaluation: _Evaluation,
        *,
        may_reply: bool,
    ) -> Outcome:
        if answer.code is None:
            entry, callback, arg = Entry.REPLY_CALLBACK, call.on_reply, answer.data
        else:
            entry, callback, arg = Entry.REJECT_CALLBACK, call.on_reject, b""
        env = self._calls.environments.of(
            canister,
            time_ns=evaluation.time_ns,
            arg=arg,
            caller=request.caller,
            callback=callback,
            reject_code=0 if answer.code is None else int(answer.code),
            reject_message=answer.message,
            may_reply=may_reply,
            in_replicated_execution=False,
        )
        outcome = copy.execute(entry, env, instruction_limit=evaluation.instructions_left)
        evaluation.instructions_left -= outcome.instructions
        return outcome

    def _execute(
        self,
        canister: CanisterState,
        instance: Instance,
        entry: Entry,
        request: Request,
        evaluation: _Evaluation,
        *,
        may_reply: bool,
        commit: bool = False,
    ) -> Outcome:
        certificate = evaluation.data_certificate
        env = self._calls.environments.of(
            canister,
            time_ns=evaluation.time_ns,
            method=request.method,
            arg=request.arg,
            caller=request.caller,
            certificate=certificate(canister.id) if certificate is not None else None,
            may_reply=may_reply,
            in_replicated_execution=False,
        )
        env.max_response_bytes = MAX_REPLY_BYTES
        outcome = instance.execute(entry, env, instruction_limit=evaluation.instructions_left, commit=commit)
        evaluation.instructions_left -= outcome.instructions
        return outcome

    def _require_queryable(self, canister: CanisterState) -> None:
        canister.require_running()
        if canister.balance < canister.freezing_threshold_cycles(self._prices):
            raise CanisterError(
                RejectCode.SYS_TRANSIENT,
                f"Canister {text_of(canister.id)} is unable to process query calls because it's frozen. Please top "
                "up the canister with cycles and try again.",
                "IC0207",
            )


def _response(canister: CanisterState, outcome: Outcome) -> Response:
    if outcome.error is not None:
        raise outcome.error
    if outcome.response is None:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Error from Canister {text_of(canister.id)}: Canister did not reply to the call",
            DID_NOT_REPLY,
        )
    return outcome.response
