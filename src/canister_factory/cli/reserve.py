"""`reserve …`: the cycles that a backend creates canisters with.

Owns these commands. Does not own: the books, which the backend keeps.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, quantities
from canister_factory.cli import settings as shared
from canister_factory.cli.amounts import CYCLES, DURATION
from canister_factory.cli.backend import Ask, backend_command, history_command, needs_role, signed_backend_options
from canister_factory.cli.errors import CommandError, InputError, done_already
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.results import done, duration, record
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.cli.backend_life import BackendLife
    from canister_factory.cli.reserve_prices import Prices
    from canister_factory.contract.admin_models import ReserveSettings, ReserveStatus
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

    Changed = tuple[ReserveSettings, Prices | None, ReserveStatus, int]


@click.group(cls=CommandGroup)
def reserve() -> None:
    """Show and fund the cycles for personal canisters.

    The available cycles are the balance of the backend, less its operating minimum, less what creations in progress
    may still need. Amounts are written as 5T, 500B or 1_000_000.

    \b
    Example:
      export CANISTER_FACTORY_BACKEND=lxzze-o7777-77777-aaaaa-cai
      export CANISTER_FACTORY_IDENTITY=admin.pem
      canister-factory reserve status
      canister-factory reserve top-up 5T
    """


@reserve.command("status")
@backend_command(Role.STAFF)
def status(ask: Ask) -> None:
    """Show the available cycles, the recommended top-up, and until when the backend itself lives on them."""

    async def work(backend: CheckedBackend) -> tuple[ReserveStatus, BackendLife]:
        from canister_factory.cli.backend_life import look

        return await backend.get_reserve_status(), await look(backend.ic, backend)

    present, life = ask(work)
    record(present, [*_status_rows(present), *life.rows()], "Reserve", **life.fields())


@reserve.command("top-up")
@click.argument("amount", type=CYCLES)
@signed_backend_options
@output_options
@needs_role(Role.STAFF)
def top_up(amount: int, backend: Principal, network: Network, identity: Identity) -> None:
    """Add AMOUNT cycles to the reserve of a backend on a test network.

    Test networks create the cycles. On mainnet you pay them: send them from your cycles ledger with
    'icp canister top-up', or from a cycles wallet with deposit_cycles. They are available as soon as they arrive.
    """
    from canister_factory.cli.backend_check import CheckedBackend, require_backend
    from canister_factory.factory.deployment import fund

    if amount == 0:
        raise InputError("AMOUNT is 0: there is nothing to add")
    if network.is_mainnet:
        raise CommandError(
            "on mainnet you pay the cycles: send them for example with "
            f"'icp canister top-up {backend} --amount {amount} -n ic', or with deposit_cycles of a cycles wallet. "
            "They are available as soon as they arrive"
        )

    async def work(agent: Agent) -> ReserveStatus:
        await require_backend(agent, backend)
        client = CheckedBackend(agent, backend)
        await client.get_reserve_status()  # refused to those without the role, before anything is added
        await fund(agent, backend, amount)
        with done_already(f"The {quantities.cycles(amount)} cycles were added"):
            return await client.get_reserve_status()

    after = run_with_agent(identity, network, work)
    done(
        f"Added {quantities.cycles(amount)} cycles. The reserve has {quantities.cycles(after.available)} available: "
        f"{after.alert_level}.",
        added=amount,
        available=after.available,
        alert_level=after.alert_level,
    )


@reserve.command()
@click.option("--threshold", type=CYCLES, help="The backend warns its admins when less is available.")
@click.option("--operating-minimum", type=CYCLES, help="Cycles kept for the backend itself.")
@click.option(
    "--funded-days",
    type=click.IntRange(0),
    metavar="DAYS",
    help="How long a new canister takes updates on what it gets, before its freezing threshold.",
)
@click.option(
    "--per-day", "cycles_per_day", type=CYCLES, help="Cycles that creations may take and hold within 24 hours."
)
@click.option(
    "--from-network",
    is_flag=True,
    help="Set the prices that follow from what canisters burn here: the backend, which you must control, and personal "
    "canisters whose status you may see.",
)
@click.option("--dearest-prices", is_flag=True, help="Set the dearest prices known, which fit any network.")
@click.option(
    "--prices",
    "prices_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Set the prices in FILE: JSON, as 'reserve settings --json' shows them under 'prices'.",
)
@backend_command(Role.ADMIN)
def settings(
    ask: Ask, from_network: bool, dearest_prices: bool, prices_file: Path | None, **changes: int | None
) -> None:
    """Show the settings of the reserve, or change those that are given.

    A creation takes what its canister costs to be created and filled, and what it burns in --funded-days and its
    freezing threshold, by the prices that are set. Prices of another network are refused.
    """
    if from_network + dearest_prices + (prices_file is not None) > 1:
        raise InputError("give one of --from-network, --dearest-prices and --prices")
    given = {name: amount for name, amount in changes.items() if amount is not None}

    async def work(backend: CheckedBackend) -> Changed:
        from canister_factory.cli.reserve_prices import chosen_prices, set_settings
        from canister_factory.factory.funding import check_prices, need

        prices = await chosen_prices(backend, from_network, dearest_prices, prices_file)
        before = (await backend.get_reserve_status()).settings
        if set(given) == {"threshold"} and prices is None:
            await backend.set_reserve_threshold(given["threshold"])  # leaves what another admin changes meanwhile
        elif given or prices is not None:
            after = before.model_copy(update={**given, **({} if prices is None else {"prices": prices.table})})
            check_prices(after.prices, backend.ic.root_key)
            await set_settings(backend, before, after)
        present = await backend.get_reserve_status()
        empty = need(present.settings, await backend.get_personal_canister_settings(), 0).total
        return before, prices, present, empty

    _show_settings(*ask(work))


def _show_settings(
    before: ReserveSettings, prices: Prices | None, present: ReserveStatus, needed_by_empty: int
) -> None:
    """Shows what is set; and, where prices were read from the network, what they were before and follow from."""
    from canister_factory.cli.reserve_prices import price_rows, reading_fields

    after = present.settings
    if prices is None or not prices.readings:
        record(after, _settings_rows(after), "Reserve settings")
    elif shared.current().json:
        fields = after.model_dump(mode="json")
        fields["prices_before"] = before.prices.model_dump(mode="json")
        output.json_object({**fields, "computed_from": reading_fields(prices.readings)})
    else:
        output.table("Reserve settings", _settings_rows(after))
        old_and_new = [
            (name, old, new)
            for (name, old), (_, new) in zip(price_rows(before.prices), price_rows(after.prices), strict=True)
        ]
        output.table("Prices", old_and_new, ("", "before", "now"))
        output.table(
            "Computed from",
            [
                (reading.canister_id, quantities.size(reading.size), quantities.cycles(reading.burned_per_day))
                for reading in prices.readings
            ],
            ("canister", "memory", "burned a day"),
        )
    _note_shortage(present, needed_by_empty)


def _note_shortage(present: ReserveStatus, needed_by_empty: int) -> None:
    """Says what the settings mean for the cycles that are available."""
    available = f"{quantities.cycles(present.available)} cycles are available"
    if present.available < needed_by_empty:
        needed = quantities.cycles(needed_by_empty)
        output.note(f"note: no creation is possible now: an empty capsule needs {needed} cycles, {available}")
    elif present.available < present.settings.threshold:
        output.note(f"note: the reserve is below its threshold ({present.alert_level}): {available}")


@reserve.command()
@click.option("--window", "window_ns", type=DURATION, help="Time to look back, such as 30m, 24h or 7d.  [default: 24h]")
@backend_command(Role.STAFF)
def report(window_ns: int | None, ask: Ask) -> None:
    """Show the recent consumption of creations, and a recommendation for the reserve."""
    recent = ask(lambda backend: backend.get_consumption_report(window_ns))
    record(
        recent,
        [
            ("window", duration(recent.window_ns)),
            ("creations", f"{recent.creations_in_window:,}"),
            ("consumed", quantities.cycles(recent.consumed_in_window)),
            ("available", f"{quantities.cycles(recent.reserve.available)}, {recent.reserve.alert_level}"),
            ("recommendation", quoted(recent.recommendation)),
        ],
        "Consumption",
    )


reserve.add_command(
    history_command(
        "consumption",
        "List the cycles of each attempt, newest first.",
        lambda backend, request: backend.list_consumption(request),
        {
            "owner": lambda entry: output.ident(entry.owner),
            "canister": lambda entry: entry.canister_id or "-",
            "attached": lambda entry: quantities.cycles(entry.attached),
            "refunded": lambda entry: quantities.cycles(entry.refunded),
        },
        "no consumption on record",
    )
)


def _status_rows(present: ReserveStatus) -> list[tuple[str, object]]:
    return [
        ("level", present.alert_level),
        ("available", quantities.cycles(present.available)),
        ("balance", quantities.cycles(present.balance)),
        ("creations in progress", quantities.cycles(present.in_flight)),
        *_settings_rows(present.settings),
        ("consumed in 24 hours", quantities.cycles(present.spent_in_day)),
        ("consumed so far", quantities.cycles(present.total_consumed)),
        ("topped up, at least", quantities.cycles(present.total_topped_up)),
        ("recommended top-up", quantities.cycles(present.recommended_top_up) if present.recommended_top_up else "none"),
    ]


def _settings_rows(settings: ReserveSettings) -> list[tuple[str, object]]:
    from canister_factory.cli.reserve_prices import price_rows

    return [
        ("threshold", quantities.cycles(settings.threshold)),
        ("operating minimum", quantities.cycles(settings.operating_minimum)),
        ("creations, per day", quantities.cycles(settings.cycles_per_day)),
        ("funded days", f"{settings.funded_days:,}"),
        *price_rows(settings.prices),
    ]
