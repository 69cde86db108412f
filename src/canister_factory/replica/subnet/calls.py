"""Messages executed one at a time: requests, responses, system tasks; their call contexts, cycles and answers.

Owns what one message does to the state, atomically. Does not own the order of messages (`subnet`), what the management
canister does (`management`), or queries (`queries`).

Sources: interface specification, "Abstract behavior" (call contexts, message execution start, call context starvation,
canister responses) and "Cycles".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from canister_factory.replica.runtime.execution import CanisterError, Entry, Outcome, OutgoingCall, RejectCode, Response
from canister_factory.replica.subnet import stopping
from canister_factory.replica.subnet.affordable import execution_unaffordable
from canister_factory.replica.subnet.agenda import Agenda, next_task_ns, stop_deadline_ns
from canister_factory.replica.subnet.canister import (
    MANAGEMENT_CANISTER,
    CanisterState,
    Status,
    text_of,
)
from canister_factory.replica.subnet.cycles import SECOND_NS, Prices
from canister_factory.replica.subnet.deadlines import Deadlines, require_unexpired
from canister_factory.replica.subnet.entry_points import update_entry
from canister_factory.replica.subnet.environment import UPDATE_INSTRUCTIONS, Environments, response_prepayment
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.low_memory import is_hook_due
from canister_factory.replica.subnet.messages import (
    DID_NOT_REPLY,
    Answer,
    Begun,
    CallContext,
    FromCanister,
    FromIngress,
    FromSystem,
    Message,
    Origin,
    OutcallAnswer,
    PendingCall,
    Request,
    SystemTask,
    reject,
    rejection,
)
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus
from canister_factory.replica.subnet.snapshot import LowMemoryHook
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.work import Turn, Work

Handler = Callable[[Request], Response | None]
"""Answers the calls to a canister that is part of the replica. It may lower `request.cycles` (having moved them), raise
CanisterError to reject, and answer None when it will answer later with `Calls.respond`."""


def _nobody_asked(answer: OutcallAnswer) -> None:
    raise AssertionError(f"nothing handles HTTP outcalls, so none can be answered: {answer.outcall_id}")


class Calls:
    """Executes messages against the state."""

    def __init__(
        self, state: SubnetState, prices: Prices, listeners: Listeners, subnet_id: bytes, root_key: bytes
    ) -> None:
        self.environments = Environments(state, prices, subnet_id, root_key)
        self._state = state
        self._prices = prices
        self._update_costs = {
            wasm64: prices.of_execution(UPDATE_INSTRUCTIONS, wasm64=wasm64) for wasm64 in (False, True)
        }
        self._listeners = listeners
        self.builtins: dict[bytes, Handler] = {}
        self.finish_outcall: Callable[[OutcallAnswer], None] = _nobody_asked
        self.deadlines = Deadlines(state)
        self.work = Work(Turn())  # of the message that is being processed
        self.stops = Agenda(state, stop_deadline_ns)
        self.tasks = Agenda(state, next_task_ns)

    def execute(self, message: Message) -> None:
        """Executes one message within an open transaction, with `work`; a failure is answered as a reject.

        Raises Suspended when the work's turn is over.
        """
        match message:
            case Request():
                self._process_request(message)
            case Answer():
                self.process_answer(message)
            case SystemTask():
                self._process_task(message)
            case OutcallAnswer():
                self.finish_outcall(message)

    # --- requests ----------------------------------------------------------------------------------------------------

    def _process_request(self, request: Request) -> None:
        builtin = self.builtins.get(request.callee)
        try:
            if not self.work.has_begun:
                require_unexpired(request, self._state.time_ns)
            if builtin is None:
                canister = self._state.existing(request.callee)
                self._state.transaction.touch_for_execution(canister)
                self._update(canister, request)
            elif (response := builtin(request)) is not None:
                self.respond(request.origin, response, request.cycles)
        except CanisterError as error:
            self.respond(request.origin, rejection(error), request.cycles)
        origin = request.origin
        if isinstance(origin, FromIngress) and not self._is_answered(origin.request_id):
            self.set_status(origin, RequestState.PROCESSING)

    def _is_answered(self, request_id: bytes) -> bool:
        status = self._state.statuses.get(request_id)  # None: a repair went on without it
        return status is not None and status.response is not None

    def _update(self, canister: CanisterState, request: Request) -> None:
        canister.require_running()
        module, _ = canister.running_module
        entry = update_entry(canister.id, module, request.method)
        canister.require_attached_cycles(request)
        prepaid = self._update_costs[canister.wasm64]
        threshold = canister.freezing_threshold_cycles(self._prices)
        if not self.work.has_begun:
            canister.require_cycles(self._prices, prepaid, threshold)
        context = CallContext(
            self._state.next_id(), request.origin, request.caller, request.cycles, caller_info=request.caller_info
        )
        canister.balance -= prepaid
        self.begin(canister, request, prepaid)
        outcome, unspent = self._execute(
            canister,
            entry,
            prepaid,
            context,
            commit=entry is Entry.UPDATE,
            method=request.method,
            arg=request.arg,
            threshold=threshold,
            wasm_memory_limit=canister.settings.wasm_memory_limit if entry is Entry.UPDATE else 0,
        )
        self._state.credit(canister, unspent)
        self._conclude(canister, context, outcome)

    def _process_task(self, task: SystemTask) -> None:
        canister = self._state.canisters.get(task.canister_id)
        if canister is None:
            return
        self._state.transaction.touch_for_execution(canister)
        if not self.work.has_begun and not self.can_run_tasks(canister):
            if task.entry is Entry.ON_LOW_WASM_MEMORY:  # it runs when the canister can, if its memory is low then
                canister.low_memory_hook = LowMemoryHook.READY
            elif task.entry is Entry.GLOBAL_TIMER:  # as long as it hasn't run, it is due
                canister.global_timer_ns = self._state.time_ns
                self.tasks.note(canister)
            return
        prepaid = self._update_costs[canister.wasm64]
        context = CallContext(self._state.next_id(), FromSystem(), MANAGEMENT_CANISTER, responded=True)
        canister.balance -= prepaid
        self.begin(canister, task, prepaid)
        outcome, unspent = self._execute(canister, task.entry, prepaid, context)
        self._state.credit(canister, unspent)
        self._conclude(canister, context, outcome)

    def can_run_tasks(self, canister: CanisterState) -> bool:
        """Heartbeats and timers run on running canisters that are not frozen and can prepay the execution."""
        if canister.status is not Status.RUNNING or canister.instance is None:
            return False
        needed = self._update_costs[canister.wasm64]
        return canister.balance >= needed + canister.freezing_threshold_cycles(self._prices)

    # --- responses ---------------------------------------------------------------------------------------------------

    def process_answer(self, answer: Answer, failure: CanisterError | None = None) -> None:
        """Calls back, or with a `failure` ends the call as if the callback had trapped without executing anything."""
        transaction = self._state.transaction
        canister = self._state.canisters.get(answer.canister_id)
        if canister is None:  # deleted meanwhile; only late answers of best-effort calls get here
            self._state.cycles_consumed += answer.refund
            return
        transaction.touch_for_execution(canister)
        self._state.credit(canister, answer.refund)
        pending = transaction.pop(canister.pending_calls, answer.call_id)
        if pending is None:  # a late answer, after its best-effort call timed out
            return
        context = canister.contexts[pending.context_id]
        transaction.touch_context(context)
        context.outstanding -= 1
        response = answer.response
        size = len(response.data) + len(response.message.encode())
        transmission = min(self._prices.of_call_bytes(size), pending.prepaid)
        self._state.note_consumed(canister, transmission, "request_and_response_transmission")
        unspent = pending.prepaid - transmission
        outcome = Outcome(error=failure)
        if context.deleted or failure is not None:  # no callback is executed, which costs what executing nothing costs
            unspent -= self._spend(canister, unspent, self._prices.of_execution(0))
        else:
            self.begin(canister, answer, 0)
            specific: dict[str, Any] = {"cycles_refunded": answer.refund}
            if response.code is None:
                entry, callback = Entry.REPLY_CALLBACK, pending.on_reply
                specific["arg"] = response.data
            else:
                entry, callback = Entry.REJECT_CALLBACK, pending.on_reject
                specific |= {"reject_code": int(response.code), "reject_message": response.message}
            outcome, unspent = self._execute(canister, entry, unspent, context, callback=callback, **specific)
            if outcome.error is not None and pending.on_cleanup is not None:
                cleanup = {"callback": pending.on_cleanup, "reject_code": specific.get("reject_code", 0)}
                _, unspent = self._execute(canister, Entry.CLEANUP, unspent, context, begins=False, **cleanup)
        self._state.credit(canister, unspent)
        self._conclude(canister, context, outcome)

    def respond(self, origin: Origin, response: Response, refund: int = 0) -> None:
        """Sends the answer to a call on its way back, with the cycles that were not accepted."""
        match origin:
            case FromIngress():
                state = RequestState.REPLIED if response.is_reply else RequestState.REJECTED
                self.set_status(origin, state, response)
            case FromCanister():
                self._state.queue.append(Answer(origin.canister_id, origin.call_id, response, refund))
            case FromSystem():
                pass

    def set_status(self, origin: FromIngress, state: RequestState, response: Response | None = None) -> None:
        """Notes where an ingress message stands, and tells the listener."""
        status = RequestStatus(state, origin, response)
        self._state.transaction.set_status(self._state.statuses, origin.request_id, status)

    def _conclude(self, canister: CanisterState, context: CallContext, outcome: Outcome) -> None:
        """Answers the call if this execution did, or if nothing is left that could; keeps its context, or closes it."""
        response = outcome.response if outcome.error is None else None
        if not context.responded and response is None and context.outstanding == 0:
            if outcome.error is not None:
                response = rejection(outcome.error)
            else:
                response = reject(
                    RejectCode.CANISTER_ERROR,
                    f"Error from Canister {text_of(canister.id)}: Canister did not reply to the call",
                    DID_NOT_REPLY,
                )
        if response is not None and not context.responded:
            context.responded = True
            refund, context.cycles = context.cycles, 0
            self.respond(context.origin, response, refund)
        if not context.responded or context.outstanding:
            if context.id not in canister.contexts:
                self._state.transaction.put(canister.contexts, context.id, context)
        else:
            if context.id in canister.contexts:
                self._state.transaction.pop(canister.contexts, context.id)
            stopping.finish(canister, self.respond)
        self.watch_memory(canister)

    def watch_memory(self, canister: CanisterState) -> None:
        """Has the hook for low memory executed next, if it is due; to be called after whatever may change that."""
        if is_hook_due(canister) and self.can_run_tasks(canister):
            canister.low_memory_hook = LowMemoryHook.EXECUTED
            self._state.transaction.put_first(self._state.queue, SystemTask(canister.id, Entry.ON_LOW_WASM_MEMORY))

    # --- execution ---------------------------------------------------------------------------------------------------

    def begin(self, canister: CanisterState, message: Message, reserved: int) -> Begun:
        """Notes what a message found that has taken `reserved` cycles from the balance."""
        return self.work.begin(canister.id, message, self._state.time_ns, canister.balance, reserved)

    def _execute(
        self,
        canister: CanisterState,
        entry: Entry,
        prepaid: int,
        context: CallContext,
        *,
        commit: bool = True,
        begins: bool = True,
        **specific: Any,
    ) -> tuple[Outcome, int]:
        """Runs one entry point and applies what it did.

        `prepaid` was taken out of the balance before; the second result is how much of it was not spent. What doesn't
        begin a message's execution, but goes on with it, is charged for its instructions only.
        """
        _, instance = canister.running_module
        begun = self.work.begun
        env = self.environments.of(
            canister,
            time_ns=begun.time_ns,
            balance=begun.balance,
            caller=context.caller,
            caller_info=context.caller_info,
            cycles_available=context.cycles,
            may_reply=not context.responded,
            deadline_ns=0 if entry is Entry.QUERY else context.deadline_ns,
            call_context_instructions=context.instructions,
            **specific,
        )
        self._state.transaction.executes(instance)
        outcome = self.work.do(
            lambda: instance.execution(entry, env, instruction_limit=UPDATE_INSTRUCTIONS, commit=commit, hold=True),
            holds=instance,
        )
        cost = self._prices.of_execution(outcome.instructions, wasm64=canister.wasm64)
        if outcome.error is None:
            error = execution_unaffordable(canister, entry, outcome, self._prices, max(prepaid - cost, 0))
            if error is not None:
                instance.conclude(keep=False)
                outcome = self.work.amend(replace(outcome, error=error))
        cost = self._spend(canister, prepaid, cost if begins else cost - self._prices.of_execution(0))
        self._state.instructions += outcome.instructions
        context.instructions += outcome.instructions
        canister.append_logs(outcome.log, self._state.time_ns, dropped=outcome.log_dropped)
        if outcome.error is None:
            self._take_effect(canister, context, outcome, commit=commit)
        return outcome, prepaid - cost

    def _take_effect(self, canister: CanisterState, context: CallContext, outcome: Outcome, *, commit: bool) -> None:
        # A query in replicated mode leaves no state behind, but what it accepted or burned is gone.
        context.cycles -= outcome.cycles_accepted
        self._state.credit(canister, outcome.cycles_accepted)
        self._state.consume(canister, outcome.cycles_burned, "burned_cycles")
        if commit:
            self.apply(canister, outcome)
            for call in outcome.calls:
                self._send(canister, context, call)
        canister.version += 1

    def _spend(self, canister: CanisterState, prepaid: int, cost: int) -> int:
        """Counts the cost of an execution as consumed, as far as it was paid for; how much that is."""
        spent = min(cost, prepaid)
        self._state.note_consumed(canister, spent, "instructions")
        return spent

    def apply(self, canister: CanisterState, outcome: Outcome) -> None:
        """Applies the effects of a successful execution on the canister's own variables, besides its version."""
        if outcome.global_timer_ns is not None:
            canister.global_timer_ns = outcome.global_timer_ns
            self.tasks.note(canister)
        if outcome.certified_data is not None:
            canister.certified_data = outcome.certified_data
            self._listeners.canister_changed(canister.id)

    def _send(self, canister: CanisterState, context: CallContext, call: OutgoingCall) -> None:
        prepaid = response_prepayment(self._prices, wasm64=canister.wasm64)
        canister.balance -= call.cycles + call.fee
        self._state.note_consumed(canister, call.fee - prepaid, "request_and_response_transmission")
        deadline_ns = 0
        if call.timeout_seconds is not None:
            deadline_ns = self._state.time_ns + call.timeout_seconds * SECOND_NS
        callbacks = call.on_reply, call.on_reject, call.on_cleanup
        pending = PendingCall(self._state.next_id(), context.id, call.callee, *callbacks, prepaid, deadline_ns)
        self._state.transaction.put(canister.pending_calls, pending.id, pending)
        context.outstanding += 1
        self.deadlines.add(canister, pending)
        origin = FromCanister(canister.id, pending.id, deadline_ns)
        request = Request(origin, canister.id, call.callee, call.method, call.arg, call.cycles, canister.version)
        self._state.queue.append(request)

    # --- deadlines, uninstalling -------------------------------------------------------------------------------------

    def expire(self, now_ns: int) -> bool:
        """Gives up on best-effort calls whose deadline has passed; whether there were any."""
        expired = False
        for canister_id, call_id in self.deadlines.take_expired(now_ns):
            expired = True
            timeout = reject(RejectCode.SYS_UNKNOWN, "Call timed out: its outcome is unknown.", "IC0202")
            self._state.queue.append(Answer(canister_id, call_id, timeout))
        return expired

    def changed(self, canister: CanisterState) -> None:
        """To be called when code, timer or waiting stop requests of a canister may have changed."""
        self.stops.note(canister)
        self.tasks.note(canister)

    def rebuild(self) -> None:
        """Starts what is derived from the state over: it was replaced."""
        for derived in (self.deadlines, self.stops, self.tasks):
            derived.rebuild()

    def abandon_contexts(self, canister: CanisterState) -> None:
        """Rejects all open calls of a canister whose code goes away; outstanding calls only bring back their cycles."""
        transaction = self._state.transaction
        for context in list(canister.contexts.values()):
            transaction.touch_context(context)
            if not context.responded:
                context.responded = True
                refund, context.cycles = context.cycles, 0
                self.respond(
                    context.origin,
                    reject(RejectCode.CANISTER_REJECT, "Canister has been uninstalled.", "IC0406"),
                    refund,
                )
            context.deleted = True
            if context.outstanding == 0:
                transaction.pop(canister.contexts, context.id)
        stopping.finish(canister, self.respond)
