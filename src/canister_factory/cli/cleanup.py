"""`cleanup OWNER`: deletes what a failed creation left behind, so that its owner may ask again.

Owns the order: the canister first, the record of it last. Does not own: deleting (`factory.personal_canister`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities
from canister_factory.cli.backend import signed_backend_options
from canister_factory.cli.errors import CommandError, done_already
from canister_factory.cli.identity_source import IdentitySource
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.parameter_types import IDENTITY_FILE, PRINCIPAL
from canister_factory.cli.results import confirm, done
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.clients import BackendClient
    from canister_factory.contract.creation_models import DetailedCreationStatus
    from canister_factory.factory.personal_canister import PersonalCanister
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
    of the canister go back to the reserve, but for what it takes to get them. The capsule on the backend is not
    touched. If the command is interrupted, run it again.

    It deletes canisters that the creation has lost, too: those to which something was done that no creation does. These
    it deletes also while the creation goes on with another canister, which it leaves alone then.

    Two identities are needed: that of the operator who ran the creation and still controls the canister (--identity),
    and that of an admin (--admin-identity). They may be the same. If the operator's key is lost, only the owner can
    delete the canister; 'admin clear OWNER' then forgets the creation, so that OWNER can ask again.

    A 'retry' by the owner is usually better, because it continues with what the creation already has.

    \b
    Example:
      canister-factory cleanup $OWNER --identity operator.pem \\
        --admin-identity admin.pem
    """
    admin = identity if admin_file is None else IdentitySource(admin_file).load()

    async def work(agent: Agent) -> _Cleaned:
        from canister_factory.cli.backend_check import CheckedBackend
        from canister_factory.ic.agent import Agent

        async with Agent(admin, network) as admin_agent:
            as_admin = CheckedBackend(admin_agent, backend)
            await as_admin.make_sure()
            return await _clean_up(agent, as_admin, admin.sender(), owner, yes)

    cleaned = run_with_agent(identity, network, work)
    told = [f"Canister {canister} is deleted." for canister in (cleaned.canister_id, *cleaned.lost) if canister]
    if cleaned.cleared:
        told.insert(0, f"The creation of {output.ident(owner)} is forgotten.")
    if cleaned.returned:
        told.append(f"{quantities.cycles(cleaned.returned)} cycles went back to the reserve.")
    done(
        " ".join(told if cleaned.canister_id or cleaned.lost else [*told, "It had no canister."]),
        owner=owner,
        canister_id=cleaned.canister_id,
        deleted=cleaned.deleted,
        lost_canisters=cleaned.lost,
        cleared=cleaned.cleared,
        cycles_returned=cleaned.returned,
    )


@dataclass(frozen=True)
class _Cleaned:
    """The canister that the creation had, whether it was deleted now, the lost ones that are gone, whether the creation
    is forgotten, and the cycles that went back."""

    canister_id: Principal | None
    deleted: bool
    lost: list[Principal]
    cleared: bool
    returned: int


async def _clean_up(agent: Agent, as_admin: BackendClient, admin: Principal, owner: Principal, yes: bool) -> _Cleaned:
    creation = await _creation_to_clean(as_admin, admin, owner)
    canister_id = creation.canister_id if _has_failed(creation) else None
    doomed = [str(canister) for canister in (canister_id, *creation.lost_canisters) if canister]
    what = f"Delete the canister{'s' if len(doomed) > 1 else ''} {', '.join(doomed)}" if doomed else ""
    forget = f"{' and forget' if what else 'Forget'} the failed creation" if _has_failed(creation) else ""
    confirm(f"{what}{forget} of {output.ident(owner)}?", yes)
    # The owner may have retried while the question was open: then the canister is in use.
    now = await _creation_to_clean(as_admin, admin, owner)
    if (now.status, now.canister_id) != (creation.status, creation.canister_id):
        raise CommandError(f"the creation of {output.ident(owner)} has changed meanwhile; nothing was deleted")
    interrupts.if_interrupted("the same command continues the clean-up")
    cleaner = _Cleaner(agent, as_admin.canister_id, owner)
    lost = [canister for canister in creation.lost_canisters if await cleaner.discard(canister)]
    if not _has_failed(creation):
        return _Cleaned(None, False, lost, False, cleaner.returned)
    deleted = canister_id is not None and await cleaner.delete(canister_id)
    with done_already(f"The canister {canister_id} is deleted already" if deleted else ""):
        await as_admin.clear_creation_state(owner)
    return _Cleaned(canister_id, deleted, lost, True, cleaner.returned)


def _has_failed(creation: DetailedCreationStatus) -> bool:
    from canister_factory.contract.creation_models import CreationStatus

    return creation.status == CreationStatus.Failed


async def _creation_to_clean(as_admin: BackendClient, admin: Principal, owner: Principal) -> DetailedCreationStatus:
    """A creation that has failed, or has lost canisters.

    Raises:
        CommandError: there is no creation, or it has left nothing to clean up.
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
    if not _has_failed(creation) and not creation.lost_canisters:
        raise CommandError(
            f"the creation of {owner} is {creation.status}. Only a failed creation can be cleaned up; "
            + (
                "its canister is its owner's"
                if creation.status in (CreationStatus.Completed, CreationStatus.Undone)
                else "'canister-factory status' shows its progress"
            )
        )
    return creation


class _Cleaner:
    """Deletes an owner's canisters; `returned` counts the cycles that went back to the backend meanwhile."""

    def __init__(self, agent: Agent, backend_id: Principal, owner: Principal) -> None:
        self._agent = agent
        self._backend_id = backend_id
        self._owner = owner
        self.returned = 0

    async def delete(self, canister_id: Principal) -> bool:
        """Whether there was something to delete: an earlier run may have done it.

        Raises:
            CommandError: the operator can't delete it, since others control it.
        """
        from canister_factory.factory.errors import CreateError
        from canister_factory.ic.errors import CanisterNotFoundError

        try:
            self._note(canister_id, await self._canister(canister_id).clean_up(self._backend_id))
        except CanisterNotFoundError:
            output.note(f"canister {canister_id} was deleted before")
            return False
        except CreateError as error:
            raise CommandError(
                f"{error.message}. Nothing was deleted. Another operator's canister is cleaned up with its identity, "
                f"and what the owner alone controls by the owner. 'admin clear {self._owner}' forgets the creation all "
                "the same, so that its owner can ask for another canister",
                canister_id=canister_id,
            ) from error
        return True

    async def discard(self, canister_id: Principal) -> bool:
        """Deletes a canister that can't become its owner's; whether it is gone.

        Somebody else may have taken it: then there is nothing that an operator could do.
        """
        from canister_factory.factory.errors import CreateError
        from canister_factory.ic.errors import CanisterNotFoundError

        try:
            self._note(canister_id, await self._canister(canister_id).discard(self._backend_id))
        except CanisterNotFoundError:
            output.note(f"canister {canister_id} was deleted before")
        except CreateError as error:
            output.note(f"{error.message}; it stays")
            return False
        return True

    def _canister(self, canister_id: Principal) -> PersonalCanister:
        from canister_factory.factory.config import FactoryConfig
        from canister_factory.factory.personal_canister import PersonalCanister
        from canister_factory.factory.retry import Retry

        return PersonalCanister(self._agent, canister_id, self._owner, Retry(FactoryConfig()))

    def _note(self, canister_id: Principal, returned: int) -> None:
        from canister_factory.cli.progress import step

        self.returned += returned
        step(f"deleted canister {canister_id}; {quantities.cycles(returned)} cycles went back to the reserve")
