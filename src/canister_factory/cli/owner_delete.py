"""`owner delete`: the end of an owner's canister.

Owns the command. Does not own: what must be true before, and the order (`owner.deletion`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities
from canister_factory.cli.copies import DIRECTORY
from canister_factory.cli.own_canister import Ask, Found, found_canister_command
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.results import announced, done

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.owner.deletion import Doomed


@click.command()
@click.option("--cycles-to", type=PRINCIPAL, metavar="CANISTER", help="Canister that gets your canister's cycles.")
@click.option("--burn-cycles", is_flag=True, help="Lose the cycles.")
@click.option(
    "--backup",
    "directory",
    type=DIRECTORY,
    metavar="DIR",
    help="Backup that must be whole and up to date.",
)
@click.option("--without-backup", is_flag=True, help="Don't ask for a backup.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@found_canister_command
def delete(
    cycles_to: Principal | None,
    burn_cycles: bool,
    directory: Path | None,
    without_backup: bool,
    yes: bool,
    ask: Ask[Found],
) -> None:
    """Delete your canister with everything in it, for ever.

    Before that the backup is read and compared with what the network certifies of the canister. The cycles go to
    --cycles-to, all but the price of the way, some 0.08 T. When that is interrupted, the same command goes on.
    """
    if (cycles_to is None) == (not burn_cycles):
        raise click.UsageError("give --cycles-to CANISTER, or --burn-cycles")
    if (directory is None) == (not without_backup):
        raise click.UsageError("give --backup DIR, or --without-backup")

    async def work(found: Found) -> tuple[Found, Doomed | None, int]:
        from canister_factory.cli.progress import bytes_bar
        from canister_factory.ic.errors import CanisterNotFoundError
        from canister_factory.owner.backup_files import BackupDirectory
        from canister_factory.owner.deletion import Deletion

        if found.by_backend is not None:
            try:
                await found.agent.canister_info(found.canister_id)
            except CanisterNotFoundError:
                return found, None, 0
        backup = None if directory is None else BackupDirectory.open(directory)
        with bytes_bar("reading the backup", None) as advance:
            deletion = Deletion(found.agent, found.canister_id, cycles_to, backup, advance)
            doomed = await deletion.check()
        where = "burn" if cycles_to is None else f"send to {cycles_to}"
        announced(
            f"Delete {found.canister_id} with its {quantities.size(doomed.memory_size)} for ever, and {where} its "
            f"{quantities.cycles(doomed.cycles)} cycles",
            yes,
        )
        interrupts.if_interrupted("what is in the canister may be lost already; the same command goes on")
        return found, doomed, await deletion.run()

    _show(*ask(work), cycles_to)


def _show(found: Found, doomed: Doomed | None, sent: int, cycles_to: Principal | None) -> None:
    cycles = f" {quantities.cycles(sent)} cycles went to {cycles_to}." if sent else ""
    was = "was deleted before" if doomed is None else "is deleted"
    done(
        f"The canister {found.canister_id} {was}.{cycles}",
        canister_id=found.canister_id,
        deleted=doomed is not None,
        cycles_sent=str(sent),
        cycles_to=cycles_to,
    )
    if found.by_backend is not None:
        output.note(
            f"The record of it stays on {found.by_backend}: 'status' says so. 'owner undo' lets the capsule there take "
            "writes again, and 'request' asks for another canister"
        )
