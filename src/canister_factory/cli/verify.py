"""`verify OWNER`: compares a personal canister, as the network certifies it, with the records of its backend.

Owns the command. Does not own: the checks (`verify_checks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory.cli import output
from canister_factory.cli.backend import needs_role, signed_backend_options
from canister_factory.cli.errors import FAILED, CommandError
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.results import Check, show_checks
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("owner", type=PRINCIPAL)
@signed_backend_options
@output_options
@needs_role(Role.STAFF)
def verify(owner: Principal, backend: Principal, network: Network, identity: Identity) -> None:
    """Check a personal canister against the backend's records.

    The command compares what the network certifies of OWNER's canister with what the backend recorded of its creation.
    The exit code is 1 when something differs.

    The owner can check everything. Admins and operators can check everything but the manifest, which the canister
    shows to its owner only.

    \b
    Example:
      canister-factory verify $OWNER --backend $BACKEND --identity owner.pem
    """

    async def work(agent: Agent) -> tuple[Principal, list[Check]]:
        from canister_factory.cli.backend_check import CheckedBackend
        from canister_factory.cli.verify_checks import check_canister

        client = CheckedBackend(agent, backend)
        as_owner = owner == identity.sender()
        creation = await (client.get_detailed_creation_status() if as_owner else client.get_user_creation_status(owner))
        if creation is None or creation.canister_id is None:
            reason = "not asked for a personal canister" if creation is None else "no personal canister yet"
            raise CommandError(f"{output.ident(owner)} has {reason} on {backend}")
        checks = [check async for check in check_canister(agent, client, creation, creation.canister_id)]
        return creation.canister_id, checks

    canister_id, checks = run_with_agent(identity, network, work)
    title = f"Personal canister {canister_id} of {output.ident(owner)}"
    if not show_checks(title, checks, owner=owner, canister_id=canister_id):
        click.get_current_context().exit(FAILED)
