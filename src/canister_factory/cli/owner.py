"""`owner …`: what owners do with their own canister.

Owns the group, `owner status`, and that `owner events` has the commands of `events` and `executors`. Does not own:
copies (`owner_copies`), files (`owner_files`), rules (`owner_share`) and the old side
(`owner_old_side`).
Owns the group, and that `owner events` has the commands of `events` and `executors`. Does not own: its commands
(`owner_…`).
"""

from __future__ import annotations

import click

from canister_factory.cli.events import events
from canister_factory.cli.executors import executors
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.owner_control import accept, controllers, move_to
from canister_factory.cli.owner_copies import backup, check, download, restore
from canister_factory.cli.owner_cycles import top_up
from canister_factory.cli.owner_delete import delete
from canister_factory.cli.owner_files import add, get, ls
from canister_factory.cli.owner_old_side import erase, move_back, undo
from canister_factory.cli.owner_share import share
from canister_factory.cli.owner_upgrade import upgrade

if TYPE_CHECKING:
    from canister_factory.owner.life import Life
from canister_factory.cli.owner_status import status


@click.group(cls=CommandGroup)
def owner() -> None:
    """Look after your personal canister, and keep copies of it.

    \b
    Example:
      canister-factory owner status --backend $BACKEND --identity owner.pem
      canister-factory owner backup ~/capsule --backend $BACKEND \\
        --identity owner.pem
    """


owner.add_command(backup)
owner.add_command(check)
owner.add_command(download)
owner.add_command(restore)
owner.add_command(add)
owner.add_command(ls)
owner.add_command(get)
owner.add_command(share)
owner.add_command(CommandGroup("events", commands=[*events.commands.values(), executors], help=events.help))
owner.add_command(undo)
owner.add_command(move_back)
owner.add_command(erase)
owner.add_command(upgrade)


@owner.command()
@click.option(
    "--days",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help="The exit code is 1 when the canister stops within so many days.",
)
@own_canister_command
def status(days: int, ask: AskOwn) -> None:
    """Show your canister: its cycles, and until when they last.

    A canister takes no updates when its cycles fall to the freezing threshold ('stops'), and is deleted with all it
    has when they are used up ('deleted'). Both dates suppose that it goes on burning what it burns idle.
    """

    async def work(own: Own) -> Life:
        from canister_factory.factory.upgrading import delete_expired
        from canister_factory.ic.management import ManagementCanister
        from canister_factory.owner.life import look

        management = ManagementCanister(own.agent)
        present = await management.canister_status(own.canister_id, certified=False)
        if await delete_expired(management, own.canister_id, present, own.agent.clock()):
            output.note("The snapshot that the last upgrade left was deleted: its time is over.")
        return await look(own.agent, own.client)

    life = ask(work)
    if settings.current().json:
        output.json_object(life.fields())
    else:
        output.table("Your personal canister", _rows(life))
    if life.days_left is not None and life.days_left < days:
        output.note(f"It stops within {days} days: give it cycles.")
        click.get_current_context().exit(FAILED)


def _rows(life: Life) -> list[tuple[str, object]]:
    return [
        ("canister", life.canister_id),
        ("state", life.state),
        ("cycles", quantities.cycles(life.cycles)),
        ("burns a day", quantities.cycles(life.burned_per_day)),
        ("stops", life.shown(life.stops_ns)),
        ("deleted", life.shown(life.deleted_ns)),
        ("memory size", quantities.size(life.memory_size)),
        ("memories", f"{life.memories}, {quantities.size(life.content_size)}"),
        ("controllers", ", ".join(output.ident(controller) for controller in life.controllers)),
        ("module hash", output.ident(life.module_hash.hex()) if life.module_hash else "none"),
        ("API version", life.api_version),
        ("freezing threshold", quantities.duration(life.freezing_threshold_s)),
    ]
owner.add_command(status)
owner.add_command(top_up)
owner.add_command(controllers)
owner.add_command(move_to)
owner.add_command(accept)
owner.add_command(delete)
