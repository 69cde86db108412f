"""`admin errors|error-rate|notifications|ack|registry`: what a backend has on record.

Owns these commands. Does not own: what is recorded and for how long (the backend).
"""

from __future__ import annotations

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.amounts import DURATION
from canister_factory.cli.backend import Ask, backend_command, follow, limit_option
from canister_factory.cli.errors import CommandError
from canister_factory.cli.options import PRINCIPAL
from canister_factory.cli.results import done, duration, listing, moment, record
from canister_factory.cli.roles import Role
from canister_factory.contract.admin_models import NumberedPageRequest
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import OwnerPageRequest
from canister_factory.ic.foreign_text import quoted


@click.command()
@limit_option
@backend_command(Role.STAFF)
def errors(limit: int | None, ask: Ask) -> None:
    """List failures, newest first. With --json one object a line."""

    async def show(backend: BackendClient) -> None:
        await listing(
            follow(
                lambda after, count: backend.list_errors(NumberedPageRequest(after=after, limit=count)),
                limit,
            ),
            ("id", "when", "owner", "kind", "stage", "message"),
            lambda entry: (
                entry.id,
                moment(entry.at),
                output.ident(entry.owner) if entry.owner else "-",
                entry.error.kind,
                entry.error.stage or "-",
                quoted(entry.error.message),
            ),
            "no errors on record",
        )

    ask(show)


@click.command("error-rate")
@click.option("--window", "window_ns", type=DURATION, help="How far back, such as 30m, 24h or 7d.  [default: 24h]")
@backend_command(Role.STAFF)
def error_rate(window_ns: int | None, ask: Ask) -> None:
    """Show how many of the latest attempts failed."""
    rate = ask(lambda backend: backend.get_error_rate(window_ns))
    share = f"{rate.failures / rate.attempts:.1%}" if rate.attempts else "-"
    record(
        rate,
        [
            ("window", duration(rate.window_ns)),
            ("attempts", f"{rate.attempts:,}"),
            ("failures", f"{rate.failures:,}"),
            ("rate", share),
        ],
    )


@click.command()
@limit_option
@backend_command(Role.STAFF)
def notifications(limit: int | None, ask: Ask) -> None:
    """List what the backend notified its admins of, newest first. With --json one object a line."""

    async def show(backend: BackendClient) -> None:
        await listing(
            follow(
                lambda after, count: backend.list_notifications(NumberedPageRequest(after=after, limit=count)),
                limit,
            ),
            ("id", "when", "kind", "message", "acknowledged by"),
            lambda notice: (
                notice.id,
                moment(notice.at),
                notice.kind,
                quoted(notice.message),
                output.ident(notice.acknowledged_by) if notice.acknowledged_by else "-",
            ),
            "no notifications",
        )

    ask(show)


@click.command("ack")
@click.argument("notification", type=click.IntRange(min=0), metavar="ID")
@backend_command(Role.ADMIN)
def acknowledge(notification: int, ask: Ask) -> None:
    """Mark notification ID as seen."""
    ask(lambda backend: backend.acknowledge_notification(notification))
    done(f"Notification {notification} is acknowledged.", id=notification, acknowledged=True)


@click.command()
@click.argument("canister", type=PRINCIPAL, required=False)
@limit_option
@backend_command(Role.STAFF)
def registry(canister: Principal | None, limit: int | None, ask: Ask) -> None:
    """List every personal canister that was ever created here, or show the entry of CANISTER."""
    if canister is not None:
        entry = ask(lambda backend: backend.get_registry_entry(canister))
        if entry is None:
            raise CommandError(f"the registry has no canister {canister}: it was not created by this backend")
        record(
            entry,
            [
                ("canister", entry.canister_id),
                ("owner", output.ident(entry.created_by)),
                ("created", moment(entry.created_at)),
                ("status", entry.status),
                ("cycles consumed", output.cycles(entry.cycles_consumed)),
            ],
        )
        return

    async def show(backend: BackendClient) -> None:
        await listing(
            follow(lambda after, count: backend.list_registry(OwnerPageRequest(after=after, limit=count)), limit),
            ("canister", "owner", "created", "status", "cycles consumed"),
            lambda entry: (
                entry.canister_id,
                output.ident(entry.created_by),
                moment(entry.created_at),
                entry.status,
                output.cycles(entry.cycles_consumed),
            ),
            "no personal canisters yet",
        )

    ask(show)
