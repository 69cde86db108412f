"""`fleet`: all personal canisters of a backend, the first whose cycles end first.

Owns the command, and which date is shown. Does not own: the registry (the backend), and the reckoning of a date from a
balance (`owner.life`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
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

_AT_ONCE = 16
"""Canisters that the network is asked about at a time."""


@click.command()
@click.option(
    "--days",
    type=click.IntRange(min=0),
    help=f"List those alone whose cycles end within so many days; the exit code is {RUNNING_OUT} if there are any.",
)
@click.option(
    "--balances",
    is_flag=True,
    help="Ask the network for the balance of each canister whose owner lets the caller see it (status_visibility).",
)
@limit_option
@backend_command(Role.STAFF)
def fleet(days: int | None, balances: bool, limit: int | None, ask: Ask) -> None:
    """List the personal canisters, the first whose cycles end first.

    The date is what the backend reckons from what it paid; the network's where --balances finds one. Both suppose that
    the canister burns what it burns idle. A canister without a date comes last. With --json each line is an object.
    """

    async def show(backend: CheckedBackend) -> int:
        found = [entry async for entry in _completed(backend)]
        canisters = _by_date(await _looked_at(backend, found, balances=balances), days)
        nothing = "no personal canisters" if days is None else f"none whose cycles end within {days} days"
        columns = _columns()
        shown = canisters[:limit]
        await listing(_each(shown), list(columns), lambda one: [cell(one) for cell in columns.values()], nothing)
        if len(canisters) > len(shown) and not settings.current().json:
            output.note(f"{len(canisters) - len(shown):,} more")
        return len(canisters)

    count = ask(show)
    click.get_current_context().exit(RUNNING_OUT if days is not None and count else DONE)


def _by_date(canisters: Iterable[FleetCanister], days: int | None) -> list[FleetCanister]:
    """The first that ends first, those without a date last; with `days` those alone that end within so many."""
    ordered = sorted(canisters, key=lambda one: (one.paid_until is None, one.paid_until or 0, str(one.canister_id)))
    if days is None:
        return ordered
    return [one for one in ordered if one.days_left is not None and one.days_left < days]


async def _completed(backend: CheckedBackend) -> AsyncIterator[PersonalCanisterRecord]:
    """Canisters that are their owners'."""
    from canister_factory.contract.creation_models import CreationStatus, OwnerPageRequest

    async for entry in follow(lambda after, count: backend.list_registry(OwnerPageRequest(after=after, limit=count))):
        if entry.status == CreationStatus.Completed:
            yield entry


async def _looked_at(
    backend: CheckedBackend, entries: Iterable[PersonalCanisterRecord], *, balances: bool
) -> list[FleetCanister]:
    """What is known of each, in the same order."""
    from canister_factory.cli.fleet_canister import FleetCanister, status_if_shown

    places = asyncio.Semaphore(_AT_ONCE)

    async def one(entry: PersonalCanisterRecord) -> FleetCanister:
        async with places:
            status = await status_if_shown(backend.ic, entry.canister_id) if balances else None
        return FleetCanister.of(entry, status, backend.ic.clock())

    return list(await asyncio.gather(*map(one, entries)))


def _columns() -> Columns:
    return {
        "canister": lambda one: one.canister_id,
        "owner": lambda one: output.ident(one.owner),
        "age": lambda one: f"{one.age_days} d",
        "paid until": lambda one: moment(one.paid_until).partition(" ")[0],
        "days left": lambda one: "-" if one.days_left is None else f"{one.days_left:,}",
        "cycles": lambda one: "-" if one.cycles is None else quantities.cycles(one.cycles).partition(" (")[0],
    }


async def _each(canisters: Iterable[FleetCanister]) -> AsyncIterator[FleetCanister]:
    for one in canisters:
        yield one
