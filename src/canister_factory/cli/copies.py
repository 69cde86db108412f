"""What the commands about copies on disk, an owner's and a backend's, share: which state, and whether it's whole.

Owns how that is asked and shown. Does not own: the copies (`owner.content_files`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from canister_factory.cli import output, quantities, settings
from canister_factory.cli.errors import FAILED, CommandError
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import F, network_options, output_options, with_options
from canister_factory.cli.parameter_types import PRINCIPAL

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.owner.content_files import ContentFiles, Damage

DIRECTORY = click.Path(file_okay=False, path_type=Path)
_SHOWN = 20


def directory_argument(command: F) -> F:
    """`DIR`: passed to the command as `directory`."""
    return click.argument("directory", type=DIRECTORY, metavar="DIR")(command)


def state_option(deed: str) -> Callable[[F], F]:
    """`--state`: passed to the command, which does `deed` with it, as `name`."""
    return click.option("--state", "name", metavar="STATE", help=f"State to {deed}.  [default: the newest]")


def restore_options(which: str, confirmed: str) -> Callable[[F], F]:
    """`DIR`, `--canister` or `--new`, `--state`, `--yes`, and the common options: passed to the command as `directory`,
    `canister` (`None`: a new one), `name`, `yes`, `network` and `identity`.

    Args:
        which: what `--canister` may be.
        confirmed: what `--yes` does.
    """

    def decorated(command: F) -> F:
        @wraps(command)
        def with_one(*args: Any, canister: Principal | None, new: bool, **rest: Any) -> Any:
            if (canister is None) == (not new):
                raise click.UsageError("give --canister ID, or --new")
            return command(*args, canister=canister, **rest)

        decorating = with_options(
            with_one,
            directory_argument,
            click.option("--canister", type=PRINCIPAL, help=which),
            click.option(
                "--new", is_flag=True, help="Create a canister first; test networks give it cycles for nothing."
            ),
            state_option("restore"),
            click.option("--yes", is_flag=True, help=confirmed),
            network_options,
            signing_identity_option,
            output_options,
        )
        return cast(F, decorating)

    return decorated


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
            f"the state {name} in {target.path} is damaged, nothing was sent: {damages[0].file} {damages[0].problem}; "
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
        verdict = "is whole" if not damages else f"is damaged: {quantities.files(len(damages))}"
        output.sentence(" ".join((f"The state {name} in {target.path} {verdict}.", *found)))
    if damages:
        click.get_current_context().exit(FAILED)
