"""Whatever an identity file holds, and wherever a key is typed by mistake: no command repeats any of it.

What is compared: every 8 consecutive characters of what was given, read as UTF-8, Latin-1 and UTF-16 and as
hexadecimal digits. Left out are PEM's own lines, which are the same in every file (`-----BEGIN …-----`).
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mnemonic import Mnemonic

from canister_factory.cli import COMMANDS, main
from canister_factory.cli.events import EventType
from canister_factory.cli.identity_source import IdentitySource
from canister_factory.cli.parameter_types import IdentityFileType, PrincipalType
from canister_factory.ic.identity import Identity
from canister_factory.ic.key_file import EXPECTED
from support.cli_settings import forget_environment

BACKEND = "rwlgt-iiaaa-aaaaa-aaaaa-cai"
WINDOW = 8
NOISY = ("--debug", "-vvv")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings of whoever runs the tests, and no log handler that stays."""
    forget_environment(monkeypatch)
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


# --- All places where an identity is given --------------------------------------------------------------------------


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _walk(inner, (*path, name))
    else:
        yield path, command


def _identity_parameters() -> Iterator[tuple[tuple[str, ...], click.Command, click.Parameter]]:
    for path, command in _walk(main, ()):
        for parameter in command.params:
            if isinstance(parameter.type, IdentityFileType) and path not in (
                ("identity", "new"),
                ("identity", "import"),
            ):
                yield path, command, parameter


PLACES = list(_identity_parameters())


def _argument_for(parameter: click.Parameter) -> str:
    if isinstance(parameter.type, PrincipalType):
        return BACKEND
    if isinstance(parameter.type, click.Choice):
        return str(parameter.type.choices[0])
    if isinstance(parameter.type, EventType):
        return "AfterDeath"
    return "0x" + "00" * 32 if parameter.name == "module_hash" else "1"


def _arguments(path: tuple[str, ...], command: click.Command, place: click.Parameter, given: str) -> list[str]:
    """A command line that is right but for its identity: options first, so that `--` can shield the arguments."""
    # The doctor looks at an identity first and goes on: there is no replica, so it ends at once.
    network = "embedded" if path == ("doctor",) else "ic"
    options = ["--network", network] if any(p.name == "network_name" for p in command.params) else []
    positional = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            if parameter is place or parameter.required:
                positional.append(given if parameter is place else _argument_for(parameter))
        elif parameter is place:
            options.append(f"{parameter.opts[0]}={given}")
        elif parameter.required or parameter.name == "backend":
            options += [parameter.opts[0], _argument_for(parameter)]
    return [*path, *options, "--", *positional] if positional else [*path, *options]


def test_every_option_for_an_identity_is_of_the_type_that_quotes_nothing() -> None:
    named = {
        (*path, str(parameter.name))
        for path, command in _walk(main, ())
        for parameter in command.params
        if re.search("identity|admin_file", str(parameter.name)) and isinstance(parameter.type, click.Path)
    }
    assert len(named) > 30
    assert named - {(*path, str(parameter.name)) for path, _, parameter in PLACES} == set()
    assert {path[0] for path, _, _ in PLACES} >= set(COMMANDS) - {"demo", "replica", "completion"}


def run(arguments: list[str], *flags: str, env: str | None = None) -> Result:
    command, rest = arguments[:], list(flags)
    at = command.index("--") if "--" in command else len(command)
    variables = None if env is None else {"CANISTER_FACTORY_IDENTITY": env}
    return CliRunner().invoke(main, command[:at] + rest + command[at:], env=variables)


# --- What they may hold ---------------------------------------------------------------------------------------------

PEM = Identity.generate().to_pem().decode()
KEY = ec.derive_private_key(int("5ec4e75e" * 8, 16) >> 1, ec.SECP256K1())
WORDS = Mnemonic("english").wordlist


def _pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, form: ser.PrivateFormat, password: bytes | None = None
) -> bytes:
    encryption = ser.BestAvailableEncryption(password) if password else ser.NoEncryption()
    return key.private_bytes(ser.Encoding.PEM, form, encryption)


def _der() -> bytes:
    return KEY.private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption())


def _phrase() -> str:
    return Mnemonic("english").to_mnemonic(bytes(range(100, 132)))


