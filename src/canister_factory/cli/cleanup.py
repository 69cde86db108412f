"""`cleanup OWNER`: deletes what a failed creation left behind, so that its owner may ask again.

Owns the order: the canister first, the record of it last. Does not own: deleting (`factory.personal_canister`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output
from canister_factory.cli.backend import signed_backend_options
from canister_factory.cli.errors import CommandError, done_already
from canister_factory.cli.options import load_identity, output_options, run_with_agent
from canister_factory.cli.parameter_types import IDENTITY_FILE, PRINCIPAL
from canister_factory.cli.results import confirm, done
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.clients import BackendClient
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("owner", type=PRINCIPAL)
@signed_backend_options
@click.option(
    "--admin-identity",
    "admin_file",
    type=IDENTITY_FILE,
    help="PEM file of an admin. Needed when the identity of --identity is no admin.",
)
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@output_options
def cleanup(
    owner: Principal,
    backend: Principal,
    network: Network,
    identity: Identity,
    admin_file: Path | None,
    yes: bool,
) -> None:
    """Delete what a failed creation left behind.

    The command deletes the canister of the creation and forgets the creation, so that OWNER can ask again. The cycles
    of the canister are lost. The capsule on the backend is not touched.

    Two identities are needed: that of the operator who ran the creation and still controls the canister (--identity),
    and that of an admin (--admin-identity). They may be the same.

    A 'retry' by the owner is usually better, because it continues with what the creation already has.

    \b
    Example:
      canister-factory cleanup $OWNER --identity operator.pem \\
        --admin-identity admin.pem
    """
    admin = identity if admin_file is None else load_identity(admin_file)

    async def work(agent: Agent) -> tuple[Principal | None, bool]:
        from canister_factory.cli.backend_check import CheckedBackend
        from canister_factory.ic.agent import Agent

        async with Agent(admin, network) as admin_agent:
            as_admin = CheckedBackend(admin_agent, backend)
            await as_admin.make_sure()
            return await _clean_up(agent, as_admin, admin.sender(), owner, yes)

    canister_id, deleted = run_with_agent(identity, network, work)
    done(
        f"The creation of {output.ident(owner)} is forgotten. "
        + (f"Canister {canister_id} is deleted." if canister_id else "It had no canister."),
        owner=owner,
        canister_id=canister_id,
        deleted=deleted,
        cleared=True,
    )


async def _clean_up(
    agent: Agent, as_admin: BackendClient, admin: Principal, owner: Principal, yes: bool
) -> tuple[Principal | None, bool]:
    """The canister that the creation had, and whether it was deleted now."""
    canister_id = await _failed_canister(as_admin, admin, owner)
    effect = f"Delete the canister {canister_id} and forget" if canister_id else "Forget"
    confirm(f"{effect} the failed creation of {output.ident(owner)}?", yes)
    # The owner may have retried while the question was open: then the canister is in use.
    if await _failed_canister(as_admin, admin, owner) != canister_id:
        raise CommandError(f"the creation of {output.ident(owner)} has changed meanwhile; nothing was deleted")
    interrupts.if_interrupted("the same command continues the clean-up")
    deleted = canister_id is not None and await _delete(agent, canister_id, owner)
    with done_already(f"The canister {canister_id} is deleted already" if deleted else ""):
        await as_admin.clear_creation_state(owner)
    return canister_id, deleted


async def _failed_canister(as_admin: BackendClient, admin: Principal, owner: Principal) -> Principal | None:
    """The canister of a failed creation; `None` when it has none.

    Raises:
        CommandError: there is no creation, or it has not failed.
        CreationRefused: the caller is no admin; so does `RejectedError`.
    """
    from canister_factory.cli.refusals import note_missing_role
    from canister_factory.contract.creation_models import CreationStatus
    from canister_factory.contract.errors import CreationRefused
    from canister_factory.ic.errors import RejectedError

    try:
        await as_admin.list_admins()  # refused to everybody else, before anything is deleted
    except (CreationRefused, RejectedError) as refusal:
        note_missing_role(refusal, Role.ADMIN, admin, as_admin.canister_id)
        raise
    creation = await as_admin.get_user_creation_status(owner)
    if creation is None:
        raise CommandError(f"{owner} has no creation on {as_admin.canister_id}: there is nothing to clean up")
    if creation.status != CreationStatus.Failed:
        raise CommandError(
            f"the creation of {owner} is {creation.status}. Only a failed creation can be cleaned up; "
            "'canister-factory status' shows its progress"
        )
    return creation.canister_id


async def _delete(agent: Agent, canister_id: Principal, owner: Principal) -> bool:
    """Whether there was something to delete: an earlier run may have done it."""
    from canister_factory.cli.progress import step
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.personal_canister import PersonalCanister
    from canister_factory.factory.retry import Retry
    from canister_factory.ic.errors import CanisterNotFoundError

    canister = PersonalCanister(agent, canister_id, owner, Retry(FactoryConfig()))
    try:
        await canister.clean_up()
    except CanisterNotFoundError:
        output.note(f"canister {canister_id} was deleted before")
        return False
    step(f"deleted canister {canister_id}")
    return True
