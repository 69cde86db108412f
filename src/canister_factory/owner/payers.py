"""Where the cycles of a top-up come from: the cycles ledger, a wallet, or nowhere, on a test network.

Owns what each can say of itself before it pays. Does not own: the calls (`ic.cycles`), and paying once (`top_up`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from canister_factory.candid.principal import Principal
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.cycles import CYCLES_LEDGER, CyclesLedger, CyclesWallet
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    CertificateScopeError,
    ProtocolError,
    RejectedError,
    TransportError,
)
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.errors import PaymentError


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that was made: the block of the ledger, where there is one; and whether an earlier call made it."""

    block: int | None = None
    was_made_before: bool = False


class Payer(Protocol):
    """Somebody who gives cycles to a canister."""

    name: str
    """As a person reads it after "from"."""
    pays_once: bool
    """Whether the same payment, called again, isn't made again."""

    async def available(self) -> int | None:
        """Cycles that it can pay at most; `None`: any amount.

        Raises:
            PaymentError: it can't pay on this network, or for this caller.
        """

    async def balance(self) -> int | None:
        """Cycles that it has; `None` where it can't be asked."""

    async def pay(self, to: Principal, amount: int, created_at_ns: int) -> Paid:
        """Pays.

        Raises:
            PaymentRefusedError: it answers that it didn't.
            IcError: the call failed.
        """


class FromLedger:
    """The caller's account on the cycles ledger."""

    pays_once = True

    def __init__(self, agent: Agent) -> None:
        self.name = "the cycles ledger"
        self._agent = agent
        self._ledger = CyclesLedger(agent)
        self._retry = Retry(FactoryConfig())

    async def available(self) -> int:
        """The account's balance, less the fee.

        Raises:
            PaymentError: the network has no cycles ledger.
        """
        try:
            fee = await self._retry("icrc1_fee", self._ledger.fee)
        except (RejectedError, ProtocolError, CertificateScopeError) as error:
            raise PaymentError(
                f"there is no cycles ledger, {CYCLES_LEDGER}, on {self._agent.network.url}; nothing was paid. Pay with "
                "--from WALLET, or on a test network with --from made"
            ) from error
        return max(0, await self.balance() - fee)

    async def balance(self) -> int:
        """What the account has."""
        return await self._retry("icrc1_balance_of", self._ledger.balance)

    async def pay(self, to: Principal, amount: int, created_at_ns: int) -> Paid:
        """Withdraws to the canister. A call without an answer is made again: the ledger knows it by its time."""
        made = await self._retry("withdraw", self._ledger.withdraw, to, amount, created_at_ns)
        return Paid(made.block, made.was_made_before)


class FromWallet:
    """A cycles wallet that the caller may use."""

    pays_once = False

    def __init__(self, agent: Agent, canister_id: Principal) -> None:
        self.name = f"the wallet {canister_id}"
        self._agent = agent
        self._wallet = CyclesWallet(agent, canister_id)
        self._retry = Retry(FactoryConfig())

    async def available(self) -> int:
        """What the wallet has.

        Raises:
            PaymentError: it isn't there, is no wallet, or doesn't answer the caller.
        """
        try:
            await self._agent.canister_info(self._wallet.canister_id)
        except (CanisterNotFoundError, CertificateScopeError) as error:
            raise PaymentError(
                f"there is no wallet {self._wallet.canister_id} on {self._agent.network.url}; nothing was paid"
            ) from error
        try:
            return await self._retry("wallet_balance128", self._wallet.balance)
        except RejectedError as error:
            raise PaymentError(
                f"{self._wallet.canister_id} doesn't answer you as a wallet; nothing was paid: {error}"
            ) from error

    async def balance(self) -> int | None:
        """What the wallet has, where it says so."""
        try:
            return await self._retry("wallet_balance128", self._wallet.balance)
        except (RejectedError, TransportError):
            return None

    async def pay(self, to: Principal, amount: int, created_at_ns: int) -> Paid:
        """Has the wallet send the cycles; each call does."""
        await self._wallet.send(to, amount)
        return Paid()


class FromNowhere:
    """A test network, which makes cycles."""

    pays_once = False

    def __init__(self, agent: Agent) -> None:
        self.name = "the test network"
        self._agent = agent

    async def available(self) -> None:
        """Any amount.

        Raises:
            PaymentError: the network is the real one.
        """
        if self._agent.network.is_mainnet:
            raise PaymentError("mainnet makes no cycles; nothing was paid. Pay with --from ledger or --from WALLET")

    async def balance(self) -> None:
        """It has none."""

    async def pay(self, to: Principal, amount: int, created_at_ns: int) -> Paid:
        """Makes the cycles."""
        await ManagementCanister(self._agent).provisional_top_up_canister(to, amount)
        return Paid()
