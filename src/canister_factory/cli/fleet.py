"""`fleet`: all personal canisters of a backend that live, the first whose cycles end first.

Owns the command, and how a canister is shown. Does not own: what is known of one, and who is asked (`fleet_canister`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, quantities, settings
from canister_factory.cli.backend import Ask, Columns, backend_command, follow, limit_option
from canister_factory.cli.errors import DONE, RUNNING_OUT
from canister_factory.cli.results import listing, moment
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.cli.fleet_canister import FleetCanister
    from canister_factory.contract.creation_models import PersonalCanisterRecord

_DAY_NS, _HOUR_NS = 86_400 * 10**9, 3_600 * 10**9
_YEAR_DAYS = 365.25


@click.command()
@click.option(
    "--days",
    type=click.IntRange(min=0),
    help=f"List those alone whose cycles end within so many days; the exit code is {RUNNING_OUT} if there are any.",
)
@click.option(
    "--balances",
    is_flag=True,
    help="Ask the network for the balance of each canister now, where its owner lets the backend or the caller see it.",
)
@limit_option
@backend_command(Role.STAFF)
def fleet(days: int | None, balances: bool, limit: int | None, ask: Ask) -> None:
    """List the personal canisters, the first whose cycles end first.

    The date is what the backend reckons from what it paid, or from the balance that it saw last, where the canister's
    owner lets it: cycles, and since when. It supposes that the canister burns what it burns idle. A canister without a
    date comes last; deleted or empty ones aren't listed. With --json each line is an object.
    """

    async def show(backend: CheckedBackend) -> int:
        living, deleted = await _registered(backend, balances=balances)
        canisters = _by_date(await _known(backend, living, balances=balances), days)
        nothing = "no personal canisters" if days is None else f"none whose cycles end within {days} days"
        columns = _columns(backend.ic.clock())
        shown = canisters[:limit]
        await listing(_each(shown), list(columns), lambda one: [cell(one) for cell in columns.values()], nothing)
        if not settings.current().json:
            if len(canisters) > len(shown):
                output.note(f"{len(canisters) - len(shown):,} more")
            if deleted:
                output.note(
                    f"{deleted:,} that were deleted, or whose cycles were used up, aren't listed: "
                    "'canister-factory admin registry' has them"
                )
        return len(canisters)

    count = ask(show)
    click.get_current_context().exit(RUNNING_OUT if days is not None and count else DONE)


def _by_date(canisters: Iterable[FleetCanister], days: int | None) -> list[FleetCanister]:
    """The first that ends first, those without a date last; with `days` those alone that end within so many."""
    ordered = sorted(canisters, key=lambda one: (one.paid_until is None, one.paid_until or 0, str(one.canister_id)))
    if days is None:
        return ordered
    return [one for one in ordered if one.days_left is not None and one.days_left < days]


async def _registered(backend: CheckedBackend, *, balances: bool) -> tuple[list[PersonalCanisterRecord], int]:
    """Canisters that are their owners', and how many are deleted; with `balances` as the backend sees them now."""
    from canister_factory.cli.fleet_canister import looked_at
    from canister_factory.cli.progress import step
    from canister_factory.contract.creation_models import CreationStatus, OwnerPageRequest

    listed = follow(lambda after, count: backend.list_registry(OwnerPageRequest(after=after, limit=count)))
    entries = [entry async for entry in listed if entry.status == CreationStatus.Completed]
    if balances:
        asked = [entry for entry in entries if entry.is_living]
        step(f"the backend looks at {len(asked):,} {'canister' if len(asked) == 1 else 'canisters'}")
        asked = await looked_at(backend, asked)
        entries = [*asked, *(entry for entry in entries if not entry.is_living)]
    living = [entry for entry in entries if entry.is_living]
    return living, len(entries) - len(living)


async def _known(
    backend: CheckedBackend, entries: Sequence[PersonalCanisterRecord], *, balances: bool
) -> list[FleetCanister]:
    """What is known of each, in the same order."""
    from canister_factory.cli.fleet_canister import FleetCanister, told_to_caller

    told = await told_to_caller(backend.ic, entries) if balances else [None] * len(entries)
    now_ns = backend.ic.clock()
    return [FleetCanister.of(entry, status, now_ns) for entry, status in zip(entries, told, strict=True)]


def _columns(now_ns: int) -> Columns:
    return {
        "canister": lambda one: one.canister_id,
        "owner": lambda one: output.ident(one.owner),
        "age": lambda one: _days(one.age_days),
        "paid until": lambda one: moment(one.paid_until).partition(" ")[0],
        "days": lambda one: "-" if one.days_left is None else one.days_left,
        "cycles": lambda one: "-" if one.cycles is None else quantities.cycles(one.cycles).partition(" (")[0],
        "seen": lambda one: "-" if one.seen_at is None else _since(now_ns - one.seen_at),
    }


def _days(count: int) -> str:
    return f"{count} d" if count < 1_000 else f"{count / _YEAR_DAYS:.1f} y"


def _since(span_ns: int) -> str:
    """How long ago something was seen: in hours, after two days in days."""
    if span_ns < _HOUR_NS:
        return "<1 h"
    return f"{span_ns // _HOUR_NS} h" if span_ns < 2 * _DAY_NS else _days(span_ns // _DAY_NS)


async def _each(canisters: Iterable[FleetCanister]) -> AsyncIterator[FleetCanister]:
    for one in canisters:
        yield one
