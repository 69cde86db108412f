"""`owner …`: what owners do with their own canister.

Owns the group, and that `owner events` has the commands of `events` and `executors`. Does not own: its commands
(`owner_…`).
"""

from __future__ import annotations

import click

from canister_factory.cli.events import events
from canister_factory.cli.executors import executors
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.owner_backend import set_backend
from canister_factory.cli.owner_control import accept, controllers, move_to
from canister_factory.cli.owner_copies import backup, check, download, restore
from canister_factory.cli.owner_cycles import top_up
from canister_factory.cli.owner_delete import delete
from canister_factory.cli.owner_files import add, get, ls
from canister_factory.cli.owner_old_side import erase, move_back, undo
from canister_factory.cli.owner_share import share
from canister_factory.cli.owner_status import status
from canister_factory.cli.owner_upgrade import upgrade


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
owner.add_command(set_backend)
owner.add_command(upgrade)

owner.add_command(status)
owner.add_command(top_up)
owner.add_command(controllers)
owner.add_command(move_to)
owner.add_command(accept)
owner.add_command(delete)
