"""`request`, `retry` and `cancel`: an owner asks for a personal canister, asks again after a failure, or ends it.

Owns these commands. Does not own: the creation, which a worker runs (`worker`, `run`).
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.cli import output, settings
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.errors import CommandError
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.plan import plan_options, require_plan, show_plan
from canister_factory.cli.results import as_text, confirm, done, moment
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.amounts import CyclesPrice
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.cli.present_canister import PresentCanister
    from canister_factory.contract.creation_models import DetailedCreationStatus, PersonalCanisterCreationResponse

    Answer = tuple[PersonalCanisterCreationResponse, PresentCanister | None]

_IF_INTERRUPTED = "the request may have been made. 'status' shows it, and it is safe to repeat the command"


@click.command()
@click.option("--name", help="Name of the personal canister.")
@click.option(
    "--subnet", type=PRINCIPAL, help="Subnet to create the canister on.  [default: the subnet of the backend]"
)
@click.option(
    "--show-status-to-backend",
    "show_status",
    is_flag=True,
    help="Let the backend see the cycles, memory and settings of the canister also when it is yours, to tell its staff "
    "the balance, and you when cycles run out. You can change that at any time.",
)
@plan_options
@backend_command(Role.OWNER)
def request(
    name: str | None,
    subnet: Principal | None,
    show_status: bool,
    only_plan: bool,
    price: CyclesPrice | None,
    ask: Ask,
) -> None:
    """Ask for a personal canister, as its owner.

    A worker creates the canister afterwards. 'status' shows its progress. If you have asked before, the command shows
    that creation and changes nothing. --plan shows what would come of it, and does nothing.

    \b
    Example:
      canister-factory request --backend $BACKEND --identity owner.pem \\
        --name "My memories"
    """
    from canister_factory.contract.creation_models import CreatePersonalCanisterConfig

    asked = CreatePersonalCanisterConfig(name=name, subnet_id=subnet, show_status=show_status or None)
    config = None if asked == CreatePersonalCanisterConfig() else asked
    require_plan(only_plan, price)
    if only_plan:
        from canister_factory.factory.plan_refusals import Command

        show_plan(ask, lambda caller: caller, Command.REQUEST, price, asked=config)
        return

    async def work(backend: CheckedBackend) -> Answer:
        _require_usable(await _present(backend))
        interrupts.if_interrupted(_IF_INTERRUPTED)
        return await backend.create_personal_canister(config), await _present(backend)

    _show(ask(work))


@click.command()
@backend_command(Role.OWNER)
def retry(ask: Ask) -> None:
    """Retry a failed creation, as its owner.

    The creation continues with the canister and the data that it already has. A worker runs it. Only the owner can
    retry. Operators run open creations with 'run OWNER' or 'worker'.

    If the operator of the creation has lost its key and was removed, the command makes the operator that the backend
    names a controller of the canister in its place, also while the creation is in progress.
    """

    async def work(backend: CheckedBackend) -> Answer:
        present = await _present(backend)
        if present is None:
            raise CommandError("there is nothing to retry: you have not asked for a personal canister; use 'request'")
        _require_usable(present)
        if not _waits_for_its_owner(present):
            _require_failed(present.creation)
        interrupts.if_interrupted(_IF_INTERRUPTED)
        await _put_operator_in_place(backend, present)
        response, after = await backend.create_personal_canister(), await _present(backend)
        if after is not None and after.creation.operator != _operator(present.creation):
            await _put_operator_in_place(backend, after)  # the backend has named another one meanwhile
        return response, after

    _show(ask(work))


def _operator(creation: DetailedCreationStatus) -> Principal | None:
    """Who is to control the creation's canister beside the owner."""
    return creation.next_operator or creation.operator


def _waits_for_its_owner(present: PresentCanister) -> bool:
    """Whether nobody but the owner can let a creation in progress continue: its operator isn't one any more, or was
    replaced on record only.
    """
    from canister_factory.contract.creation_models import CreationStatus

    creation, controllers = present.creation, set(present.controllers)
    ended = (CreationStatus.Completed, CreationStatus.Failed, CreationStatus.Undone)
    if creation.status in ended or creation.operator is None:
        return False
    misses_operator = len(controllers) == 2 and creation.owner in controllers and creation.operator not in controllers
    return creation.next_operator is not None or misses_operator


async def _put_operator_in_place(backend: CheckedBackend, present: PresentCanister) -> None:
    """Lets the creation's operator control the canister beside the owner, where another one does."""
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.errors import CreateError
    from canister_factory.factory.operators import set_operator
    from canister_factory.factory.personal_canister import PersonalCanister
    from canister_factory.factory.retry import Retry

    creation, operator = present.creation, _operator(present.creation)
    if creation.canister_id is None or operator is None or operator in present.controllers:
        return
    await backend.make_sure()
    personal = PersonalCanister(backend.ic, creation.canister_id, creation.owner, Retry(FactoryConfig()))
    with suppress(CreateError):  # others control it: the creation finds that out, and says what follows
        if await set_operator(personal, operator):
            output.note(f"note: the operator {output.ident(operator)} controls canister {creation.canister_id} now")


