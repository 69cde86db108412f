"""`admin audit|errors|error-rate|notifications|ack|registry`: what a backend has on record.

Owns these commands. Does not own: what is recorded and for how long (the backend).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, quantities
from canister_factory.cli.amounts import DURATION
from canister_factory.cli.backend import Ask, backend_command, history_command, limit_option, show_list
from canister_factory.cli.errors import CommandError
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.results import done, duration, moment, record
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal


audit = history_command(
    "audit",
    "List what admins changed, newest first.",
    lambda backend, request: backend.list_audit_log(request),
    {
        "admin": lambda act: output.ident(act.by),
        "method": lambda act: quoted(act.method, 60),
        "what": lambda act: quoted(act.what),
    },
    "no admin has changed anything",
)

errors = history_command(
    "errors",
    "List failures, newest first.",
    lambda backend, request: backend.list_errors(request),
    {
        "owner": lambda entry: output.ident(entry.owner) if entry.owner else "-",
        "kind": lambda entry: entry.error.kind,
        "stage": lambda entry: entry.error.stage or "-",
        "message": lambda entry: quoted(entry.error.message),
    },
    "no errors on record",
)


@click.command("error-rate")
@click.option("--window", "window_ns", type=DURATION, help="Time to look back, such as 30m, 24h or 7d.  [default: 24h]")
@backend_command(Role.STAFF)
def error_rate(window_ns: int | None, ask: Ask) -> None:
    """Show the share of recent attempts that failed."""
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


notifications = history_command(
    "notifications",
    "List the notifications for admins, newest first.",
    lambda backend, request: backend.list_notifications(request),
    {
        "kind": lambda notice: notice.kind,
        "message": lambda notice: quoted(notice.message),
        "acknowledged by": lambda notice: output.ident(notice.acknowledged_by) if notice.acknowledged_by else "-",
    },
    "no notifications",
)


@click.command("ack")
@click.argument("notification", type=click.IntRange(min=0), metavar="ID")
@backend_command(Role.ADMIN)
def acknowledge(notification: int, ask: Ask) -> None:
    """Mark the notification ID as seen."""
    ask(lambda backend: backend.acknowledge_notification(notification))
    done(f"Notification {notification} is acknowledged.", id=notification, acknowledged=True)


@click.command()
@click.argument("canister", type=PRINCIPAL, required=False)
@limit_option
@backend_command(Role.STAFF)
def registry(canister: Principal | None, limit: int | None, ask: Ask) -> None:
    """List all personal canisters that the backend has created.

    With CANISTER the command shows the entry of that canister.
    """
    from canister_factory.contract.creation_models import OwnerPageRequest

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
                ("cycles consumed", quantities.cycles(entry.cycles_consumed)),
                ("paid until", moment(entry.paid_until)),
                ("found deleted", moment(entry.found_deleted_at)),
            ],
        )
        return

    show_list(
        ask,
        lambda backend, after, count: backend.list_registry(OwnerPageRequest(after=after, limit=count)),
        limit,
        {
            "canister": lambda entry: entry.canister_id,
            "owner": lambda entry: output.ident(entry.created_by),
            "created": lambda entry: moment(entry.created_at),
            "status": lambda entry: f"{entry.status}, deleted" if entry.found_deleted_at else entry.status,
            "cycles consumed": lambda entry: quantities.cycles(entry.cycles_consumed),
        },
        "no personal canisters yet",
    )
