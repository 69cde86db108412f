"""`request` and `retry`: an owner asks for a personal canister, and asks again after a failure.

Owns these questions. Does not own: the creation, which a worker runs (`worker`, `run`).
"""

from __future__ import annotations

from typing import Any

import click

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.backend_check import CheckedBackend
from canister_factory.cli.errors import CommandError
from canister_factory.cli.options import PRINCIPAL
from canister_factory.cli.present_canister import SHOWN_CHARACTERS, PresentCanister, look_at
from canister_factory.cli.roles import Role
from canister_factory.contract.creation_models import (
    CreatePersonalCanisterConfig,
    CreationStatus,
    PersonalCanisterCreationResponse,
)
from canister_factory.ic.foreign_text import quoted

Answer = tuple[PersonalCanisterCreationResponse, PresentCanister | None]


@click.command()
@click.option("--name", help="What to call the canister.")
@click.option("--subnet", type=PRINCIPAL, help="Where to create it.  [default: where the backend is]")
@backend_command(Role.OWNER)
def request(name: str | None, subnet: Principal | None, ask: Ask) -> None:
    """Ask for a personal canister, as its owner.

    A worker then creates it; 'status' shows how far it is. Asked again, it answers with what is.

    \b
    Example:
      canister-factory request --backend $BACKEND --identity owner.pem --name "My memories"
    """
    config = None if name is None and subnet is None else CreatePersonalCanisterConfig(name=name, subnet_id=subnet)

    async def work(backend: CheckedBackend) -> Answer:
        _require_usable(await _looked_up(backend))
        interrupts.if_interrupted("the request may have been made: 'status' shows it, and asking again is harmless")
        return await backend.create_personal_canister(config), await _looked_up(backend)

    _show(ask(work))


@click.command()
@backend_command(Role.OWNER)
def retry(ask: Ask) -> None:
    """Ask again after a failure, as the owner.

    The creation then goes on with the canister and the data that are there. Only the owner can retry. To run what
    owners have asked for, an operator uses 'run OWNER' or 'worker'.
    """

    async def work(backend: CheckedBackend) -> Answer:
        present = await _looked_up(backend)
        if present is None:
            raise CommandError("there is nothing to retry: no personal canister was asked for; use 'request'")
        _require_usable(present)
        before = present.creation
        if before.status != CreationStatus.Failed:
            raise CommandError(
                f"there is nothing to retry: the creation is {before.status}"
                + (
                    ""
                    if before.status == CreationStatus.Completed
                    else "; an operator's 'run' or 'worker' goes on with it"
                )
            )
        if before.error is not None and not before.error.retry_helps:
            output.note(f"note: this may fail again, until an admin has looked at it: {quoted(before.error.message)}")
        interrupts.if_interrupted("the request may have been made: 'status' shows it, and asking again is harmless")
        return await backend.create_personal_canister(), await _looked_up(backend)

    _show(ask(work))


async def _looked_up(backend: CheckedBackend) -> PresentCanister | None:
    """The caller's creation with what is there of its canister; `None` before there is one."""
    creation = await backend.get_detailed_creation_status()
    return None if creation is None else await look_at(backend.ic, creation)


def _require_usable(present: PresentCanister | None) -> None:
    """Raises `CommandError` when the canister on record is gone: asking again would change nothing."""
    if present is not None and not present.usable:
        raise CommandError(present.message, canister_id=present.creation.canister_id, canister=present.presence)


def _show(answer: Answer) -> None:
    response, present = answer
    creation = present.creation if present else None
    fields: dict[str, Any] = {
        "success": response.success,
        "canister_id": response.canister_id,
        "status": creation.status if creation else None,
        "attempts": creation.attempts if creation else None,
        "message": present.message if present and creation and creation.canister_id else response.message,
    }
    if not response.success:
        raise CommandError(f"the backend refused: {quoted(response.message)}")
    if output.settings.json:
        output.json_object(fields)
    else:
        output.table(
            "",
            [
                ("status", fields["status"] or "-"),
                ("canister", response.canister_id or "none yet"),
                ("attempts", fields["attempts"] or "-"),
                ("message", quoted(str(fields["message"]), SHOWN_CHARACTERS)),
            ],
        )
