"""The cycles ledger of a test network: pays for creating and topping up canisters with cycles that nobody bought.

Owns the accounts, these two payments, and deposits; a withdrawal with `created_at_time` is made once. Not emulated:
transfers, approvals, the block log and deduplication of creations (`created_at_time` is refused there, so that nobody
relies on it).

Every account starts with `TEST_BALANCE`; what it pays comes into circulation as newly minted cycles, what is deposited
counts as consumed. Unlike on the real ledger, a payment that fails costs no fee, and may be made again as it was.

Source: the cycles ledger's interface description (dfinity/cycles-ledger); ICRC-1, "Transaction deduplication".
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import MAX_CYCLES, CanisterError, RejectCode, Response
from canister_factory.replica.subnet.canister import MANAGEMENT_CANISTER, Settings, text_of
from canister_factory.replica.subnet.management_interface import method_type
from canister_factory.replica.subnet.messages import FromCanister, Request
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters.interface import SystemCanister

CYCLES_LEDGER = Principal.from_str("um5iw-rqaaa-aaaaq-qaaba-cai").bytes
TEST_BALANCE = 1_000_000_000_000_000
"""Cycles on every account that has paid nothing yet: enough for hundreds of canisters."""
BLOCK_FEE = 100_000_000
"""Cycles for each payment, besides its amount."""
WINDOW_NS = 86_400 * 10**9
"""For so long after its `created_at_time` a payment is known again; the sender's clock may differ by `DRIFT_NS`."""
DRIFT_NS = 60 * 10**9
_DECIMALS = 12
_SUBACCOUNT_BYTES = 32

_REJECTION_CODES = {
    RejectCode.SYS_FATAL: "SysFatal",
    RejectCode.SYS_TRANSIENT: "SysTransient",
    RejectCode.DESTINATION_INVALID: "DestinationInvalid",
    RejectCode.CANISTER_REJECT: "CanisterReject",
    RejectCode.CANISTER_ERROR: "CanisterError",
    RejectCode.SYS_UNKNOWN: "Unknown",
}


class _RefusedError(Exception):
    """The `Err` of a payment."""

    def __init__(self, tag: str, **content: Any) -> None:
        super().__init__(tag)
        self.answer = Case("Err", Case(tag, content or None))


def _account(owner: bytes, subaccount: bytes | None) -> bytes:
    """The key of an account (ICRC-1): no subaccount is the same as one of zeros.

    Raises:
        CanisterError: IC0503, the subaccount's length is wrong.
    """
    if subaccount is not None and len(subaccount) != _SUBACCOUNT_BYTES:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Error from Canister {text_of(CYCLES_LEDGER)}: a subaccount has {_SUBACCOUNT_BYTES} bytes, not "
            f"{len(subaccount)}.",
            "IC0503",
        )
    return bytes([len(owner)]) + owner + (subaccount or bytes(_SUBACCOUNT_BYTES))


def _pay(subnet: Subnet, payer: Request, argument: dict[str, Any], method: str, management_argument: Any) -> Response:
    """Makes a management call with the amount attached, and takes amount and fee from the payer's account.

    Raises:
        _RefusedError: the account's balance is too low, or something is asked that is not emulated.
        CanisterError: the management canister rejected the call.
    """
    state, amount = subnet.state, argument["amount"]
    account = _account(payer.caller, argument["from_subaccount"])
    balance = state.ledger_balances.get(account, TEST_BALANCE)
    if balance < amount + BLOCK_FEE:
        raise _RefusedError("InsufficientFunds", balance=balance)
    arg = encode(method_type(method).args, (management_argument,))
    call = Request(FromCanister(CYCLES_LEDGER, 0), CYCLES_LEDGER, MANAGEMENT_CANISTER, method, arg, cycles=amount)
    response = subnet.manage(call)
    state.cycles_minted += amount
    state.transaction.put(state.ledger_balances, account, balance - amount - BLOCK_FEE)
    state.ledger_blocks += 1
    return response


def _made_before(subnet: Subnet, request: Request, argument: dict[str, Any]) -> bytes | None:
    """The name of a withdrawal with `created_at_time`, under which it is noted once it is made: its time comes first.

    Raises:
        _RefusedError: it was made before, or its time isn't now.
    """
    created: int | None = argument["created_at_time"]
    if created is None:
        return None
    state = subnet.state
    for known in sorted(state.ledger_withdrawals):
        if int.from_bytes(known[:8], "big") + WINDOW_NS + DRIFT_NS >= state.time_ns:
            break
        state.transaction.pop(state.ledger_withdrawals, known)
    account = _account(request.caller, argument["from_subaccount"])
    parts = (account, argument["to"].bytes, str(argument["amount"]).encode())
    payment = sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    name = created.to_bytes(8, "big") + payment
    if name in state.ledger_withdrawals:
        raise _RefusedError("Duplicate", duplicate_of=state.ledger_withdrawals[name])
    if created + WINDOW_NS + DRIFT_NS < state.time_ns:
        raise _RefusedError("TooOld")
    if created > state.time_ns + DRIFT_NS:
        raise _RefusedError("CreatedInFuture", ledger_time=state.time_ns)
    return name


