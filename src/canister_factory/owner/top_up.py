"""Gives cycles to a canister once: what was cut, or killed with its process, is found again and never paid anew.

Owns whom it may be paid to, and what is known of a payment. Does not own: paying (`payers`), and the note of what isn't
finished (`open_payments`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    CertificateScopeError,
    IcError,
    OutcomeUnknownError,
    PaymentRefusedError,
    ProtocolError,
    RejectedError,
)
from canister_factory.ic.management_types import CanisterStatus
from canister_factory.owner.errors import PaymentError
from canister_factory.owner.life import status_of
from canister_factory.owner.open_payments import OpenPayment, OpenPayments
from canister_factory.owner.payers import Paid, Payer

_PERSONAL_METHOD = b"get_personal_info"
_EXPIRY_NS = 360 * 10**9
"""After so long no call that was signed is executed any more (interface specification, "Request authentication")."""


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """A payment of `amount` cycles, and the canister's status after it; `None` where the caller may not see it."""

    amount: int
    paid: Paid
    status: CanisterStatus | None


class TopUp:
    """Payments of one caller to one canister. Amounts are cycles.

    Args:
        agent: calls as the payer's user; on the canister's network.
        shown: an amount for a person.
    """

    def __init__(
        self, agent: Agent, canister_id: Principal, payer: Payer, payments: OpenPayments, shown: Callable[[int], str]
    ) -> None:
        self._agent = agent
        self._canister_id = canister_id
        self._payer = payer
        self._payments = payments
        self._shown = shown

    def __repr__(self) -> str:
        return f"TopUp({self._canister_id} from {self._payer.name})"

    async def check(self, amount: int, *, any_canister: bool, anew: bool = False) -> OpenPayment | None:
        """Refuses what mustn't be paid; returns the earlier payment whose outcome isn't known, if there is one: it is
        what would be finished, or, with `anew`, what has to be forgotten (`forget`) before `pay`. Changes nothing.

        Args:
            any_canister: whether it may be a canister that isn't the caller's, or isn't a personal canister.

        Raises:
            PaymentError: there is no such canister, or it is another than meant; the payer can't pay; or an earlier
                payment isn't finished. Nothing was paid.
            IcError: that can't be learnt.
        """
        await self._check_canister(any_canister)
        opened = self._payments.read()
        if opened is not None and not anew:
            await self._check_open(opened, amount)
            return opened
        available = await self._payer.available()
        if available is not None and available < amount:
            raise PaymentError(
                f"{self._payer.name} can pay {self._shown(available)} cycles at most, not {self._shown(amount)}; "
                "nothing was paid"
            )
        return opened

    async def _check_canister(self, any_canister: bool) -> None:
        canister, url = self._canister_id, self._agent.network.url
        try:
            info = await self._agent.canister_info(canister)
        except (CanisterNotFoundError, CertificateScopeError) as error:
            raise PaymentError(
                f"there is no canister {canister} on {url}: it was deleted, or is on another network. Nothing was paid"
            ) from error
        if any_canister:
            return
        way_on = "Nothing was paid. --any-canister pays it all the same"
        if info.module_hash is None or _PERSONAL_METHOD not in (await self._interface() or b""):
            raise PaymentError(f"{canister} on {url} is no personal canister, by its certified interface. {way_on}")
        if self._agent.principal not in info.controllers:
            raise PaymentError(f"{canister} on {url} isn't yours: you don't control it. {way_on}")

    async def _interface(self) -> bytes | None:
        """What the module certifies of its methods; `None` where it doesn't to this caller."""
        try:
            return await self._agent.metadata(self._canister_id, "candid:service")
        except ProtocolError as refusal:
            if refusal.status == 403:
                return None
            raise

    async def _check_open(self, opened: OpenPayment, amount: int) -> None:
        if (opened.payer, opened.amount) != (self._payer.name, amount):
            raise PaymentError(
                f"a top-up of {self._shown(opened.amount)} cycles from {opened.payer} isn't known to be finished: "
                "nothing else is paid before. Repeat that command: it says what became of it"
            )
        if not self._payer.pays_once:
            raise await self._unknown(opened)

    def forget(self) -> None:
        """Takes the outcome of an earlier payment for known."""
        self._payments.end()

    async def pay(self, amount: int) -> ToppedUp:
        """Pays, or finishes the payment of an earlier call; `check` has been asked before.

        Raises:
            PaymentError: it isn't known whether it was paid; the message has the balances.
            PaymentRefusedError: the payer answers that it didn't pay.
            IcError: the call failed. Nothing was paid, or a note says that the same call pays once.
        """
        opened = self._payments.read()
        is_new = opened is None
        if opened is None:
            opened = OpenPayment(
                payer=self._payer.name,
                amount=amount,
                created_at_ns=self._agent.clock(),
                had=await self._balance(),
                payer_had=await self._payer.balance(),
            )
            self._payments.begin(opened)
        else:
            await self._check_open(opened, amount)
        paid = await self._pay(opened, is_new)
        self._payments.end(f"{self._shown(amount)} cycles were paid")
        return ToppedUp(amount, paid, await self._status())

    async def _pay(self, opened: OpenPayment, is_new: bool) -> Paid:
        try:
            return await self._payer.pay(self._canister_id, opened.amount, opened.created_at_ns)
        except PaymentRefusedError as error:
            if error.kind == "TooOld" and not is_new:
                raise await self._unknown(opened) from error
            self._payments.end("nothing was paid")
            raise
        except (IcError, CandidError) as error:
            if self._payer.pays_once:
                error.add_note(
                    "Whether it was paid isn't known. The same command within a day finishes it: it pays once"
                )
                raise
            if not await self._was_refused(error, opened):
                raise await self._unknown(opened) from error
            self._payments.end("nothing was paid")
            error.add_note("Nothing was paid")
            raise

    async def _was_refused(self, error: Exception, opened: OpenPayment) -> bool:
        """Whether the failure of a call means that nothing was paid.

        A wallet calls another canister before it answers: what rejects then may have paid. Its balance tells.
        """
        if isinstance(error, (OutcomeUnknownError, CandidError)):
            return False
        if not isinstance(error, RejectedError) or not error.certified or opened.payer_had is None:
            return True
        left = await self._payer.balance()
        return left is not None and opened.payer_had - left < opened.amount

    async def _unknown(self, opened: OpenPayment) -> PaymentError:
        """What is known of a payment whose outcome isn't."""
        now_ns, had, has = self._agent.clock(), opened.had, await self._balance()
        facts = [f"{self._canister_id} had {self._told(had)} and has {self._told(has)}"]
        if opened.payer_had is not None:
            left = self._told(await self._payer.balance())
            facts.append(f"{self._payer.name} had {self._told(opened.payer_had)} and has {left}")
        latest = opened.created_at_ns + _EXPIRY_NS
        wait = f"It can still be executed until {_moment(latest)}: look again after that. " if now_ns < latest else ""
        return PaymentError(
            f"whether {self._shown(opened.amount)} cycles were paid from {self._payer.name} at "
            f"{_moment(opened.created_at_ns)} isn't known: the call was cut. In cycles: {'; '.join(facts)}. {wait}The "
            "same command with --forget pays anew"
        )

    def _told(self, balance: int | None) -> str:
        return "an amount that can't be seen" if balance is None else self._shown(balance)

    async def _balance(self) -> int | None:
        status = await self._status()
        return None if status is None else status.cycles

    async def _status(self) -> CanisterStatus | None:
        """The canister's status, where the caller may see it."""
        try:
            return await status_of(self._agent, self._canister_id)
        except IcError:
            return None


def _moment(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC"
