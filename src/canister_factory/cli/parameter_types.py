"""What people type for principals, keys and modules, and what it is refused with.

Owns these types. Does not own: amounts and spans of time (`amounts`), and which options have a type. The types that
values become are imported when there is a value, so that help and completion don't wait for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canister_factory.candid.hexadecimal import from_hex

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal

_OPAQUE = b"\x01"
"""The last byte of ids that a network gave to a canister (interface specification, "Special forms of Principals")."""


class PrincipalType(click.ParamType["Principal"]):
    """A principal's text form on the command line."""

    name = "principal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Principal:
        """The principal.

        Raises:
            click.BadParameter: the text is no principal, or one that can hold no role.
        """
        from canister_factory.candid.errors import PrincipalError
        from canister_factory.candid.principal import Principal

        if isinstance(value, Principal):
            return value
        try:
            return Principal.from_str(str(value))
        except PrincipalError as error:
            self.fail(str(error), param, ctx)


class RoleHolderType(PrincipalType):
    """Somebody who can hold a role on a backend: everybody but the anonymous and the management canister's principal.

    Canisters can be admins (a wallet, a governance canister), but it is noted, since most often it is a mistake.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Principal:
        """The principal.

        Raises:
            click.BadParameter: the text is no principal, or one that can hold no role.
        """
        from canister_factory.candid.principal import Principal
        from canister_factory.cli import output

        holder = super().convert(value, param, ctx)
        if holder.is_anonymous or holder == Principal.management_canister():
            name = "the anonymous principal" if holder.is_anonymous else "the management canister"
            self.fail(f"{holder} is {name}, which can hold no role", param, ctx)
        if holder.bytes.endswith(_OPAQUE):
            output.note(f"note: {holder} is the id of a canister, not of a person's key: is that meant?")
        return holder


class _UncheckedFileType(click.Path):
    """A path that is looked at when it is read: click's own checks quote what was given as it stands, and that may be a
    secret in place of the name of its file."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, unchecked."""
        return Path(value)


class IdentityFileType(_UncheckedFileType):
    """The path of a PEM file."""


class SecretFileType(_UncheckedFileType):
    """The path of a file with a password or a seed phrase."""


class ModuleHashType(click.ParamType[bytes]):
    """A module's SHA-256 in hexadecimal, as `module_hash` is shown everywhere."""

    name = "hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The 32 bytes.

        Raises:
            click.BadParameter: the text is not 64 hexadecimal digits.
        """
        if isinstance(value, bytes):
            return value
        try:
            return from_hex(str(value), 32)
        except ValueError:
            self.fail(f"{value!r} is not a SHA-256 in hexadecimal (64 digits)", param, ctx)


class RootKeyType(click.ParamType[bytes]):
    """A network's root key: DER in hexadecimal, as `--root-key` takes it everywhere."""

    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The key (DER).

        Raises:
            click.BadParameter: the text is no such key.
        """
        from canister_factory.ic.bls import check_key
        from canister_factory.ic.errors import CertificateError

        if isinstance(value, bytes):
            return value
        try:
            key = from_hex(str(value))
            check_key(key)
        except (ValueError, CertificateError):
            self.fail("must be a network's root key: DER as hexadecimal digits", param, ctx)
        return key


PRINCIPAL = PrincipalType()
ROLE_HOLDER = RoleHolderType()
IDENTITY_FILE = IdentityFileType()
SECRET_FILE = SecretFileType()
MODULE_HASH = ModuleHashType()
ROOT_KEY = RootKeyType()
