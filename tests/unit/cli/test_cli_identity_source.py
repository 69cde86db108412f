"""Identities that people have: files, encrypted ones, names of other tools, seed phrases; no secret is told."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization as ser

from canister_factory.cli import main
from canister_factory.cli.identity_source import new_password
from canister_factory.ic.identity import Identity
from support.cli_settings import run_alone
from support.kept_by_tools import PASSWORD, PHRASE, PRINCIPALS, Homes, encrypted

ME = "me.pem"
BACKEND = "rwlgt-iiaaa-aaaaa-aaaaa-cai"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run_alone(monkeypatch)
    monkeypatch.chdir(tmp_path)
    secret("password", PASSWORD + "\n")
    secret("phrase", PHRASE + "\n")


def secret(name: str, content: str, mode: int = 0o600) -> None:
    Path(name).write_text(content)
    Path(name).chmod(mode)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    told = result.output
    assert PASSWORD not in told
    assert "abandon" not in told
    assert "PRIVATE" not in told.replace("BEGIN PRIVATE", "").replace("BEGIN EC PRIVATE", "")
    return result


def principal(*arguments: str) -> str:
    result = run("identity", "principal", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def refusal(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = " ".join(result.stderr.split()).split("error: ")[1:]
    return line


# --- Encrypted files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [ser.PrivateFormat.PKCS8, ser.PrivateFormat.TraditionalOpenSSL], ids=str)
def test_an_encrypted_file_is_opened_by_the_password_file(form: ser.PrivateFormat) -> None:
    pem = encrypted(form)
    secret(ME, pem.decode())
    me = str(Identity.from_pem(pem, password=PASSWORD).sender())
    assert principal(ME, "--identity-password-file", "password") == me
    assert principal("--identity", ME, "--identity-password-file", "password") == me
    shown = json.loads(run("identity", "show", ME, "--identity-password-file", "password", "--json").stdout)
    assert shown == {"principal": me, "kind": "secp256k1", "file": ME}
    secret("wrong", "another one\n")
    told = refusal("identity", "show", ME, "--identity-password-file", "wrong")
    assert told == "the identity file me.pem can't be decrypted: the password is wrong, or the file is damaged"


def test_the_password_file_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secret(ME, encrypted(ser.PrivateFormat.PKCS8).decode())
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY", ME)
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY_PASSWORD_FILE", "password")
    assert principal().count("-") == 10


def test_without_a_terminal_an_encrypted_file_needs_the_option() -> None:
    secret(ME, encrypted(ser.PrivateFormat.PKCS8).decode())
    told = refusal("identity", "show", ME)
    assert told == (
        "the identity file me.pem is encrypted, and there is no terminal to ask on: give --identity-password-file"
    )


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (PASSWORD, 0o640, "other users of this computer can read it: run chmod 600 password"),
        (PASSWORD, 0o604, "other users of this computer can read it: run chmod 600 password"),
        ("", 0o600, "begins with an empty line, where the password should be"),
        ("\n" + PASSWORD, 0o600, "begins with an empty line, where the password should be"),
        ("x" * 70_000, 0o600, "it is larger than 65,536 bytes"),
        (None, 0o600, "No such file or directory"),
    ],
)
def test_a_password_file_that_cant_be_used_is_refused(content: str | None, mode: int, said: str) -> None:
    secret(ME, encrypted(ser.PrivateFormat.PKCS8).decode())
    Path("password").unlink()
    if content is not None:
        secret("password", content, mode)
    assert said in refusal("identity", "show", ME, "--identity-password-file", "password")


def test_a_password_with_a_line_end_of_windows_and_one_with_spaces_are_taken_as_they_are() -> None:
    Identity.generate().write_pem(ME, b" two words ")
    secret("password", " two words \r\nanother line\n")
    assert principal(ME, "--identity-password-file", "password").count("-") == 10


# --- Names ----------------------------------------------------------------------------------------------------------


def test_identities_of_other_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Homes(tmp_path, monkeypatch).fill()
    assert principal("--identity-name", "work") == str(plain.sender())
    assert principal("--identity-name", "locked", "--identity-password-file", "password") == PRINCIPALS["ed25519"]
    assert principal("--identity-name", "sealed", "--identity-password-file", "password") == PRINCIPALS["secp256k1"]
    shown = json.loads(run("--identity-name", "dfx:old", "identity", "show", "--json").stdout)
    assert shown == {"principal": str(plain.sender()), "kind": "secp256k1", "name": "dfx:old"}
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY_NAME", "gone")
    told = refusal("identity", "principal")
    assert "no identity named gone" in told
    me = Identity.generate()
    me.write_pem(ME)
    assert principal("--identity", ME) == str(me.sender())
    assert "not both" in refusal("identity", "show", "--identity", ME, "--identity-name", "work")


def test_an_identity_by_name_calls_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is reached for, so the identity is one: without it the command ends before that."""
    Homes(tmp_path, monkeypatch).fill()
    arguments = ("admin", "stats", "--backend", BACKEND)
    result = run(*arguments, "--network", "http://127.0.0.1:1", "--fetch-root-key", "--identity-name", "work")
    assert result.exit_code == 3
    assert "The value comes from" not in result.stderr
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY_NAME", "gone")
    told = run(*arguments, "--network", "ic")
    assert "from the environment variable CANISTER_FACTORY_IDENTITY_NAME" in " ".join(told.stderr.split())


