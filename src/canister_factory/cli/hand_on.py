"""`admin operators hand-on NEW`: an operator that retires gives its open creations to another one.

Owns the command. Does not own: the steps (`factory.operators`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.errors import DONE, FAILED
from canister_factory.cli.parameter_types import ROLE_HOLDER
from canister_factory.cli.results import done
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.backend_check import CheckedBackend

    Left = dict[str, object]


@click.command("hand-on")
@click.argument("successor", type=ROLE_HOLDER, metavar="NEW")
@backend_command(Role.OPERATOR)
def hand_on(successor: Principal, ask: Ask) -> None:
    """Hand the open creations of the caller on to the operator NEW.

    A creation belongs to the operator that had its canister created, and no other can continue it. Run this with the
    identity of the operator that retires, before an admin removes it: for each of its open creations that has a
    canister, NEW becomes a controller in its place, and the backend is told so. Stop its workers first. If the command
    is interrupted, run it again. Its exit code is 1 if a creation could not be handed on.

    If the key is lost, the owners' 'retry' does the same.

    \b
    Example:
      canister-factory admin operators hand-on $NEW --identity old.pem
    """
    interrupts.if_interrupted("some creations may be handed on. The same command continues")
    handed_on, left = ask(lambda backend: _hand_on(backend, successor))
    if handed_on or left:
        message = f"Handed on {len(handed_on)} to {output.ident(successor)}."
        message += f" {len(left)} could not be handed on: run the command again." if left else ""
    else:
        message = "There is nothing to hand on: no open creation belongs to this operator."
    done(
        message,
        operator=successor,
        handed_on=handed_on,
        left=left,
    )
    click.get_current_context().exit(FAILED if left else DONE)


async def _hand_on(backend: CheckedBackend, successor: Principal) -> tuple[list[Principal], list[Left]]:
    """The owners whose creations were handed on, and what was left, with the reasons."""
    from canister_factory.cli.failures import words_of
    from canister_factory.cli.progress import step
    from canister_factory.contract.errors import CreationRefused
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.errors import FactoryError
    from canister_factory.factory.operators import HandOn
    from canister_factory.factory.retry import Retry
    from canister_factory.ic.errors import RejectedError

    await backend.make_sure()
    run = HandOn(backend.ic, backend.canister_id, successor, Retry(FactoryConfig()))
    creations = await run.creations()
    handed_on: list[Principal] = []
    left: list[Left] = []
    for number, creation in enumerate(creations, 1):
        owner = creation.owner
        where = f"{number} of {len(creations)}: the creation of {output.ident(owner)}"
        try:
            await run.hand_on(owner)
        except (CreationRefused, FactoryError, RejectedError) as error:
            left.append({"owner": owner, "canister_id": creation.canister_id, "reason": words_of(error)})
            step(f"{where} could not be handed on: {words_of(error)}")
        else:
            handed_on.append(owner)
            step(f"{where} is handed on")
    return handed_on, left
