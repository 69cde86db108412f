"""`status` and `list`: how far creations are, as owner, operator or admin.

Owns what is asked and shown. Does not own: what the states mean (the contract).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, quantities, settings
from canister_factory.cli.backend import (
    Ask,
    backend_command,
    limit_option,
    needs_role,
    show_list,
    signed_backend_options,
)
from canister_factory.cli.errors import CommandError
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.parameters import Choice
from canister_factory.cli.results import moment
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.present_canister import PresentCanister
    from canister_factory.contract.clients import BackendClient
    from canister_factory.contract.creation_models import CreationPage, DetailedCreationStatus
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

STATUSES = (
    "NotStarted",
    "Exporting",
    "Creating",
    "Installing",
    "Importing",
    "Verifying",
    "Completed",
    "Failed",
    "Undone",
)
"""The names of `CreationStatus`, which the help of `list` shows without importing the contract."""


@click.command()
@click.argument("owner", type=PRINCIPAL, required=False)
@signed_backend_options
@output_options
@needs_role(Role.STAFF)
def status(owner: Principal | None, backend: Principal, network: Network, identity: Identity) -> None:
    """Show the progress of a creation.

    Without OWNER the command shows the creation of the caller. Admins and operators can give any OWNER.
    """
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.cli.present_canister import look_at

    async def work(agent: Agent) -> PresentCanister:
        client = CheckedBackend(agent, backend)
        shown = owner or identity.sender()
        as_owner = shown == identity.sender()
        creation = await (client.get_detailed_creation_status() if as_owner else client.get_user_creation_status(shown))
        if creation is None:
            raise CommandError(f"{output.ident(shown)} has not asked for a personal canister on {backend}")
        return await look_at(agent, creation)

    _show(run_with_agent(identity, network, work))


def _show(present: PresentCanister) -> None:
    from canister_factory.cli.present_canister import SHOWN_CHARACTERS
    from canister_factory.contract.creation_models import CreationStatus

    creation = present.creation
    if settings.current().json:
        fields = creation.model_dump(mode="json")
        if creation.status == CreationStatus.Completed:
            fields["progress_message"] = present.message
        output.json_object({**fields, "canister": present.presence})
        return
    progress = creation.progress
    canister = f"{creation.canister_id} ({present.presence})" if creation.canister_id else str(present.presence)
    output.table(
        "Creation",
        [
            ("owner", output.ident(creation.owner)),
            ("status", creation.status),
            ("canister", canister),
            *[("lost canister", lost) for lost in creation.lost_canisters],
            ("message", quoted(present.message, SHOWN_CHARACTERS)),
            ("progress", f"{quantities.size(progress.bytes_done)} of {quantities.size(progress.bytes_total)}"),
            ("items", f"{progress.items_done} of {progress.items_total}"),
            *_old_side(creation),
            ("attempts", creation.attempts),
            ("cycles consumed", quantities.cycles(creation.cycles_consumed)),
            ("paid until", _paid_until(creation)),
            ("retry helps", creation.error.retry_helps if creation.error else "-"),
        ],
    )


def _old_side(creation: DetailedCreationStatus) -> list[tuple[str, object]]:
    """What becomes of the copy on the backend."""
    rows: list[tuple[str, object]] = []
    if creation.undone_at is not None:
        rows.append(("undone", moment(creation.undone_at)))
    if creation.move_back_until is not None:
        rows.append(("moving back", f"the backend takes the owner's writes until {moment(creation.move_back_until)}"))
    if (erasure := creation.erasure) is not None:
        when = erasure.erased_at or erasure.started_at or erasure.due_at
        held = f"; held up: {quoted(erasure.message)}" if erasure.message else ""
        rows.append(("copy on the backend", f"{erasure.stage}, {moment(when)}{held}"))
    return rows


def _paid_until(creation: DetailedCreationStatus) -> str:
    """The date, with a warning when it is near."""
    date, days = moment(creation.paid_until), creation.expires_within_days
    return date if days is None else f"{date}, in less than {days} days: top it up with 'canister-factory owner top-up'"


@click.command("list")
@click.option(
    "--status",
    "wanted",
    metavar="STATUS",
    type=Choice(STATUSES),
    help=f"List the creations with this status only: {', '.join(STATUSES)}.",
)
@limit_option
@backend_command(Role.STAFF)
def list_creations(wanted: str | None, limit: int | None, ask: Ask) -> None:
    """List the creations of all owners.

    The caller must be an admin or an operator. With --json each line is an object.
    """
    from canister_factory.contract.creation_models import CreationStatus, OwnerPageRequest

    def page(backend: BackendClient, after: Principal | None, count: int) -> Awaitable[CreationPage]:
        request = OwnerPageRequest(after=after, limit=count)
        if wanted is None:
            return backend.list_all_creation_states(request)
        return backend.get_creation_states_by_status(CreationStatus(wanted), request)

    show_list(
        ask,
        page,
        limit,
        {
            "owner": lambda creation: output.ident(creation.owner),
            "status": lambda creation: creation.status,
            "canister": lambda creation: creation.canister_id or "-",
            "cycles consumed": lambda creation: quantities.cycles(creation.cycles_consumed),
        },
        "no creations" if wanted is None else f"no creations with the status {wanted}",
    )
