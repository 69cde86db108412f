"""The canisters that people pay cycles from: the cycles ledger, and a cycles wallet of their own.

Owns their calls that give cycles to a canister. Does not own: that it happens once (`created_at_time` is the caller's).

Source: interface descriptions of the cycles ledger (dfinity/cycles-ledger) and of the cycles wallet
(dfinity/cycles-wallet).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from canister_factory.candid.binding import CandidModel, CandidVariant, Nat, Nat64, Unit, candid_type, from_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import PaymentRefusedError, RejectedError
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.management_calls import encoded
from canister_factory.ic.trace import noting_call

T = TypeVar("T")
CYCLES_LEDGER = Principal.from_str("um5iw-rqaaa-aaaaq-qaaba-cai")
_NO_METHOD = "IC0536"
_MOST_OF_64_BITS = 2**64 - 1


class LedgerAccount(CandidModel):
    """An account by ICRC-1; no subaccount is the first one."""

    owner: Principal
    subaccount: bytes | None = None


class _Withdrawal(CandidModel):
    amount: Nat
    from_subaccount: bytes | None = None
    to: Principal
    created_at_time: Nat64 | None = None


class _Generic(CandidModel):
    message: str
    error_code: Nat


class _Failed(CandidModel):
    rejection_reason: str
    fee_block: Nat | None = None


class _Duplicate(CandidModel):
    duplicate_of: Nat


class _BadFee(CandidModel):
    expected_fee: Nat


class _Receiver(CandidModel):
    receiver: Principal


class _Future(CandidModel):
    ledger_time: Nat64


class _Funds(CandidModel):
    balance: Nat


class _WithdrawError(CandidVariant):
    GenericError: _Generic | None = None
    TemporarilyUnavailable: Unit = None
    FailedToWithdraw: _Failed | None = None
    Duplicate: _Duplicate | None = None
    BadFee: _BadFee | None = None
    InvalidReceiver: _Receiver | None = None
    CreatedInFuture: _Future | None = None
    TooOld: Unit = None
    InsufficientFunds: _Funds | None = None


class _Withdrawn(CandidVariant):
    Ok: Nat | None = None
    Err: _WithdrawError | None = None


class _Amount(CandidModel):
    amount: Nat


class _Amount64(CandidModel):
    amount: Nat64


class _Send64(CandidModel):
    canister: Principal
    amount: Nat64


class _Send128(CandidModel):
    canister: Principal
    amount: Nat


class _Sent(CandidVariant):
    Ok: Unit = None
    Err: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A withdrawal on the ledger: its block, and whether an earlier call had made it."""

    block: int
    was_made_before: bool


class CyclesLedger:
    """The network's cycles ledger, as one agent's principal has an account there. Amounts are cycles.

    All methods raise what `Agent.update` and `Agent.query` raise.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def __repr__(self) -> str:
        return f"CyclesLedger({self._agent!r})"

    async def balance(self) -> int:
        """What the caller's account has."""
        account = encoded(LedgerAccount(owner=self._agent.principal))
        return int(await _query(self._agent, CYCLES_LEDGER, "icrc1_balance_of", account, Nat))

    async def fee(self) -> int:
        """What each payment costs besides its amount."""
        return int(await _query(self._agent, CYCLES_LEDGER, "icrc1_fee", encode([], []), Nat))

    async def withdraw(self, to: Principal, amount: int, created_at_ns: int) -> Withdrawn:
        """Gives cycles of the caller's account to a canister. The same withdrawal, with the same `created_at_ns`
        (nanoseconds since 1970), is made once within a day, however often it is called.

        Raises:
            PaymentRefusedError: the ledger answers that it made none; of a kind `TooOld` it may have before.
        """
        argument = encoded(_Withdrawal(to=to, amount=amount, created_at_time=created_at_ns))
        result = await _update(self._agent, CYCLES_LEDGER, "withdraw", argument, _Withdrawn)
        if result.Err is None:
            assert result.Ok is not None
            return Withdrawn(result.Ok, was_made_before=False)
        if result.Err.Duplicate is not None:
            return Withdrawn(result.Err.Duplicate.duplicate_of, was_made_before=True)
        raise PaymentRefusedError(f"the cycles ledger made no payment: {_words(result.Err)}", kind=result.Err.tag)


def _words(error: _WithdrawError) -> str:
    match error.value:
        case _Funds(balance=balance):
            return f"the account has {balance:,} cycles"
        case _Failed(rejection_reason=reason):
            return f"the canister didn't get it ({quoted(reason)}); the amount is on the account again, less fees"
        case _Receiver(receiver=receiver):
            return f"{receiver} is no canister"
        case _Generic(message=message):
            return quoted(message)
        case _:
            return error.tag


class CyclesWallet:
    """A cycles wallet, as one of its controllers or custodians calls it. Amounts are cycles."""

    def __init__(self, agent: Agent, canister_id: Principal) -> None:
        self._agent = agent
        self.canister_id = canister_id

    def __repr__(self) -> str:
        return f"CyclesWallet({self.canister_id}, {self._agent!r})"

    async def balance(self) -> int:
        """What the wallet has.

        Raises:
            RejectedError: the canister is no wallet, or doesn't answer this caller.
        """
        kinds: tuple[tuple[str, Any], ...] = (("wallet_balance128", _Amount), ("wallet_balance", _Amount64))
        for method, kind in kinds:
            try:
                found = await _query(self._agent, self.canister_id, method, encode([], []), kind)
                return int(found.amount)
            except RejectedError as error:
                if error.error_code != _NO_METHOD or method == "wallet_balance":
                    raise
        raise AssertionError("the last of them returns or raises")

    async def send(self, to: Principal, amount: int) -> None:
        """Gives cycles of the wallet to a canister. Each call does so anew.

        Raises:
            PaymentRefusedError: the wallet answers that it sent none.
            RejectedError: the call was rejected; the wallet may have sent them before that.
        """
        try:
            argument = encoded(_Send128(canister=to, amount=amount))
            result = await _update(self._agent, self.canister_id, "wallet_send128", argument, _Sent)
        except RejectedError as error:
            if error.error_code != _NO_METHOD or amount > _MOST_OF_64_BITS:
                raise
            argument = encoded(_Send64(canister=to, amount=amount))
            result = await _update(self._agent, self.canister_id, "wallet_send", argument, _Sent)
        if result.tag == "Err":
            raise PaymentRefusedError(
                f"the wallet {self.canister_id} sent nothing: {quoted(result.value)}", kind="WalletRefused"
            )


async def _query(agent: Agent, canister_id: Principal, method: str, argument: bytes, annotation: Any) -> Any:
    with noting_call(canister_id, method):
        return _value(await agent.query(canister_id, method, argument), annotation)


async def _update(agent: Agent, canister_id: Principal, method: str, argument: bytes, annotation: type[T]) -> T:
    with noting_call(canister_id, method):
        found: T = _value(await agent.update(canister_id, method, argument), annotation)
        return found


def _value(reply: bytes, annotation: Any) -> Any:
    (value,) = decode(reply, [candid_type(annotation)])
    return from_candid(annotation, value)