def test_of_key_and_password_the_variable_of_the_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    secret(ME, encrypted(ser.PrivateFormat.PKCS8).decode())
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY", ME)
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY_PASSWORD_FILE", "open")
    secret("open", PASSWORD, mode=0o644)
    told = refusal("admin", "stats", "--backend", BACKEND, "--network", "ic")
    assert told.endswith(
        "chmod 600 open. The value comes from the environment variable CANISTER_FACTORY_IDENTITY_PASSWORD_FILE"
    )
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY", "gone.pem")
    gone = refusal("admin", "stats", "--backend", BACKEND, "--network", "ic")
    assert "'identity new gone.pem' makes a key there" in gone
    assert gone.endswith("The value comes from the environment variable CANISTER_FACTORY_IDENTITY")


# --- Seed phrases, and keys that are written encrypted --------------------------------------------------------------


@pytest.mark.parametrize("kind", PRINCIPALS)
def test_a_seed_phrase_becomes_a_file_with_the_key_of_icp_cli(kind: str) -> None:
    result = run("identity", "import", ME, "--seed-phrase-file", "phrase", "--kind", kind, "--json")
    assert json.loads(result.stdout) == {"principal": PRINCIPALS[kind], "kind": kind, "file": ME}
    assert principal(ME) == PRINCIPALS[kind]
    assert Path(ME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (PHRASE, 0o644, "as the seed phrase: other users of this computer can read it: run chmod 600 phrase"),
        (PHRASE[:-6], 0o600, "a seed phrase has 12, 15, 18, 21 or 24 words; this one has 11"),
        (PHRASE.replace("about", "abandon"), 0o600, "the checksum of the seed phrase is wrong"),
        (PHRASE.replace("about", "Zebra9"), 0o600, "word 12 of the seed phrase can't be"),
    ],
)
def test_a_wrong_phrase_leaves_no_file(content: str, mode: int, said: str) -> None:
    secret("phrase", content, mode)
    assert said in refusal("identity", "import", ME, "--seed-phrase-file", "phrase")
    assert not Path(ME).exists()


def test_a_phrase_that_is_no_text_and_one_from_nowhere_are_refused() -> None:
    Path("phrase").write_bytes(b"\xff\xfe\xfa")
    assert "isn't text in UTF-8" in refusal("identity", "import", ME, "--seed-phrase-file", "phrase")
    assert "there is no terminal to ask on: give --seed-phrase-file" in refusal(
        "identity", "import", ME, "--from-seed-phrase"
    )
    assert "give --seed-phrase-file FILE, or --from-seed-phrase" in refusal("identity", "import", ME)


@pytest.mark.parametrize("arguments", [["new"], ["import", "--seed-phrase-file", "phrase"]], ids=lambda it: it[0])
def test_a_key_is_written_encrypted_under_the_password(arguments: list[str]) -> None:
    made = run("identity", *arguments, ME, "--encrypt", "--identity-password-file", "password", "--json")
    assert Path(ME).read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert principal(ME, "--identity-password-file", "password") == json.loads(made.stdout)["principal"]
    secret("password", "short\n")
    told = run("identity", *arguments, "other.pem", "--encrypt", "--identity-password-file", "password")
    assert "a password has at least 8 characters; no file was written" in told.stderr
    assert not Path("other.pem").exists()


def typing(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    answers = iter(lines)
    ask: Callable[[str], str] = lambda prompt: next(answers)  # noqa: E731
    monkeypatch.setattr(getpass, "getpass", ask)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def test_a_new_password_is_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, PASSWORD, PASSWORD)
    assert new_password(None) == PASSWORD.encode()
    typing(monkeypatch, PASSWORD, PASSWORD + "r")
    with pytest.raises(Exception, match="the two passwords differ; no file was written"):
        new_password(None)
    typing(monkeypatch, "")
    with pytest.raises(Exception, match="nothing was typed: give --identity-password-file"):
        new_password(None)
