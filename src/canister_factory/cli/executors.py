"""`executors …`: the people whom an owner trusts to record events when the owner can't any more.

Owns these commands. Does not own: what executors record (`events`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, settings
from canister_factory.cli.capsule_place import AskCapsule, Place, capsule_command
from canister_factory.cli.groups import CommandGroup, run_default
from canister_factory.cli.parameter_types import PRINCIPAL, ROLE_HOLDER
from canister_factory.cli.results import moment

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.contract.event_models import Executor


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def executors(ctx: click.Context) -> None:
    """List, name and remove executors, who record events for you.

    One executor is enough to record an event, such as your death. It opens the memories that wait for it after a
    waiting period ('events wait'), in which you can revoke it ('events revoke'). Executors read nothing by it.

    \b
    Example:
      canister-factory executors add $LAWYER --backend $BACKEND \\
        --identity owner.pem
    """
    run_default(ctx, list_executors)


@executors.command("list")
@capsule_command
def list_executors(ask: AskCapsule) -> None:
    """List the executors. 'executors' alone does the same."""
    _show(*ask(_present))


@executors.command("add")
@click.argument("person", type=ROLE_HOLDER, metavar="PRINCIPAL")
@capsule_command
def add(person: Principal, ask: AskCapsule) -> None:
    """Name PRINCIPAL as an executor."""

    async def work(place: Place) -> tuple[Place, list[Executor]]:
        await place.client.add_executor(place.capsule_id, person)
        return await _present(place)

    _show(*ask(work))


@executors.command("remove")
@click.argument("person", type=PRINCIPAL, metavar="PRINCIPAL")
@capsule_command
def remove(person: Principal, ask: AskCapsule) -> None:
    """Remove PRINCIPAL from the executors.

    Events of theirs that still wait fall with them. What is open stays open: use 'events revoke' to shut it.
    """

    async def work(place: Place) -> tuple[Place, list[Executor]]:
        await place.client.remove_executor(place.capsule_id, person)
        return await _present(place)

    _show(*ask(work))


async def _present(place: Place) -> tuple[Place, list[Executor]]:
    return place, (await place.client.get_event_rules(place.capsule_id)).executors


def _show(place: Place, present: list[Executor]) -> None:
    if settings.current().json:
        output.json_object(
            {
                "canister_id": place.client.canister_id,
                "capsule_id": place.capsule_id,
                "executors": [executor.model_dump(mode="json") for executor in present],
            }
        )
        return
    if not present:
        output.note("no executors: nobody but you records events")
        return
    rows = [(output.ident(one.person), moment(one.named_at), output.ident(one.named_by)) for one in present]
    output.table("", rows, ["executor", "named", "by"])
    output.note(f"They record an event with 'canister-factory events record EVENT {place.options}'")