def _create_canister(subnet: Subnet, request: Request, argument: dict[str, Any]) -> Case:
    """A canister with the amount less the creation fee; its caller controls it unless the settings say otherwise."""
    if argument["created_at_time"] is not None:
        message = "This test ledger doesn't deduplicate creations: leave created_at_time out"
        return Case("Err", Case("GenericError", {"message": message, "error_code": 0}))
    creation = argument["creation_args"] or {"settings": None, "subnet_selection": None}
    selection = creation["subnet_selection"]
    try:
        if selection is not None and selection.tag == "Subnet" and selection.value["subnet"].bytes != subnet.id:
            wanted = selection.value["subnet"]
            message = f"The subnet {wanted} is no part of this network, which has {text_of(subnet.id)} only"
            raise CanisterError(RejectCode.DESTINATION_INVALID, message)
        settings = dict(creation["settings"] or dict.fromkeys(Settings.__slots__))
        if settings["controllers"] is None:
            settings["controllers"] = [Principal(request.caller)]
        management_argument = {"settings": settings, "sender_canister_version": None}
        response = _pay(subnet, request, argument, "create_canister", management_argument)
    except _RefusedError as refused:
        return refused.answer
    except CanisterError as error:
        failure = {"error": error.message, "refund_block": None, "fee_block": None}
        return Case("Err", Case("FailedToCreate", failure))
    (created,) = decode(response.data, method_type("create_canister").results)
    return Case("Ok", {"block_id": subnet.state.ledger_blocks, "canister_id": created["canister_id"]})


def _is_persons(principal: Principal) -> bool:
    """Whether it is derived from a key (interface specification, "Special forms of Principals")."""
    return len(principal.bytes) == 29 and principal.bytes.endswith(b"\x02")


def _withdraw(subnet: Subnet, request: Request, argument: dict[str, Any]) -> Case:
    """The amount goes to a canister's balance."""
    try:
        if _is_persons(argument["to"]):
            raise _RefusedError("InvalidReceiver", receiver=argument["to"])
        name = _made_before(subnet, request, argument)
        _pay(subnet, request, argument, "deposit_cycles", {"canister_id": argument["to"]})
    except _RefusedError as refused:
        return refused.answer
    except CanisterError as error:
        code = Case(_REJECTION_CODES[error.code])
        failure = {"rejection_code": code, "rejection_reason": error.message, "fee_block": None}
        return Case("Err", Case("FailedToWithdraw", failure))
    if name is not None:
        subnet.state.transaction.put(subnet.state.ledger_withdrawals, name, subnet.state.ledger_blocks)
    return Case("Ok", subnet.state.ledger_blocks)


def _deposit(subnet: Subnet, request: Request, argument: dict[str, Any]) -> dict[str, int]:
    """The cycles attached to the call, less the fee, go to an account.

    Raises:
        CanisterError: IC0503, they don't cover the fee.
    """
    state, to = subnet.state, argument["to"]
    account = _account(to["owner"].bytes, to["subaccount"])
    if request.cycles < BLOCK_FEE:
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Error from Canister {text_of(CYCLES_LEDGER)}: a deposit needs at least {BLOCK_FEE} cycles, the fee, but "
            f"only {request.cycles} were attached.",
            "IC0503",
        )
    before = state.ledger_balances.get(account, TEST_BALANCE)
    balance = min(before + request.cycles - BLOCK_FEE, MAX_CYCLES)
    request.cycles = 0
    state.transaction.put(state.ledger_balances, account, balance)
    state.ledger_blocks += 1
    return {"block_index": state.ledger_blocks, "balance": balance}


def _balance_of(subnet: Subnet, request: Request, argument: dict[str, Any]) -> int:
    account = _account(argument["owner"].bytes, argument["subaccount"])
    return subnet.state.ledger_balances.get(account, TEST_BALANCE)


LEDGER = SystemCanister(
    CYCLES_LEDGER,
    "cycles_ledger.did",
    {
        "create_canister": _create_canister,
        "withdraw": _withdraw,
        "deposit": _deposit,
        "icrc1_balance_of": _balance_of,
        "icrc1_decimals": lambda *_: _DECIMALS,
        "icrc1_fee": lambda *_: BLOCK_FEE,
        "icrc1_symbol": lambda *_: "TCYCLES",
    },
)
