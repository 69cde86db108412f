"""`identity new|import|show|principal`: keys in PEM files, and the option of commands that can't be anonymous.

Owns these commands. Does not own: keys (`ic.identity`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output, settings
from canister_factory.cli.errors import InputError
from canister_factory.cli.groups import CommandGroup
from canister_factory.cli.identity_source import IdentitySource, new_password, read_seed_phrase
from canister_factory.cli.options import (
    F,
    identity_option,
    identity_source_options,
    output_options,
    password_file_option,
)
from canister_factory.cli.parameter_types import IDENTITY_FILE, SECRET_FILE
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
    """Create, import and show the keys that sign calls.

    An identity is a key pair in a PEM file. 'new' writes a file that only you can read: whoever has the file can act
    as you, unless it is encrypted. Files of dfx, icp-cli and openssl work as well, and --identity-name takes the
    identities that dfx and icp-cli keep in files.

    \b
    Example:
      canister-factory identity new me.pem
      canister-factory deploy --identity me.pem
    """


def _kind_option(default: str, help_text: str) -> Callable[[F], F]:
    return click.option(
        "--kind",
        type=Choice(["ed25519", "secp256k1", "p256"]),
        default=default,
        show_default=True,
        help=help_text,
    )


_encrypt_option = click.option(
    "--encrypt", is_flag=True, help="Encrypt the file by a password: asked for, or of --identity-password-file."
)


@identity.command()
@click.argument("file", type=IDENTITY_FILE)
@_kind_option("ed25519", "Kind of the key.")
@_encrypt_option
@password_file_option
@output_options
def new(file: Path, kind: KeyKind, encrypt: bool, password_file: Path | None) -> None:
    """Create a key in FILE and show its principal.

    FILE must not exist yet.
    """
    from canister_factory.ic.identity import Identity

    password = new_password(password_file) if encrypt else None
    generated = Identity.generate(kind)
    generated.write_pem(file, password)
    _show(generated, IdentitySource(file))


@identity.command("import")
@click.argument("file", type=IDENTITY_FILE)
@click.option(
    "--seed-phrase-file",
    "phrase_file",
    type=SECRET_FILE,
    metavar="FILE",
    help="File with the words, '-' for stdin; nobody else may be able to read it.",
)
@click.option("--from-seed-phrase", "typed", is_flag=True, help="Type the words; the terminal doesn't show them.")
@_kind_option("secp256k1", "Kind of the key, which is the curve of the derivation.")
@_encrypt_option
@password_file_option
@output_options
def import_(
    file: Path, phrase_file: Path | None, typed: bool, kind: KeyKind, encrypt: bool, password_file: Path | None
) -> None:
    """Derive the key of a seed phrase, write it to FILE and show its principal.

    The words are those of BIP-39, in English. The key is the one that icp-cli, dfx and wallets derive, at
    m/44'/223'/0'/0/0. FILE must not exist yet; the words are not kept.

    \b
    Example:
      canister-factory identity import me.pem --from-seed-phrase --encrypt
    """
    from canister_factory.ic.identity import Identity

    if (phrase_file is None) == (not typed):
        raise click.UsageError("give --seed-phrase-file FILE, or --from-seed-phrase")
    derived = Identity.from_seed_phrase(read_seed_phrase(phrase_file), kind)
    derived.write_pem(file, new_password(password_file) if encrypt else None)
    _show(derived, IdentitySource(file))


def _source_argument(command: F) -> F:
    """The identity that a command shows: FILE, or what the common options say. Passed to it as `source`.

    Raises:
        InputError: there is none; by the decorated command.
    """

    @click.argument("file", required=False, type=IDENTITY_FILE)
    @identity_source_options
    @wraps(command)
    def with_source(*args: Any, file: Path | None, source: IdentitySource, **rest: Any) -> Any:
        chosen = source if file is None else IdentitySource(file, password_file=source.password_file)
        if not chosen.is_given:
            raise InputError(
                "no key file: give FILE or --identity FILE.pem (or set CANISTER_FACTORY_IDENTITY), or --identity-name"
            )
        return command(*args, source=chosen, **rest)

    return with_source  # type: ignore[return-value]


@identity.command()
@_source_argument
@output_options
def show(source: IdentitySource) -> None:
    """Show the principal and the kind of the key in FILE.

    The key itself is never shown. Without FILE the identity of --identity or --identity-name is shown.
    """
    _show(source.load(), source)


@identity.command()
@_source_argument
@output_options
def principal(source: IdentitySource) -> None:
    """Print the principal of the key in FILE, and nothing else.

    Without FILE the identity of --identity or --identity-name is used.

    \b
    Example:
      OPERATOR=$(canister-factory identity principal operator.pem)
      canister-factory admin operators add $OPERATOR
    """
    shown = str(source.load().sender())
    if settings.current().json:
        output.json_object({"principal": shown})
    else:
        output.text(shown)


def _show(shown: Identity, source: IdentitySource) -> None:
    where = ("file", source.file) if source.name is None else ("name", source.name)
    if settings.current().json:
        output.json_object({"principal": shown.sender(), "kind": shown.key_type, where[0]: str(where[1])})
    else:
        output.table("", [("principal", shown.sender()), ("kind", shown.key_type), where])
