"""Query calls: plain ones, and composite ones that ask other canisters; nothing they do is kept.

Owns the evaluation of one query, in slices, on the state that was committed when it began. Does not own signing the
answer (`http_api`) or updates of query methods (`calls`).

Source: interface specification, "Request: Query call" and "Composite query".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from canister_factory.replica.runtime.execution import (
    CanisterError,
    Entry,
    Env,
    ExecutionAbandonedError,
    Outcome,
    OutgoingCall,
    RejectCode,
    Response,
    Steps,
)
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import CanisterState, text_of
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.messages import DID_NOT_REPLY, FromSystem, Request, rejection
from canister_factory.replica.subnet.readers import Readers
from canister_factory.replica.subnet.state import SubnetState

QUERY_INSTRUCTIONS = 5_000_000_000
MAX_REPLY_BYTES = 3 << 20
MAX_CALL_DEPTH = 6
SHORT_SLICES = 4  # a query of so many slices is executed at once
SHORT_INSTRUCTIONS = 2_000_000  # what takes less surely ends within these
LONG_INSTRUCTIONS = 100_000_000  # what takes more surely doesn't
MAX_LONG_METHODS = 1_000  # so many are remembered
_OTHERS_FIRST: Final[Future[None]] = Future()  # it is done: who is given it lets others have their turn
_OTHERS_FIRST.set_result(None)
DataCertificate = Callable[[bytes], bytes] | None


@dataclass(slots=True)
class _Evaluation:
    """One query with everything that it asks: time, remaining instructions, and readers to close.

    `target` is the canister that the user asks; only there the data certificate can be had.
    """

    target: bytes
    time_ns: int
    data_certificate: DataCertificate
    instructions_left: int = QUERY_INSTRUCTIONS
    readers: list[Instance] = field(default_factory=list)


@dataclass(slots=True)
class _Call:
    """One query method on a canister, with its callbacks; `instructions` is what they have taken so far.

    `reader` keeps what they did for each other; None: nothing is kept.
    """

    canister: CanisterState
    reader: Instance | None
    request: Request
    instructions: int = 0


class Queries:
    """Answers query calls on the present state."""

    def __init__(self, state: SubnetState, calls: Calls, prices: Prices) -> None:
        self._state = state
        self._calls = calls
        self._prices = prices
        self.builtins: dict[bytes, Callable[[Request], Response]] = {}
        self._readers = Readers()
        self._long: set[tuple[bytes, Entry, str]] = set()  # what took long last time: trying that at once is in vain

    def give_up(self) -> None:
        """Ends the queries that are suspended; who asks is told to ask again."""
        self._readers.close_all()

    def answer(self, request: Request, time_ns: int, data_certificate: DataCertificate) -> Steps[Response]:
        """The reply, or the canister's own reject.

        Raises:
            CanisterError: the query can't be executed, or it trapped.
        """
        builtin = self.builtins.get(request.callee)
        if builtin is not None:
            return builtin(request)
        evaluation = _Evaluation(request.callee, time_ns, data_certificate)
        try:
            return (yield from self._evaluate(request, evaluation, depth=0))
        except ExecutionAbandonedError:
            raise _abandoned() from None
        finally:
            for reader in evaluation.readers:
                self._readers.close(reader)

    def read(self, canister: CanisterState, entry: Entry, env: Env, instruction_limit: int) -> Steps[Outcome]:
        """Executes what leaves nothing behind, on the state that is committed now, or a little later if it takes long.

        Raises:
            CanisterError: the state was set back meanwhile.
        """
        _, instance = canister.running_module
        what = canister.id, entry, env.method
        if not instance.busy and what not in self._long:
            steps = instance.execution(entry, env, instruction_limit=instruction_limit, commit=False)
            try:
                for _ in range(SHORT_SLICES):
                    next(steps)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            steps.close()  # the instance is wanted for the next message, so this goes on elsewhere, from the beginning
            self._remember(what)
        here = SHORT_SLICES
        if what in self._long:
            here = 0
            yield _OTHERS_FIRST
            canister = self._state.existing(canister.id)  # it may have been deleted meanwhile
        reader = self._readers.open(canister, once=True, here=here)
        try:
            outcome = yield from reader.execution(entry, env, instruction_limit=instruction_limit, commit=False)
            if outcome.instructions < SHORT_INSTRUCTIONS:
                self._long.discard(what)
            elif outcome.instructions > LONG_INSTRUCTIONS:
                self._remember(what)
            return outcome
        except ExecutionAbandonedError:
            raise _abandoned() from None
        finally:
            self._readers.close(reader)

    def _remember(self, what: tuple[bytes, Entry, str]) -> None:
        if len(self._long) >= MAX_LONG_METHODS:
            self._long.clear()
        self._long.add(what)

    def _evaluate(self, request: Request, evaluation: _Evaluation, depth: int) -> Steps[Response]:
        canister = self._state.existing(request.callee)
        self._require_queryable(canister)
        module, _ = canister.running_module
        composite = request.method in module.composite_queries
        if not composite and request.method not in module.queries:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Error from Canister {text_of(canister.id)}: Canister has no query method '{request.method}'.",
                "IC0536",
            )
        call = _Call(canister, None, request)
        if composite:
            return (yield from self._evaluate_composite(call, evaluation, depth))
        return _response(canister, (yield from self._enter(call, Entry.QUERY, evaluation)))

    def _evaluate_composite(self, call: _Call, evaluation: _Evaluation, depth: int) -> Steps[Response]:
        """Runs the query and the callbacks of its calls on a reader, whose state lives until the answer is there.

        A reply or reject ends it, whatever it has still asked. A callback that traps ends it too, unless its cleanup
        went through: then the other calls may still lead to an answer.
        """
        if depth >= MAX_CALL_DEPTH:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Composite query calls exceeded the maximum depth of {MAX_CALL_DEPTH}.",
                "IC0525",
            )
        call.reader = self._readers.open(call.canister, once=False)
        evaluation.readers.append(call.reader)
        outcome = yield from self._enter(call, Entry.COMPOSITE_QUERY, evaluation)
        outstanding: deque[OutgoingCall] = deque(outcome.calls)
        trapped: CanisterError | None = None
        while outcome.error is None and outcome.response is None and outstanding:
            outgoing = outstanding.popleft()
            answer = yield from self._ask(call.canister, outgoing, evaluation, depth)
            outcome = yield from self._call_back(call, outgoing, answer, evaluation)
            outstanding += outcome.calls
            if outcome.error is not None and outgoing.on_cleanup is not None:
                trapped = outcome.error
                outcome = yield from self._run(
                    call, Entry.CLEANUP, evaluation, callback=outgoing.on_cleanup, may_reply=False
                )
                outcome.error = outcome.error and trapped
        if trapped is not None and outcome.response is None:
            raise trapped
        return _response(call.canister, outcome)

    def _ask(self, canister: CanisterState, call: OutgoingCall, evaluation: _Evaluation, depth: int) -> Steps[Response]:
        nested = Request(FromSystem(), canister.id, call.callee, call.method, call.arg)
        builtin = self.builtins.get(call.callee)
        try:
            if builtin is not None:  # such calls don't count for the depth ("Query call")
                return builtin(nested)
            return (yield from self._evaluate(nested, evaluation, depth + 1))
        except CanisterError as error:
            return rejection(error)

    def _call_back(
        self, call: _Call, outgoing: OutgoingCall, answer: Response, evaluation: _Evaluation
    ) -> Steps[Outcome]:
        if answer.code is None:
            return self._run(call, Entry.REPLY_CALLBACK, evaluation, callback=outgoing.on_reply, arg=answer.data)
        return self._run(
            call,
            Entry.REJECT_CALLBACK,
            evaluation,
            callback=outgoing.on_reject,
            reject_code=int(answer.code),
            reject_message=answer.message,
        )

    def _enter(self, call: _Call, entry: Entry, evaluation: _Evaluation) -> Steps[Outcome]:
        """Runs the query method itself."""
        request = call.request
        certificate = evaluation.data_certificate if request.callee == evaluation.target else None
        return self._run(
            call,
            entry,
            evaluation,
            method=request.method,
            arg=request.arg,
            certificate=None if certificate is None else certificate(request.callee),
        )

    def _run(self, call: _Call, entry: Entry, evaluation: _Evaluation, **specific: Any) -> Steps[Outcome]:
        env = self._calls.environments.of(
            call.canister,
            time_ns=evaluation.time_ns,
            caller=call.request.caller,
            caller_info=call.request.caller_info,
            call_context_instructions=call.instructions,
            in_replicated_execution=False,
            **specific,
        )
        env.max_response_bytes = MAX_REPLY_BYTES
        if call.reader is None:
            outcome = yield from self.read(call.canister, entry, env, evaluation.instructions_left)
        else:
            outcome = yield from call.reader.execution(entry, env, instruction_limit=evaluation.instructions_left)
        evaluation.instructions_left -= outcome.instructions
        call.instructions += outcome.instructions
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


def _abandoned() -> CanisterError:
    return CanisterError(
        RejectCode.SYS_TRANSIENT, "The state was set back while the query was executed; ask again.", "IC0205"
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
