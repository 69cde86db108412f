"""Every command explains itself, and refuses what can't be meant before it asks a network."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from canister_factory.cli import main
from canister_factory.ic.identity import Identity
from support.cli_settings import run_alone

BACKEND = "rwlgt-iiaaa-aaaaa-aaaaa-cai"
GROUPS = ("admin", "events", "executors", "identity", "reserve")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests, no replica, no log handler that stays."""
    run_alone(monkeypatch)
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def key(tmp_path: Path) -> str:
    Identity.generate().write_pem(tmp_path / "key.pem")
    return str(tmp_path / "key.pem")


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def every_command() -> Iterator[tuple[str, ...]]:
    def within(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            yield (*path, name)
            if isinstance(command, click.Group):
                yield from within(command, (*path, name))

    yield from within(main, ())


@pytest.mark.parametrize("command", list(every_command()), ids=" ".join)
def test_every_command_has_help_with_all_options_explained(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    group: click.Command = main
    for name in command:
        assert isinstance(group, click.Group)
        found = group.get_command(click.Context(group), name)
        assert found is not None
        group = found
    assert group.help
    for parameter in group.params:
        if isinstance(parameter, click.Option):
            sentences = str(parameter.help).split("  [")[0]
            assert re.fullmatch(r"[A-Z].*\.", sentences), f"{' '.join(command)} {parameter.opts[0]}: {sentences}"


@pytest.mark.parametrize("command", [(), *every_command()], ids=" ".join)
def test_every_line_of_a_help_fits_a_terminal_of_80_columns(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in run(*command, "--help").stdout.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_shows_an_example(group: str) -> None:
    assert f"canister-factory {group}" in run(group, "--help").stdout


def test_what_needs_a_key_refuses_to_be_anonymous_and_says_how_to_make_one(key: str) -> None:
    for command in (["deploy"], ["admin", "enable"], ["worker"], ["run", BACKEND], ["status"], ["verify", BACKEND]):
        result = run("--backend", BACKEND, *command, "--network", "ic")
        assert result.exit_code == 2
        assert "the command needs an identity, and you are anonymous" in result.stderr
        assert "canister-factory identity new FILE.pem" in result.stderr


def test_deploy_on_mainnet_says_where_the_canister_comes_from(key: str) -> None:
    result = run("deploy", "--network", "ic", "--identity", key)
    assert result.exit_code == 2
    assert "with your own cycles" in result.stderr
    assert "--canister" in result.stderr


def test_deploy_on_mainnet_does_not_fund_the_reserve(key: str) -> None:
    result = run("deploy", "--network", "ic", "--identity", key, "--canister", BACKEND, "--reserve", "5T")
    assert result.exit_code == 2
    assert "reserve top-up --help" in result.stderr


def test_a_top_up_on_mainnet_says_how_to_send_cycles_instead(key: str) -> None:
    result = run("reserve", "top-up", "5T", "--network", "ic", "--identity", key, "--backend", BACKEND, "--json")
    assert result.exit_code == 1
    message = json.loads(result.stdout)["error"]["message"]
    assert f"icp canister top-up {BACKEND} --amount 5000000000000" in message


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["admin", "operators", "add"], "Missing argument 'PRINCIPAL'"),
        (["admin", "admins", "list", BACKEND], "unexpected extra argument"),
        (["admin", "releases", "revoke"], "Missing argument 'HASH'"),
        (["admin", "releases", "revoke", "abc"], "64 digits"),
        (["admin", "operators", "promote"], "No such command 'promote'"),
        (["status", "nobody"], "is not a principal"),
        (["admin", "ack", "first"], "not a valid integer"),
        (["admin", "errors", "--limit", "0"], "--limit"),
        (["list", "--status", "Odd"], "is not one of"),
        (["reserve", "top-up", "lots"], "5T, 500B or 1_000_000"),
        (["reserve", "report", "--window", "1y"], "90s, 30m, 24h or 7d"),
        (["worker", "--parallel", "0"], "--parallel"),
        (["events", "record", "Weding"], "Did you mean 'Wedding'?"),
        (["events", "record", "Birthday"], "write it as Birthday:NUMBER"),
        (["events", "record", "Birthday:x"], "write it as Birthday:NUMBER"),
        (["events", "record", "Birthday:4294967296"], "write it as Birthday:NUMBER"),
        (["events", "revoke", "AfterDeath:1"], "write it as AfterDeath"),
        (["events", "revoke", "custom:"], "write it as Custom:NAME"),
        (["events", "wait", "AfterDeath"], "give KIND with PERIOD"),
        (["events", "wait", "AfterDeath", "90d", "--default"], "give KIND with PERIOD"),
        (["events", "wait", "AfterDeath", "soon"], "90s, 30m, 24h or 7d"),
        (["executors", "add", "2vxsx-fae"], "the anonymous principal"),
    ],
)
def test_usage_errors_name_what_is_wrong(args: list[str], complaint: str, key: str) -> None:
    result = run(*args, "--backend", BACKEND, "--network", "ic", "--identity", key)
    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.mark.parametrize("command", [("events", "list"), ("executors",)], ids=" ".join)
