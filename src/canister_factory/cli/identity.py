"""`identity new|show|principal`: keys in PEM files, and the option of commands that can't be anonymous.

Owns these commands. Does not own: keys (`ic.identity`).
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output, settings
from canister_factory.cli.errors import InputError
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.options import F, identity_file_option, identity_option, load_identity, output_options
from canister_factory.cli.parameter_types import IDENTITY_FILE
from canister_factory.cli.parameters import Choice
from canister_factory.cli.roles import ANONYMOUS

if TYPE_CHECKING:
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.private_key import KeyKind


def signing_identity_option(command: F) -> F:
    """Like `identity_option`, for commands that the anonymous caller can't do anything with.

    Raises:
        InputError: no identity was given; by the decorated command.
    """

    @wraps(command)
    def with_key(*args: Any, identity: Identity, **rest: Any) -> Any:
        if identity.sender().is_anonymous:
            raise InputError(f"the command needs an identity, and {ANONYMOUS}")
        return command(*args, identity=identity, **rest)

    return identity_option(with_key)  # type: ignore[return-value]


@click.group(cls=CommandGroup)
def identity() -> None:
    """Create and show the keys that sign calls.

    An identity is a key pair in a PEM file. 'new' writes a file that only you can read: whoever has the file can act
    as you. Files of dfx, icp-cli and openssl work as well.

    \b
    Example:
      canister-factory identity new me.pem
      canister-factory deploy --identity me.pem
    """


@identity.command()
@click.argument("file", type=IDENTITY_FILE)
@click.option(
    "--kind",
    type=Choice(["ed25519", "secp256k1", "p256"]),
    default="ed25519",
    show_default=True,
    help="Kind of the key.",
)
@output_options
def new(file: Path, kind: KeyKind) -> None:
    """Create a key in FILE and show its principal.

    FILE must not exist yet.
    """
    from canister_factory.ic.identity import Identity

    generated = Identity.generate(kind)
    generated.write_pem(file)
    _show(generated, file)


@identity.command()
@click.argument("file", type=IDENTITY_FILE)
@output_options
def show(file: Path) -> None:
    """Show the principal and the kind of the key in FILE.

    The key itself is never shown.
    """
    _show(load_identity(file), file)


@identity.command()
@click.argument("file", required=False, type=IDENTITY_FILE)
@identity_file_option
@output_options
def principal(file: Path | None, identity_file: Path | None) -> None:
    """Print the principal of the key in FILE, and nothing else.

    Without FILE the file of --identity is used.

    \b
    Example:
      OPERATOR=$(canister-factory identity principal operator.pem)
      canister-factory admin operators add $OPERATOR
    """
    chosen = file or identity_file
    if chosen is None:
        raise InputError("no key file: give FILE or --identity FILE.pem (or set CANISTER_FACTORY_IDENTITY)")
    shown = str(load_identity(chosen).sender())
    if settings.current().json:
        output.json_object({"principal": shown})
    else:
        output.text(shown)


def _show(shown: Identity, file: Path) -> None:
    if settings.current().json:
        output.json_object({"principal": shown.sender(), "kind": shown.key_type, "file": str(file)})
    else:
        output.table("", [("principal", shown.sender()), ("kind", shown.key_type), ("file", file)])
