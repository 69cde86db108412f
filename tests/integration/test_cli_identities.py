"""Identities as a person gives them at a real terminal and through real pipes: nothing that is typed is shown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from canister_factory.ic.identity import Identity
from support.kept_by_tools import PASSWORD, PHRASE, PRINCIPALS
from support.terminal_screen import COMMAND, on_terminal


@pytest.fixture
def sealed(tmp_path: Path) -> Identity:
    """`me.pem`, which is encrypted."""
    identity = Identity.generate()
    identity.write_pem(tmp_path / "me.pem", PASSWORD.encode())
    return identity


def piped(directory: Path, sent: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("CANISTER_FACTORY_")}
    return subprocess.run(
        [*COMMAND, *arguments], input=sent, capture_output=True, cwd=directory, env=quiet, timeout=120
    )


def test_the_terminal_asks_for_the_password_and_doesnt_show_it(sealed: Identity, tmp_path: Path) -> None:
    seen = on_terminal(
        ["identity", "show", "me.pem"],
        when=lambda text: "Password of the identity file me.pem: " in text,
        keys=PASSWORD.encode() + b"\n",
        directory=tmp_path,
    )
    assert seen.code == 0, seen.text
    assert str(sealed.sender()) in seen.text
    assert PASSWORD.encode() not in seen.raw


def test_ctrl_c_at_the_question_ends_the_command_and_the_terminal_shows_again_what_is_typed(
    sealed: Identity, tmp_path: Path
) -> None:
    del sealed
    shell = ("sh", "-c", 'trap : INT; "$@"; stty -a | tr " " "\\n" | grep -x -e echo -e -echo', "sh", *COMMAND)
    seen = on_terminal(
        ["identity", "show", "me.pem"], when=lambda text: "me.pem: " in text, directory=tmp_path, command=shell
    )
    assert "interrupted; nothing was changed" in " ".join(seen.text.split())
    assert seen.lines[-1] == "echo"


def test_a_phrase_is_typed_unseen(tmp_path: Path) -> None:
    seen = on_terminal(
        ["identity", "import", "me.pem", "--from-seed-phrase"],
        when=lambda text: "Seed phrase: " in text,
        keys=PHRASE.encode() + b"\n",
        directory=tmp_path,
    )
    assert seen.code == 0, seen.text
    assert PRINCIPALS["secp256k1"] in "".join(seen.lines)
    assert b"abandon" not in seen.raw


def test_a_key_comes_through_standard_input(tmp_path: Path, sealed: Identity) -> None:
    plain = Identity.generate()
    for arguments in (["identity", "principal", "-"], ["--identity", "-", "identity", "principal"]):
        ran = piped(tmp_path, plain.to_pem(), *arguments)
        assert ran.stdout.decode().strip() == str(plain.sender()), ran.stderr
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    asked = ["identity", "principal", "-", "--identity-password-file", "password"]
    assert piped(tmp_path, (tmp_path / "me.pem").read_bytes(), *asked).stdout.decode().strip() == str(sealed.sender())
    ran = piped(tmp_path, PHRASE.encode(), "identity", "import", "new.pem", "--seed-phrase-file", "-", "--json")
    assert PRINCIPALS["secp256k1"] in ran.stdout.decode()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "can't read the identity from standard input: it is empty"),
        (b"5ec4e75e" * 8, "the identity on standard input looks like hexadecimal digits"),
        (b"x" * 70_000, "it is larger than 65,536 bytes"),
    ],
)
def test_what_comes_and_is_no_key_is_refused_and_not_repeated(sent: bytes, said: str, tmp_path: Path) -> None:
    ran = piped(tmp_path, sent, "identity", "show", "--identity", "-")
    assert ran.returncode == 2
    assert said in " ".join(ran.stderr.decode().split())
    assert b"5ec4e75e" not in ran.stderr + ran.stdout


def test_a_key_isnt_typed_at_a_terminal(tmp_path: Path) -> None:
    seen = on_terminal(["identity", "show", "-"], directory=tmp_path)
    assert seen.code == 2
    assert "it is a terminal, which would show it: send it through a pipe" in " ".join(seen.text.split())