def test_a_capsule_is_found_by_a_canister_or_a_backend(command: tuple[str, ...], key: str) -> None:
    result = run(*command, "--network", "ic", "--identity", key)
    assert result.exit_code == 2
    assert "give --canister, or --backend (or set CANISTER_FACTORY_BACKEND)" in result.stderr


def test_a_missing_backend_is_a_usage_error(key: str) -> None:
    result = run("admin", "enable", "--network", "ic", "--identity", key)
    assert result.exit_code == 2
    assert "--backend" in result.stderr


# --- identity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1", "p256"])
def test_a_new_identity_is_for_its_owner_only_and_shown_without_its_key(kind: str, tmp_path: Path) -> None:
    made = run("identity", "new", "me.pem", "--kind", kind, "--json")
    assert made.exit_code == 0, made.stderr
    file = tmp_path / "me.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = run("identity", "show", "me.pem", "--json")
    assert json.loads(shown.stdout) == json.loads(made.stdout)
    assert json.loads(shown.stdout)["kind"] == kind
    assert json.loads(shown.stdout)["principal"] == str(Identity.from_pem_file(file).sender())
    secret = file.read_text().splitlines()[1]
    assert secret not in shown.stdout + made.stdout


def test_an_identity_is_never_overwritten(key: str) -> None:
    before = Path(key).read_bytes()
    result = run("identity", "new", key)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert Path(key).read_bytes() == before


# --- doctor ---------------------------------------------------------------------------------------------------------


def verdicts(result: Result) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in json.loads(result.stdout)["checks"]}


def test_the_doctor_finds_no_replica_and_no_key_and_says_how_to_get_them() -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 3
    found = verdicts(result)
    assert found["network"] == "fail"
    assert found["identity"] == "warn"
    assert found["bundled canisters"] == "ok"
    assert "canister-factory replica start" in result.stdout
    assert "identity new" in result.stdout


def test_the_doctor_tells_an_unreachable_network_by_its_exit_code() -> None:
    result = run("doctor", "--network", "http://127.0.0.1:9", "--fetch-root-key", "--json")
    assert result.exit_code == 3
    assert verdicts(result)["network"] == "fail"


def test_the_doctor_warns_of_a_key_that_others_can_read(key: str) -> None:
    Path(key).chmod(0o644)
    result = run("doctor", "--identity", key, "--json")
    assert verdicts(result)["identity"] == "warn"
    assert f"chmod 600 {key}" in result.stdout


def test_the_doctor_goes_on_after_a_file_that_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_text("nothing")
    result = run("doctor", "--identity", "odd.pem", "--json")
    assert verdicts(result)["identity"] == "fail"
    assert verdicts(result)["network"] == "fail"


def test_the_doctor_shows_a_person_a_line_for_each_check() -> None:
    lines = run("doctor").stdout.splitlines()
    assert lines[0].startswith("ok")
    assert any(line.startswith("fail  network") for line in lines)


def test_the_documentation_names_every_command(repository: Path) -> None:
    text = (repository / "docs" / "cli.md").read_text("utf-8")
    missing = [" ".join(command) for command in every_command() if command[-1] not in text]
    assert missing == []
