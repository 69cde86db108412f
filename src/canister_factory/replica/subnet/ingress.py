"""Whether the subnet takes an ingress message: what a replica checks before it answers anything certified.

Owns the refusals. They are cheap, uncertified and change no state. Does not own signatures and expiry (`http_api`) or
the execution of what was taken (`calls`).

Source: interface specification, "Request: Call" and "Canister inspect_message".
"""

from __future__ import annotations

from canister_factory.ic.requests import CallRequest
from canister_factory.replica.runtime.execution import CanisterError, Entry, RejectCode, Steps
from canister_factory.replica.subnet.access import may_manage
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import MANAGEMENT_CANISTER, CanisterState, text_of
from canister_factory.replica.subnet.cycles import MAX_DELAYED_INGRESS_BYTES, Prices
from canister_factory.replica.subnet.entry_points import update_entry
from canister_factory.replica.subnet.management_interface import (
    INGRESS_METHODS,
    QUERY_ONLY,
    decode_argument,
    method_type,
)
from canister_factory.replica.subnet.messages import IngressMessage, Request, caller_info
from canister_factory.replica.subnet.queries import Queries
from canister_factory.replica.subnet.state import SubnetState

INSPECT_INSTRUCTIONS = 200_000_000
MAX_QUEUED_MESSAGES = 5_000  # for one canister
# Methods that give test cycles: for everybody, and free.
OPEN_METHODS = ("provisional_create_canister_with_cycles", "provisional_top_up_canister")


def is_charged_afterwards(request: Request) -> bool:
    """Whether a user's call is executed before it is paid for, since it may be what thaws a frozen canister."""
    return (
        request.callee == MANAGEMENT_CANISTER
        and request.method == "update_settings"
        and len(request.arg) <= MAX_DELAYED_INGRESS_BYTES
    )


def _is_charged_before(request: Request) -> bool:
    return request.method not in OPEN_METHODS and not is_charged_afterwards(request)


def fee_payer(state: SubnetState, request: Request) -> CanisterState | None:
    """The canister that pays for an ingress message before it is executed.

    None: it is free, or charged afterwards, or its argument names no canister.
    """
    if request.callee != MANAGEMENT_CANISTER:
        return state.canisters.get(request.callee)
    field = INGRESS_METHODS.get(request.method)
    if field is None or not _is_charged_before(request):
        return None
    try:
        argument = decode_argument(request.method, request.arg)
    except CanisterError:  # said in the answer
        return None
    return state.canisters.get(argument[field].bytes)


def check(
    state: SubnetState, calls: Calls, queries: Queries, prices: Prices, message: IngressMessage, now_ns: int
) -> Steps[None]:
    """Refuses an ingress message that must not be executed.

    Raises:
        CanisterError: why it is refused; to be answered as a non-replicated rejection.
    """
    call, callee = message.call, message.call.canister_id
    if (waiting := state.queue.waiting_for(callee)) >= MAX_QUEUED_MESSAGES:
        raise CanisterError(
            RejectCode.SYS_TRANSIENT,
            f"{waiting} messages wait for canister {text_of(callee)}, the limit is {MAX_QUEUED_MESSAGES}; "
            "try again later.",
            "IC0201",
        )
    fee = prices.of_ingress(message.size_bytes)
    if callee == MANAGEMENT_CANISTER:
        request = message.request()
        managed = _check_management(state, request, message.effective_canister_id)
        if managed is not None and _is_charged_before(request):
            managed.require_cycles(prices, fee)
        return
    _require_effective_id(call.method_name, callee, message.effective_canister_id)
    if callee in calls.builtins:
        return
    canister = state.existing(callee)
    canister.require_running()
    canister.require_cycles(prices, fee)
    yield from _inspect(canister, calls, queries, call, now_ns)


def _check_management(state: SubnetState, request: Request, effective_canister_id: bytes) -> CanisterState | None:
    """The canister that a call of the management canister is about; None where it is about none."""
    method_type(request.method)
    if request.method not in INGRESS_METHODS:
        raise CanisterError(
            RejectCode.CANISTER_REJECT,
            f"Management method {request.method} cannot be called by ingress messages, only "
            f"{'as a query' if request.method in QUERY_ONLY else 'by canisters'}.",
            "IC0406",
        )
    argument = decode_argument(request.method, request.arg)
    field = INGRESS_METHODS[request.method]
    if field is None:
        return None
    target = argument[field].bytes
    _require_effective_id(request.method, target, effective_canister_id)
    canister = state.existing(target)
    if request.method in OPEN_METHODS or may_manage(state, request.method, canister, request.caller):
        return canister
    raise CanisterError(
        RejectCode.CANISTER_ERROR,
        f"Only controllers of canister {text_of(target)} can call ic00 method {request.method}",
        "IC0512",
    )


def _require_effective_id(method: str, expected: bytes, given: bytes) -> None:
    if given != expected:
        raise CanisterError(
            RejectCode.DESTINATION_INVALID,
            f"A call of {method} on canister {text_of(expected)} was sent to the effective canister id "
            f"{text_of(given)}; send it to {text_of(expected)}.",
            "IC0408",
        )


def _inspect(canister: CanisterState, calls: Calls, queries: Queries, call: CallRequest, now_ns: int) -> Steps[None]:
    module, _ = canister.running_module
    update_entry(canister.id, module, call.method_name)
    if not module.has(Entry.INSPECT_MESSAGE):
        return
    env = calls.environments.of(
        canister,
        time_ns=now_ns,
        method=call.method_name,
        arg=call.arg,
        caller=call.sender,
        caller_info=caller_info(call),
        in_replicated_execution=False,
    )
    outcome = yield from queries.read(canister, Entry.INSPECT_MESSAGE, env, INSPECT_INSTRUCTIONS)
    if outcome.error is not None:
        raise outcome.error
    if not outcome.message_accepted:
        raise CanisterError(
            RejectCode.CANISTER_REJECT, f"Canister {text_of(canister.id)} rejected the message", "IC0406"
        )