def _javascript_identity() -> str:
    owner, session = Identity.generate(), Identity.generate()
    link = owner.sign_delegation(session.der_pubkey or b"", 2**60)
    public_key = (owner.der_pubkey or b"").hex()
    fields = {"pubkey": (session.der_pubkey or b"").hex(), "expiration": f"{2**60:x}"}
    signed = [{"delegation": fields, "signature": link["signature"].hex()}]
    return json.dumps({"key": [session.pubkey, "9d" * 32], "chain": {"publicKey": public_key, "delegations": signed}})


FILES: dict[str, bytes] = {
    "hex": b"5ec4e75e" * 8,
    "hex with prefix and line end": b"0x" + b"5ec4e75e" * 8 + b"\r\n",
    "base64": base64.b64encode(bytes(range(7, 250, 5))),
    "seed phrase": _phrase().encode(),
    "JSON of a JavaScript agent": _javascript_identity().encode(),
    "DER": _der(),
    "encrypted PKCS#8": _pem(KEY, ser.PrivateFormat.PKCS8, b"pass"),
    "encrypted SEC1": _pem(KEY, ser.PrivateFormat.TraditionalOpenSSL, b"pass"),
    "OpenSSH": _pem(ec.generate_private_key(ec.SECP256R1()), ser.PrivateFormat.OpenSSH),
    "RSA": _pem(rsa.generate_private_key(65537, 2048), ser.PrivateFormat.PKCS8),
    "PEM with a broken body": PEM.replace("MC4", "MC5!").encode(),
    "PEM cut short": PEM[:60].encode(),
    "PEM without its frame": PEM.splitlines()[1].encode(),
    "PEM in UTF-16": PEM.encode("utf-16"),
    "PEM in UTF-16 without a mark": PEM.encode("utf-16-be"),
    "broken PEM with a byte order mark": b"\xef\xbb\xbf" + PEM[:70].encode(),
    "text": b"the key: 5ec4-e75e-5ec4-e75e, and some more",
    "binary": bytes(range(256)),
    "not UTF-8": b"cl\xe9 priv\xe9e " + b"5ec4e75e" * 8,
    "huge": b"5ec4e75e" * 10_000,
}


@lru_cache(maxsize=len(FILES))
def windows(content: bytes) -> set[str]:
    """Every 8 consecutive characters of a content, in all its readings, without PEM's own lines."""
    readings = {content.decode("latin-1"), content.decode("utf-8", "ignore"), content.decode("utf-16", "ignore")}
    readings |= {content.decode("utf-16-be", "ignore"), content.hex()}
    bodies = [re.sub(r"-----(BEGIN|END) [A-Z0-9 ]+-----", "\n", reading) for reading in readings]
    return {window for body in bodies for window in pieces(body) if len(set(window)) > 1}


def pieces(text: str) -> set[str]:
    return {text[at : at + WINDOW] for at in range(len(text) - WINDOW + 1)}


def assert_nothing_is_repeated(content: bytes, result: Result, *public: str) -> None:
    said = result.output
    for known in (EXPECTED, *public):
        said = said.replace(known, "")
    said += said.replace("\n", "")  # a line may be broken anywhere
    assert windows(content) & pieces(said) == set()


def refused(result: Result) -> bool:
    return result.exit_code in (2, 3) and ("identity file" in result.output or "usable" in result.output)


# --- The tests ------------------------------------------------------------------------------------------------------


@pytest.mark.sample(12)  # which read it by the same type of option: the test above sees to that
@pytest.mark.parametrize("place", PLACES, ids=lambda place: " ".join((*place[0], str(place[2].name))))
def test_no_command_repeats_anything_of_an_identity_file(
    place: tuple[tuple[str, ...], click.Command, click.Parameter], tmp_path: Path
) -> None:
    path, command, parameter = place
    good = tmp_path / "good.pem"
    Identity.generate().write_pem(good)
    for number, (kind, content) in enumerate(FILES.items()):
        file = tmp_path / f"file{number}"
        file.write_bytes(content)
        flags = [*NOISY, "--json"] if number % 2 else NOISY
        env = str(good) if parameter.name == "admin_file" else None
        result = run(_arguments(path, command, parameter, str(file)), *flags, env=env)
        assert refused(result), f"{kind}: {result.output}"
        assert_nothing_is_repeated(content, result, str(file))


