"""`owner top-up`: cycles for an owner's canister.

Owns the command. Does not own: paying once (`owner.top_up`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities
from canister_factory.cli.amounts import CYCLES
from canister_factory.cli.errors import InputError
from canister_factory.cli.own_canister import Ask, Found, found_canister_command
from canister_factory.cli.parameter_types import PrincipalType
from canister_factory.cli.results import announced, done, moment

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.ic.agent import Agent
    from canister_factory.owner.open_payments import OpenPayment
    from canister_factory.owner.payers import Payer
    from canister_factory.owner.top_up import ToppedUp

_LEDGER, _MADE = "ledger", "made"


class _SourceType(PrincipalType):
    """`ledger`, `made`, or the id of a wallet."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word, or the principal."""
        return value if value in (_LEDGER, _MADE) else super().convert(value, param, ctx)


@click.command("top-up")
@click.argument("amount", type=CYCLES, metavar="CYCLES")
@click.option(
    "--from",
    "origin",
    type=_SourceType(),
    metavar="ledger|made|WALLET",
    help="Your account on the cycles ledger; cycles that a test network makes; or the id of your cycles wallet.  "
    "[default: made on the embedded network, else ledger]",
)
@click.option("--any-canister", is_flag=True, help="Pay also for a canister that isn't yours, or isn't a personal one.")
@click.option("--forget", is_flag=True, help="Pay anew, although the outcome of an earlier top-up isn't known.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@found_canister_command
def top_up(
    amount: int,
    origin: str | Principal | None,
    any_canister: bool,
    forget: bool,
    yes: bool,
    ask: Ask[Found],
) -> None:
    """Give your canister CYCLES, such as 2T.

    It also works when the canister is frozen. A top-up that was interrupted is noted on this computer: the same command
    finishes it. From the ledger it is paid once in any case; where that can't be known, the balances are shown.

    \b
    Example:
      canister-factory owner top-up 2T --canister $CANISTER \\
        --identity owner.pem --network ic
    """
    if amount == 0:
        raise InputError("CYCLES is 0: there is nothing to pay")

    async def work(found: Found) -> tuple[Found, str, ToppedUp]:
        from canister_factory.owner.open_payments import OpenPayments
        from canister_factory.owner.top_up import TopUp

        payer = _payer(found.agent, origin)
        payments = OpenPayments.of(found.agent, found.canister_id)
        paying = TopUp(found.agent, found.canister_id, payer, payments, quantities.cycles)
        opened = await paying.check(amount, any_canister=any_canister, anew=forget)
        again = _earlier(opened, forget)
        announced(f"Pay {quantities.cycles(amount)} cycles from {payer.name} to {found.canister_id}{again}", yes)
        if forget:
            paying.forget()
        interrupts.if_interrupted("whether it was paid isn't known; the same command finds out, and finishes it")
        return found, payer.name, await paying.pay(amount)

    _show(*ask(work))


def _earlier(opened: OpenPayment | None, forget: bool) -> str:
    """What becomes of an earlier payment whose outcome isn't known."""
    if opened is None:
        return ""
    if not forget:
        return ", as an earlier top-up that wasn't finished: it is paid once"
    earlier = f"{quantities.cycles(opened.amount)} cycles from {opened.payer} at {moment(opened.created_at_ns)}"
    return f", beside the top-up of {earlier}, which may have been paid as well and is forgotten"


def _payer(agent: Agent, origin: str | Principal | None) -> Payer:
    from canister_factory.candid.principal import Principal
    from canister_factory.owner.payers import FromLedger, FromNowhere, FromWallet

    if isinstance(origin, Principal):
        return FromWallet(agent, origin)
    chosen = origin or (_MADE if agent.network.name == "embedded" else _LEDGER)
    return FromNowhere(agent) if chosen == _MADE else FromLedger(agent)


def _show(found: Found, payer: str, made: ToppedUp) -> None:
    from canister_factory.candid.binding import rfc3339
    from canister_factory.owner.life import dates, shown_date

    status = made.status
    now_ns = found.agent.clock()
    stops = None if status is None else dates(status, now_ns)[0]
    lasts = "Its balance is shown to its controllers."
    if status is not None:
        until = f"stops {shown_date(stops)}"
        if stops is not None and stops <= now_ns:
            until = "is frozen still: it takes no updates until it has more"
        lasts = f"It has {quantities.cycles(status.cycles)}, and {until}."
    before = " by an earlier call, and not again" if made.paid.was_made_before else ""
    done(
        f"{quantities.cycles(made.amount)} cycles from {payer} were paid to {found.canister_id}{before}. {lasts}",
        canister_id=found.canister_id,
        paid=str(made.amount),
        payer=payer,
        block=made.paid.block,
        was_paid_before=made.paid.was_made_before,
        cycles=None if status is None else str(status.cycles),
        stops=None if stops is None else rfc3339(stops),
    )
    if status is None:
        output.note(f"note: {found.caller} doesn't see the canister's status")
