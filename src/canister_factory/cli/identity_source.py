"""Where a command's identity comes from: a file, standard input, or the name that another tool keeps it under; and the
password when it is encrypted.

Owns reading them, and asking on the terminal. Does not own: the options (`options`), which load this module for every
help text, and keys (`ic.identity`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli.errors import CommandError, InputError
from canister_factory.cli.parameters import naming_the_variable

if TYPE_CHECKING:
    from canister_factory.ic.identity import Identity

STANDARD_INPUT = Path("-")
PASSWORD_FILE_VARIABLE = "CANISTER_FACTORY_IDENTITY_PASSWORD_FILE"  # noqa: S105 (a variable's name)
_LEAST_PASSWORD = 8
"""Characters of a new password; icp-cli asks for as many."""


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """What the options say of an identity; `file` and `name` exclude each other, and without both it is anonymous."""

    file: Path | None = None
    name: str | None = None
    password_file: Path | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is one."""
        return self.file is not None or self.name is not None

    def load(self, warn: Callable[[str], object] | None = None) -> Identity:
        """The identity, or the anonymous one.

        `warn` is called when others can read the file; without it that is a line on stderr, once for each file.

        Raises:
            IdentityError: it can't be used; the message quotes nothing of it.
        """
        from canister_factory.ic.errors import IdentityError
        from canister_factory.ic.identity import Identity
        from canister_factory.ic.key_file import read_key_input, shell_name, shown_name

        warn = warn or _warn_once
        if self.name is not None:
            return Identity.from_name(self.name, password=self._ask_password, warn=warn)
        if self.file is None:
            return Identity.anonymous()
        if self.file == STANDARD_INPUT:
            return Identity.from_pem(
                read_key_input(sys.stdin.fileno()), password=self._ask_password, source="the identity on standard input"
            )
        try:
            return Identity.from_pem_file(self.file, password=self._ask_password, warn=warn)
        except IdentityError as error:
            # What was typed may be the key itself: a path that can't even be asked about is quoted by its OSError.
            if not os.path.exists(self.file) and shown_name(self.file) == str(self.file):
                error.add_note(f"'identity new {shell_name(self.file)}' makes a key there")
            raise

    def _ask_password(self, what: str) -> bytes:
        if self.password_file is not None:
            with naming_the_variable("password_file", PASSWORD_FILE_VARIABLE):
                return password_of(self.password_file)
        return hidden_line(f"Password of {what}", f"{what} is encrypted", "give --identity-password-file").encode()


def password_of(file: Path) -> bytes:
    """The password in a file: its first line.

    Raises:
        IdentityError: it can't be read, others can read it, or it is empty.
    """
    from canister_factory.ic.errors import IdentityError
    from canister_factory.ic.key_file import read_secret_file, shown_name

    password = read_secret_file(file, "the password").split(b"\n", 1)[0].rstrip(b"\r")
    if not password:
        raise IdentityError(f"the file {shown_name(file)} begins with an empty line, where the password should be")
    return password


def new_password(file: Path | None) -> bytes:
    """A password for a key that is written: of `file`, or asked for twice.

    Raises:
        IdentityError: it can't be read, or there is no terminal.
        CommandError: what was typed differs, or is too short.
    """
    password = password_of(file) if file is not None else _typed_twice()
    if len(password) < _LEAST_PASSWORD:
        raise CommandError(f"a password has at least {_LEAST_PASSWORD} characters; no file was written")
    return password


def _typed_twice() -> bytes:
    what, instead = "a new password is needed", "give --identity-password-file"
    password = hidden_line("Password of the new key", what, instead)
    if hidden_line("The same again", what, instead) != password:
        raise CommandError("the two passwords differ; no file was written")
    return password.encode()


def hidden_line(asked: str, why: str, instead: str) -> str:
    """A line that a person types on the terminal, which doesn't show it.

    Raises:
        IdentityError: there is no terminal, or nothing was typed; says `why` it is needed and what to do `instead`.
        Interrupted: a signal came meanwhile; the terminal shows again what is typed.
    """
    import getpass

    from canister_factory.cli import output
    from canister_factory.ic.errors import IdentityError

    problem = "there is no terminal to ask on"
    if sys.stdin.isatty() or sys.stderr.isatty():
        try:
            with interrupts.at_once():
                typed = getpass.getpass(f"{output.printable(asked)}: ")
        except (EOFError, OSError, UnicodeDecodeError):
            typed = ""
        if typed:
            return typed
        problem = "nothing was typed"
    raise IdentityError(f"{why}, and {problem}: {instead}")


def read_seed_phrase(file: Path | None) -> str:
    """A seed phrase: of a file or standard input, else typed where nobody sees it.

    Raises:
        InputError: it isn't text.
        IdentityError: it can't be read, or others can read the file.
    """
    from canister_factory.ic.key_file import read_key_input, read_secret_file

    if file is None:
        return hidden_line("Seed phrase", "a seed phrase is needed", "give --seed-phrase-file")
    content = (
        read_key_input(sys.stdin.fileno()) if file == STANDARD_INPUT else read_secret_file(file, "the seed phrase")
    )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass  # told of below: what was caught carries the content
    raise InputError("the seed phrase isn't text in UTF-8")


def _warn_once(message: str) -> None:
    from canister_factory.cli import output

    context = click.get_current_context(silent=True)
    warned: set[str] = set() if context is None else context.meta.setdefault(f"{__name__}.warnings", set())
    if message not in warned:
        warned.add(message)
        output.note(f"warning: {message}")
