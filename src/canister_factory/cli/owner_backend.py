"""`owner backend`: tells an owner's canister that its backend has another id now.

Owns the command and its words. Does not own: what may be told (`owner.new_backend`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli.backend import needs_role
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import network_options, output_options, run_with_agent
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.results import announced, done
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network
    from canister_factory.owner.new_backend import Telling


@click.command("backend")
@click.argument("backend", type=PRINCIPAL, metavar="NEW_ID")
@click.option(
    "--canister", type=PRINCIPAL, help="Your personal canister.  [default: the one that NEW_ID has on record for you]"
)
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@network_options
@signing_identity_option
@output_options
@needs_role(Role.OWNER)
def set_backend(
    backend: Principal, canister: Principal | None, yes: bool, network: Network, identity: Identity
) -> None:
    """Tell your canister that its backend has the id NEW_ID now.

    A backend that was lost is restored from a backup, mostly into another canister. Yours answers the former one alone
    until you say so: then 'owner undo', 'owner move-back' and 'owner erase' work again, and a creation that the backup
    has as unfinished can be completed. Where you let the backend see your canister's status, you let it do so by the
    new id.

    NEW_ID must have your canister on record. Ask the operators whether the id is theirs.

    \b
    Example:
      canister-factory owner backend $NEW_BACKEND --identity owner.pem
    """

    async def work(agent: Agent) -> Telling:
        from canister_factory.cli.backend_check import require_backend
        from canister_factory.owner.new_backend import NewBackend

        await require_backend(agent, backend)
        new = NewBackend(agent, backend)
        telling = await new.look(canister)
        if not telling.is_told:
            announced(_deed(telling), yes)
            interrupts.if_interrupted("the same command goes on")
            await new.tell(telling)
        return telling

    told = run_with_agent(identity, network, work)
    done(
        f"{told.canister_id} belongs with the backend {told.backend}"
        + (", as before." if told.is_told else f"{_also(told)}. Before that it was {told.before}."),
        canister_id=told.canister_id,
        backend_before=told.before,
        backend=told.backend,
        is_successor=told.is_successor,
        status_viewers=told.viewers,
    )


def _deed(telling: Telling) -> str:
    if telling.before == telling.backend:
        return f"Let the backend {telling.backend} see the status of {telling.canister_id}, which its former id may"
    doubt = ""
    if not telling.is_successor:
        doubt = f" (which doesn't say that it ever was {telling.before}: ask its operators)"
    return (
        f"Let {telling.canister_id} belong with the backend {telling.backend}{doubt} in the place of {telling.before}"
        + _also(telling)
    )


def _also(telling: Telling) -> str:
    return "" if telling.viewers is None else ", which may see its status"
