"""What the commands about copies on disk, an owner's and a backend's, share: which state, and whether it's whole.

Owns how that is asked and shown. Does not own: the copies (`owner.content_files`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output, settings
from canister_factory.cli.errors import FAILED, CommandError

if TYPE_CHECKING:
    from canister_factory.cli.options import F
    from canister_factory.owner.content_files import ContentFiles, Damage

DIRECTORY = click.Path(file_okay=False, path_type=Path)
_SHOWN = 20


def directory_argument(command: F) -> F:
    """`DIR`: passed to the command as `directory`."""
    return click.argument("directory", type=DIRECTORY, metavar="DIR")(command)


def chosen(target: ContentFiles[Any], name: str | None) -> str:
    """The name of the state: the given one, or the newest.

    Raises:
        CommandError: there is none yet.
    """
    names = target.names()
    if not names:
        raise CommandError(f"{target.path} has no state yet: its first backup isn't finished")
    return name or names[-1]


def damages_of(read: Iterator[tuple[int, Damage | None]]) -> list[Damage]:
    """What is damaged of what is read, with progress: bytes, and what is wrong with them."""
    from canister_factory.cli.progress import bytes_bar

    damages: list[Damage] = []
    with bytes_bar("reading", None) as advance:
        for size, damage in read:
            advance(size)
            if damage is not None:
                damages.append(damage)
    return damages


def require_whole(target: ContentFiles[Any], name: str, damages: Sequence[Damage], check: str) -> None:
    """Sees to it that nothing of a state is damaged; `check`: the command that names all that is.

    Raises:
        CommandError: something is.
    """
    if damages:
        raise CommandError(
            f"the state {name} in {target.path} is damaged, nothing was sent: {damages[0].file}: {damages[0].problem}; "
            f"'{check}' names all of it"
        )


def show_checked(
    target: ContentFiles[Any], name: str, damages: Sequence[Damage], *found: str, **fields: object
) -> None:
    """Shows what a check found, and `found`: further sentences. With damage the command ends with an exit code."""
    if settings.current().json:
        damaged = [damage._asdict() for damage in damages]
        output.json_object({"state": name, "ok": not damages, "damages": damaged, **fields})
    else:
        if damages:
            output.table("", [list(damage) for damage in damages[:_SHOWN]], ["file", "problem"])
        verdict = "is whole" if not damages else f"is damaged: {len(damages):,} files"
        output.sentence(" ".join((f"The state {name} in {target.path} {verdict}.", *found)))
    if damages:
        click.get_current_context().exit(FAILED)