def _require_failed(creation: DetailedCreationStatus) -> None:
    """Notes when a retry may not help.

    Raises:
        CommandError: the creation has not failed.
    """
    from canister_factory.contract.creation_models import CreationStatus

    if creation.status != CreationStatus.Failed:
        advice = {
            CreationStatus.Completed: "",
            CreationStatus.Undone: "; 'request' asks for another canister",
        }.get(creation.status, "; an operator continues it with 'run' or 'worker'")
        raise CommandError(f"there is nothing to retry: the creation is {creation.status}{advice}")
    if creation.error is not None and not creation.error.retry_helps:
        output.note(
            f"note: this may fail again until an admin has solved the problem: {quoted(creation.error.message)}"
        )


@click.command()
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@backend_command(Role.OWNER)
def cancel(yes: bool, ask: Ask) -> None:
    """Cancel the creation of your personal canister, as its owner.

    Nothing is lost: your capsule stays on the backend, and takes writes again. A canister that was created already is
    kept. 'retry' continues with it. While the canister is being handed over to you, a creation can't be cancelled.

    \b
    Example:
      canister-factory cancel --backend $BACKEND --identity owner.pem
    """
    creation = ask(lambda backend: backend.get_detailed_creation_status())
    if creation is None:
        raise CommandError("there is nothing to cancel: you have not asked for a personal canister; use 'request'")
    require_open(creation, "cancel", "'retry' continues it")
    confirm(f"Cancel the creation of your personal canister, which is {creation.status}?", yes)
    interrupts.if_interrupted("the creation may be cancelled. 'status' shows it, and it is safe to repeat the command")
    ended = ask(lambda backend: ending(backend.cancel_personal_canister(), "status", "cancel"))
    kept = "" if ended.canister_id is None else f" Canister {ended.canister_id} is kept for it."
    done(
        f"The creation is cancelled; the capsule is on the backend as before. 'retry' continues the creation.{kept}",
        owner=ended.owner,
        canister_id=ended.canister_id,
        status=ended.status,
        cancelled=True,
    )


def require_open(creation: DetailedCreationStatus, verb: str, after_a_failure: str) -> None:
    """Checks that there is something to cancel or abort, as `verb` says; `after_a_failure` is the way on then.

    Raises:
        CommandError: the creation has ended.
    """
    from canister_factory.contract.creation_models import CreationStatus

    if creation.status == CreationStatus.Completed:
        raise CommandError(
            f"there is nothing to {verb}: the creation is Completed, and only the owner controls the canister "
            f"{creation.canister_id}",
            canister_id=creation.canister_id,
        )
    if creation.status == CreationStatus.Failed:
        raise CommandError(f"there is nothing to {verb}: the creation is Failed already; {after_a_failure}")
    if creation.status == CreationStatus.Undone:
        raise CommandError(f"there is nothing to {verb}: the creation is Undone; the capsule is on the backend")


async def ending(call: Awaitable[DetailedCreationStatus], status: str, again: str) -> DetailedCreationStatus:
    """The creation that `call` ends. Where it can't be ended at present, the commands to look and repeat are named.

    Raises:
        CreationRefused: the backend refused; with the way on.
    """
    from canister_factory.contract.creation_models import CreationErrorKind
    from canister_factory.contract.errors import CreationRefused

    try:
        return await call
    except CreationRefused as refusal:
        if refusal.error.kind == CreationErrorKind.Busy:
            refusal.add_note(
                f"'{status}' shows how it ended. If the creation is still in progress then, repeat '{again}'"
            )
        raise


async def _present(backend: CheckedBackend) -> PresentCanister | None:
    """The caller's creation with the state of its canister; `None` before there is one."""
    from canister_factory.cli.present_canister import look_at

    creation = await backend.get_detailed_creation_status()
    return None if creation is None else await look_at(backend.ic, creation)


def _require_usable(present: PresentCanister | None) -> None:
    """Checks that the canister on record still exists: otherwise a request would change nothing.

    Raises:
        CommandError: the canister is gone.
    """
    if present is not None and not present.usable:
        raise CommandError(present.message, canister_id=present.creation.canister_id, canister=present.presence)


def _show(answer: Answer) -> None:
    from canister_factory.cli.present_canister import SHOWN_CHARACTERS

    response, present = answer
    creation = present.creation if present else None
    fields: dict[str, Any] = {
        "success": response.success,
        "canister_id": response.canister_id,
        "status": creation.status if creation else None,
        "attempts": creation.attempts if creation else None,
        "paid_until": as_text(creation.paid_until) if creation else None,
        "message": present.message if present and creation and creation.canister_id else response.message,
    }
    if not response.success:
        raise CommandError(f"the backend refused: {quoted(response.message)}")
    if settings.current().json:
        output.json_object(fields)
    else:
        output.table(
            "",
            [
                ("status", fields["status"] or "-"),
                ("canister", response.canister_id or "none yet"),
                ("attempts", fields["attempts"] or "-"),
                ("paid until", moment(creation.paid_until) if creation else "-"),
                ("message", quoted(str(fields["message"]), SHOWN_CHARACTERS)),
            ],
        )
