"""`reserve …`: the cycles that a backend creates canisters with.

Owns these commands. Does not own: the books, which the backend keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.amounts import CYCLES, DURATION
from canister_factory.cli.backend import Ask, backend_command, follow, limit_option, needs_role
from canister_factory.cli.backend_check import CheckedBackend, require_backend
from canister_factory.cli.errors import CommandError, InputError, done_already
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import backend_option, network_options, output_options, run_with_agent
from canister_factory.cli.results import done, duration, listing, moment, record
from canister_factory.cli.roles import Role
from canister_factory.contract.admin_models import NumberedPageRequest, ReserveSettings, ReserveStatus
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.deployment import fund
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.group(cls=CommandGroup)
def reserve() -> None:
    """The cycles that personal canisters are created with.

    Available is the backend's balance, less its operating minimum, less what creations in progress may still need.
    Amounts are written as 5T, 500B or 1_000_000.

    \b
    Example:
      export CANISTER_FACTORY_BACKEND=lxzze-o7777-77777-aaaaa-cai CANISTER_FACTORY_IDENTITY=admin.pem
      canister-factory reserve status
      canister-factory reserve top-up 5T
    """


@reserve.command("status")
@backend_command(Role.STAFF)
def status(ask: Ask) -> None:
    """Show what is available, and how much to add if that is little."""
    found = ask(lambda backend: backend.get_reserve_status())
    record(found, _status_rows(found), "Reserve")


@reserve.command("top-up")
@click.argument("amount", type=CYCLES)
@backend_option
@network_options
@signing_identity_option
@output_options
@needs_role(Role.STAFF)
def top_up(amount: int, backend: Principal, network: Network, identity: Identity) -> None:
    """Add AMOUNT cycles to the backend, out of nothing: on test networks.

    Elsewhere cycles are your own, and are sent by whatever holds them: a cycles ledger or wallet, with
    'icp canister top-up' or the management canister's deposit_cycles. They count as soon as they arrive.
    """
    if amount == 0:
        raise InputError("AMOUNT is 0: there is nothing to add")
    if network.is_mainnet:
        raise CommandError(
            "on mainnet cycles aren't made out of nothing: send your own, for example with "
            f"'icp canister top-up {backend} --amount {amount} -n ic', or with deposit_cycles of a cycles wallet; they "
            "count as soon as they arrive"
        )

    async def work(agent: Agent) -> ReserveStatus:
        await require_backend(agent, backend)
        client = CheckedBackend(agent, backend)
        await client.get_reserve_status()  # refused to those without the role, before anything is added
        await fund(agent, backend, amount)
        with done_already(f"The {output.cycles(amount)} cycles were added"):
            return await client.get_reserve_status()

    after = run_with_agent(identity, network, work)
    done(
        f"Added {output.cycles(amount)} cycles; {output.cycles(after.available)} are available, {after.alert_level}.",
        added=amount,
        available=after.available,
        alert_level=after.alert_level,
    )


@reserve.command("set-threshold")
@click.argument("amount", type=CYCLES)
@backend_command(Role.ADMIN)
def set_threshold(amount: int, ask: Ask) -> None:
    """Warn the admins when less than AMOUNT is available."""

    async def work(backend: BackendClient) -> ReserveStatus:
        await backend.set_reserve_threshold(amount)
        return await backend.get_reserve_status()

    after = ask(work)
    done(
        f"Admins are warned below {output.cycles(amount)} cycles; {output.cycles(after.available)} are available now: "
        f"{after.alert_level}.",
        threshold=amount,
        available=after.available,
        alert_level=after.alert_level,
    )


@reserve.command()
@click.option("--threshold", type=CYCLES, help="Admins are warned when less is available.")
@click.option("--operating-minimum", type=CYCLES, help="Kept for the backend itself.")
@click.option("--creation-base", "creation_base_cycles", type=CYCLES, help="For a creation, whatever its size.")
@click.option("--creation-per-byte", "creation_cycles_per_byte", type=CYCLES, help="On top, for each byte.")
@backend_command(Role.ADMIN)
def settings(ask: Ask, **changes: int | None) -> None:
    """Show the settings, or change those that are given."""
    given = {name: amount for name, amount in changes.items() if amount is not None}

    async def work(backend: BackendClient) -> ReserveStatus:
        if given:
            before = (await backend.get_reserve_status()).settings
            await backend.set_reserve_settings(before.model_copy(update=given))
        return await backend.get_reserve_status()

    present = ask(work)
    record(present.settings, _settings_rows(present.settings), "Reserve settings")
    if present.available < present.settings.creation_base_cycles:
        needs, there = output.cycles(present.settings.creation_base_cycles), output.cycles(present.available)
        output.note(f"note: no creation is possible now: that of an empty capsule needs {needs}; {there} are available")


@reserve.command()
@click.option("--window", "window_ns", type=DURATION, help="How far back, such as 30m, 24h or 7d.  [default: 24h]")
@backend_command(Role.STAFF)
def report(window_ns: int | None, ask: Ask) -> None:
    """Show what creations consumed lately, and what that means for the reserve."""
    found = ask(lambda backend: backend.get_consumption_report(window_ns))
    record(
        found,
        [
            ("window", duration(found.window_ns)),
            ("creations", f"{found.creations_in_window:,}"),
            ("consumed", output.cycles(found.consumed_in_window)),
            ("available", f"{output.cycles(found.reserve.available)}, {found.reserve.alert_level}"),
            ("recommendation", quoted(found.recommendation)),
        ],
        "Consumption",
    )


@reserve.command()
@limit_option
@backend_command(Role.STAFF)
def consumption(limit: int | None, ask: Ask) -> None:
    """List the cycles of each attempt, newest first. With --json one object a line."""

    async def show(backend: BackendClient) -> None:
        await listing(
            follow(
                lambda after, count: backend.list_consumption(NumberedPageRequest(after=after, limit=count)),
                limit,
            ),
            ("id", "when", "owner", "canister", "attached", "refunded"),
            lambda entry: (
                entry.id,
                moment(entry.at),
                output.ident(entry.owner),
                entry.canister_id or "-",
                output.cycles(entry.attached),
                output.cycles(entry.refunded),
            ),
            "no consumption on record",
        )

    ask(show)


def _status_rows(found: ReserveStatus) -> list[tuple[str, object]]:
    return [
        ("level", found.alert_level),
        ("available", output.cycles(found.available)),
        ("balance", output.cycles(found.balance)),
        ("creations in progress", output.cycles(found.in_flight)),
        *_settings_rows(found.settings),
        ("consumed so far", output.cycles(found.total_consumed)),
        ("topped up, at least", output.cycles(found.total_topped_up)),
        ("recommended top-up", output.cycles(found.recommended_top_up) if found.recommended_top_up else "none"),
    ]


def _settings_rows(present: ReserveSettings) -> list[tuple[str, object]]:
    return [
        ("threshold", output.cycles(present.threshold)),
        ("operating minimum", output.cycles(present.operating_minimum)),
        ("creation, base", output.cycles(present.creation_base_cycles)),
        ("creation, per byte", output.cycles(present.creation_cycles_per_byte)),
    ]
