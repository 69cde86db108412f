"""`status` and `list`: how far creations are, as owner, operator or admin.

Owns what is asked and shown. Does not own: what the states mean (the contract).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.backend import Ask, backend_command, follow, limit_option, needs_role
from canister_factory.cli.backend_check import CheckedBackend
from canister_factory.cli.errors import CommandError
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import (
    PRINCIPAL,
    backend_option,
    network_options,
    output_options,
    run_with_agent,
)
from canister_factory.cli.parameters import Choice
from canister_factory.cli.present_canister import SHOWN_CHARACTERS, PresentCanister, look_at
from canister_factory.cli.results import listing
from canister_factory.cli.roles import Role
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CreationPage,
    CreationStatus,
    OwnerPageRequest,
)
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("owner", type=PRINCIPAL, required=False)
@backend_option
@network_options
@signing_identity_option
@output_options
@needs_role(Role.STAFF)
def status(owner: Principal | None, backend: Principal, network: Network, identity: Identity) -> None:
    """Show the caller's creation, or as an admin that of OWNER."""

    async def work(agent: Agent) -> PresentCanister:
        client = CheckedBackend(agent, backend)
        whose = owner or identity.sender()
        as_owner = whose == identity.sender()
        creation = await (client.get_detailed_creation_status() if as_owner else client.get_user_creation_status(whose))
        if creation is None:
            raise CommandError(f"{output.ident(whose)} has not asked for a personal canister on {backend}")
        return await look_at(agent, creation)

    present = run_with_agent(identity, network, work)
    creation = present.creation
    if output.settings.json:
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
            ("message", quoted(present.message, SHOWN_CHARACTERS)),
            ("progress", f"{output.size(progress.bytes_done)} of {output.size(progress.bytes_total)}"),
            ("items", f"{progress.items_done} of {progress.items_total}"),
            ("attempts", creation.attempts),
            ("cycles consumed", output.cycles(creation.cycles_consumed)),
            ("retry helps", creation.error.retry_helps if creation.error else "-"),
        ],
    )


@click.command("list")
@click.option("--status", "wanted", type=Choice([str(status) for status in CreationStatus]), help="Only these.")
@limit_option
@backend_command(Role.STAFF)
def list_creations(wanted: str | None, limit: int | None, ask: Ask) -> None:
    """List all creations, as an admin or operator. With --json one object a line."""

    async def show(backend: BackendClient) -> None:
        def page(after: Principal | None, count: int) -> Awaitable[CreationPage]:
            request = OwnerPageRequest(after=after, limit=count)
            if wanted is None:
                return backend.list_all_creation_states(request)
            return backend.get_creation_states_by_status(CreationStatus(wanted), request)

        await listing(
            follow(page, limit),
            ("owner", "status", "canister", "cycles consumed"),
            lambda creation: (
                output.ident(creation.owner),
                creation.status,
                creation.canister_id or "-",
                output.cycles(creation.cycles_consumed),
            ),
            "no creations" if wanted is None else f"no creations that are {wanted}",
        )

    ask(show)