@pytest.mark.parametrize("kind", FILES)
def test_a_file_named_by_the_environment_is_repeated_as_little(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FILES[kind])
    for flags in ([], ["--json"], NOISY):
        result = run(["admin", "stats", "--network", "ic", "--backend", BACKEND], *flags, env="file")
        assert refused(result)
        assert_nothing_is_repeated(FILES[kind], result)


# A text of no form that a key has is a name like any other.
@pytest.mark.parametrize(
    "kind", [k for k, content in FILES.items() if k not in ("huge", "text") and b"\0" not in content]
)
@pytest.mark.parametrize("place", PLACES[:2] + [place for place in PLACES if place[0] == ("identity", "show")], ids=str)
def test_a_key_in_the_place_of_its_files_name_is_not_repeated(
    kind: str, place: tuple[tuple[str, ...], click.Command, click.Parameter]
) -> None:
    content = FILES[kind]
    typed = content.decode("utf-8", "surrogateescape")
    for flags in ([], ["--json"], NOISY):
        assert_nothing_is_repeated(content, run(_arguments(*place, typed), *flags))
        assert_nothing_is_repeated(content, run(_arguments(*place, "x"), *flags, env=typed))


@pytest.mark.parametrize("kind", ["hex", "base64", "seed phrase", "PEM cut short", "OpenSSH"])
def test_a_key_that_the_shell_split_into_arguments_is_not_repeated(kind: str) -> None:
    """As of `identity show $(cat key)`: what follows is no argument or option of the command."""
    content = FILES[kind]
    typed = content.decode().split()
    for arguments in (["identity", "show", *typed], ["identity", "show", content.decode()], ["identity", *typed]):
        result = run(arguments)
        assert result.exit_code == 2
        assert_nothing_is_repeated(content, result)


_HEX = st.binary(min_size=16, max_size=64).map(lambda raw: raw.hex().encode())
_PHRASES = st.lists(st.sampled_from(WORDS), min_size=12, max_size=24).map(lambda words: " ".join(words).encode())
_JSON = st.binary(min_size=16, max_size=48).map(lambda raw: json.dumps([raw.hex(), raw.hex()]).encode())
_FRAMED = st.binary(min_size=8, max_size=400).map(
    lambda raw: b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(raw) + b"-----END PRIVATE KEY-----\n"
)
_CONTENTS = st.one_of(_HEX, _PHRASES, _JSON, _FRAMED, st.binary(min_size=8, max_size=300), st.text().map(str.encode))


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    _CONTENTS,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "crlf"]),
    st.sampled_from(PLACES),
    st.sampled_from([(), ("--json",), NOISY, ("--json", *NOISY)]),
)
def test_no_content_at_all_is_repeated(
    tmp_path: Path,
    content: bytes,
    form: str,
    place: tuple[tuple[str, ...], click.Command, click.Parameter],
    flags: tuple[str, ...],
) -> None:
    if form == "crlf":
        content = content.replace(b"\n", b"\r\n")
    elif form != "utf-8":
        content = content.decode("latin-1").encode(form)
    file = tmp_path / "file"
    file.write_bytes(content)
    good = tmp_path / "good.pem"
    if not good.exists():
        Identity.generate().write_pem(good)
    env = str(good) if place[2].name == "admin_file" else None
    result = run(_arguments(*place, str(file)), *flags, env=env)
    assert refused(result), result.output
    assert_nothing_is_repeated(content, result, str(file))


# --- The mode of a file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_key_that_others_can_read_is_warned_of_in_one_line_on_stderr(flags: list[str], tmp_path: Path) -> None:
    Identity.generate().write_pem("my key.pem")
    Path("my key.pem").chmod(0o640)
    result = run(["identity", "show", "my key.pem"], *flags)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "warning: other users of this computer can read the key in my key.pem: run chmod 600 'my key.pem'"
    ]
    assert "warning" not in result.stdout


def test_the_same_file_is_warned_of_once_in_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    Identity.generate().write_pem("key.pem")
    Path("key.pem").chmod(0o644)
    for _ in range(2):
        with click.Context(main):
            IdentitySource(Path("key.pem")).load()
            IdentitySource(Path("key.pem")).load()
        assert capsys.readouterr().err.count("chmod 600 key.pem") == 1
