"""`identity new|show|principal`: keys in PEM files, and the option of commands that can't be anonymous.

Owns what is asked for and said. Does not own: keys (`ic.identity`).
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output
from canister_factory.cli.errors import InputError
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.options import (
    IDENTITY_FILE,
    F,
    identity_file_option,
    identity_option,
    load_identity,
    output_options,
)
from canister_factory.cli.parameters import Choice
from canister_factory.cli.roles import ANONYMOUS

if TYPE_CHECKING:
    from canister_factory.ic.identity import Identity, KeyKind


def signing_identity_option(command: F) -> F:
    """Like `identity_option`, for commands that the anonymous caller can't do anything with. Raises `InputError`."""

    @wraps(command)
    def with_key(*args: Any, identity: Identity, **rest: Any) -> Any:
        if identity.sender().is_anonymous:
            raise InputError(f"this needs an identity, and {ANONYMOUS}")
        return command(*args, identity=identity, **rest)

    return identity_option(with_key)  # type: ignore[return-value]


@click.group(cls=CommandGroup)
def identity() -> None:
    """The keys that calls are signed with.

    An identity is a key pair in a PEM file. What 'new' writes is readable by you alone; whoever has it can act as
    you. Files of dfx, icp-cli and openssl work too.

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
    help="Kind of key.",
)
@output_options
def new(file: Path, kind: KeyKind) -> None:
    """Make a new key and write it to FILE, which must not exist yet. Prints its principal."""
    from canister_factory.ic.identity import Identity

    made = Identity.generate(kind)
    made.write_pem(file)
    _show(made, file)


@identity.command()
@click.argument("file", type=IDENTITY_FILE)
@output_options
def show(file: Path) -> None:
    """Show the principal and the kind of the key in FILE; never the key."""
    _show(load_identity(file), file)


@identity.command()
@click.argument("file", required=False, type=IDENTITY_FILE)
@identity_file_option
@output_options
def principal(file: Path | None, identity_file: Path | None) -> None:
    """Print the principal of the key in FILE, or in that of --identity, and nothing else.

    \b
    Example:
      canister-factory admin operators add "$(canister-factory identity principal operator.pem)"
    """
    chosen = file or identity_file
    if chosen is None:
        raise InputError("whose principal? Give FILE, or --identity FILE.pem (or set CANISTER_FACTORY_IDENTITY)")
    found = str(load_identity(chosen).sender())
    if output.settings.json:
        output.json_object({"principal": found})
    else:
        output.text(found)


def _show(shown: Identity, file: Path) -> None:
    if output.settings.json:
        output.json_object({"principal": shown.sender(), "kind": shown.key_type, "file": str(file)})
    else:
        output.table("", [("principal", shown.sender()), ("kind", shown.key_type), ("file", file)])
