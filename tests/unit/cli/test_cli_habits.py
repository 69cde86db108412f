"""What people expect of any command line: options anywhere, the misspelt understood, variables named, completion."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.principal import Principal
from canister_factory.cli import errors, logs, main, options, output
from canister_factory.cli.failures import words_of
from canister_factory.cli.refusals import note_caller, note_missing_role
from canister_factory.cli.roles import Role
from canister_factory.contract.creation_models import CreationError, CreationErrorKind
from canister_factory.contract.errors import CreationRefused
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.version import __version__
from support.cli_settings import forget_environment

BACKEND, OTHER = "rwlgt-iiaaa-aaaaa-aaaaa-cai", "lxzze-o7777-77777-aaaaa-cai"


@pytest.fixture(autouse=True)
def verbosities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """No settings of whoever runs the tests; what logging was started with."""
    forget_environment(monkeypatch)
    monkeypatch.setenv("CANISTER_FACTORY_HOME", str(tmp_path / "home"))
    started: list[int] = []
    monkeypatch.setattr(logs, "start", started.append)
    monkeypatch.chdir(tmp_path)
    for name in ("me", "you"):
        Identity.generate().write_pem(tmp_path / f"{name}.pem")
    return started


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Backend, network and identity that calls would have been made with; no call is made."""
    from canister_factory.cli import backend, backend_check

    calls: list[tuple[str, str, str]] = []

    class Noted(CanisterFactoryError):  # noqa: N818 - it ends the command, which has no answer to show
        pass

    def client(agent: tuple[Identity, Network], backend_id: Principal) -> None:
        identity, network = agent
        calls.append((str(backend_id), network.name, str(identity.sender())))
        raise Noted("asked")

    monkeypatch.setattr(
        backend, "run_with_agent", lambda identity, network, work: asyncio.run(work((identity, network)))
    )
    monkeypatch.setattr(backend_check, "CheckedBackend", client)
    return calls


# --- Common options -------------------------------------------------------------------------------------------------

COMMON = ["--backend", BACKEND, "--network", "ic", "--identity", "me.pem", "--json"]


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_common_options_work_before_and_after_the_command_at_each_level(
    place: int, asked: list[tuple[str, str, str]]
) -> None:
    command = ["admin", "operators", "list"]
    result = run(*command[:place], *COMMON, *command[place:])
    me = str(Identity.from_pem_file(Path("me.pem")).sender())
    assert asked == [(BACKEND, "ic", me)]
    assert json.loads(result.stdout)["error"]["message"] == "asked"


def test_a_group_without_a_command_lists_with_the_same_options(asked: list[tuple[str, str, str]]) -> None:
    for group in ("admins", "operators", "releases"):
        run("admin", *COMMON, group)
        run("admin", group, *COMMON)
    assert {backend for backend, _, _ in asked} == {BACKEND}
    assert len(asked) == 6


def test_what_is_given_nearest_to_the_command_wins(asked: list[tuple[str, str, str]]) -> None:
    outer = ["--backend", OTHER, "--network", "local", "--identity", "you.pem"]
    run(*outer, "admin", *COMMON, "stats")
    run(*outer, "admin", "stats", *COMMON)
    run(*COMMON, "admin", *outer, "stats", *COMMON)
    me = str(Identity.from_pem_file(Path("me.pem")).sender())
    assert asked == [(BACKEND, "ic", me)] * 3


def test_what_is_typed_before_the_command_wins_over_the_environment(
    asked: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANISTER_FACTORY_BACKEND", OTHER)
    monkeypatch.setenv("CANISTER_FACTORY_NETWORK", "no-such-network")
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY", "no-such-file.pem")
    run(*COMMON, "admin", "stats")
    assert [(backend, network) for backend, network, _ in asked] == [(BACKEND, "ic")]


def test_upgrade_takes_the_backend_that_was_typed_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from canister_factory.cli import deploy_steps

    upgraded: list[Principal] = []

    async def instead(agent: object, backend: Principal) -> None:
        upgraded.append(backend)
        raise errors.CommandError("asked")

    monkeypatch.setattr(deploy_steps, "require_backend", instead)
    monkeypatch.setenv("CANISTER_FACTORY_BACKEND", OTHER)
    run(*COMMON, "upgrade")
    run("upgrade", BACKEND, *COMMON[2:])
    run(*COMMON[2:], "upgrade")
    assert list(map(str, upgraded)) == [BACKEND, BACKEND, OTHER]


def test_a_common_option_is_ignored_before_a_command_that_has_no_use_for_it_and_refused_after_it() -> None:
    made = run("--backend", BACKEND, "--network", "ic", "identity", "new", "new.pem")
    assert made.exit_code == 0, made.stderr
    refused = run("identity", "new", "newer.pem", "--backend", BACKEND)
    assert refused.exit_code == 2
    assert "No such option '--backend'" in refused.stderr


def test_verbosity_counts_where_it_stands(verbosities: list[int]) -> None:
    run("-vv", "identity", "show", "me.pem")
    assert verbosities[-1] == 2
    run("identity", "-v", "show", "me.pem")
    assert verbosities[-1] == 1
    run("-vv", "identity", "show", "me.pem", "-v")
    assert verbosities[-1] == 1


@pytest.mark.parametrize("group", [[], ["admin"], ["admin", "operators"], ["reserve"], ["identity"], ["replica"]])
def test_the_help_of_each_group_shows_the_common_options(group: list[str]) -> None:
    shown = run(*group, "--help").stdout
    for option in ("--backend", "--network", "--root-key", "--fetch-root-key", "--identity", "-v", "--debug", "--json"):
        assert option in shown


@pytest.mark.parametrize("args", [["nonsense", "--json"], ["--json", "list", "--nonsense"], ["admin", "--json", "no"]])
def test_wrong_usage_is_json_wherever_json_was_asked_for(args: list[str]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["kind"] == "UsageError"


# --- Hints ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["stauts"], "Did you mean 'status'"),
        (["admin", "oprators"], "Did you mean 'operators'?"),
        (["admin", "operators", "ad"], "Did you mean 'add'?"),
        (["operators"], "Did you mean 'admin operators'?"),
        (["top-up"], "Did you mean 'owner top-up' or 'reserve top-up'?"),
        (["list", "--lmit", "2"], "Did you mean '--limit'?"),
        (["--jsn", "list"], "Did you mean '--json'?"),
        (["list", "--status", "Complete"], "Did you mean 'Completed'?"),
        (["identity", "new", "x.pem", "--kind", "ed2551"], "Did you mean 'ed25519'?"),
        (["completion", "bsh"], "Did you mean 'bash' or 'zsh'?"),
    ],
)
def test_the_misspelt_is_answered_with_what_was_meant(args: list[str], hint: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert hint in result.stderr


def test_choices_are_taken_in_any_case(asked: list[tuple[str, str, str]]) -> None:
    run("list", "--status", "completed", *COMMON)
    assert len(asked) == 1


def test_the_version_is_that_of_the_program_by_its_name() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"canister-factory, version {__version__}\n"


def test_a_missing_option_names_its_variable() -> None:
    result = run("list", "--identity", "me.pem", "--network", "ic")
    assert result.exit_code == 2
    assert "Missing option '--backend' (or set CANISTER_FACTORY_BACKEND)" in result.stderr
    result = run("upgrade", "--identity", "me.pem", "--network", "ic")
    assert "Missing argument 'BACKEND' (or set CANISTER_FACTORY_BACKEND)" in result.stderr
    result = run("list", "--backend", BACKEND, "--network", "ic")
    assert "--identity FILE.pem (or set CANISTER_FACTORY_IDENTITY)" in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("BACKEND", "nobody"), ("NETWORK", "nowhere"), ("IDENTITY", "no-such.pem"), ("IDENTITY", "odd.pem")],
)
def test_a_bad_value_in_the_environment_names_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("odd.pem").write_text("nothing")
    variable = f"CANISTER_FACTORY_{name}"
    given = {"BACKEND": BACKEND, "NETWORK": "ic", "IDENTITY": "me.pem"}
    others = [word for other, right in given.items() if other != name for word in (f"--{other.lower()}", right)]
    monkeypatch.setenv(variable, value)
    result = run("list", *others)
    assert result.exit_code == 2
    assert f"the environment variable {variable}" in result.stderr
    monkeypatch.delenv(variable)
    typed = run("list", *others, f"--{name.lower()}", value)
    assert typed.exit_code == 2
    assert variable not in typed.stderr


# --- Roles ----------------------------------------------------------------------------------------------------------


def leaves(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_command_that_asks_a_backend_says_which_role_it_needs() -> None:
    without = {
        name
        for name, command in leaves()
        if {"backend", "ask"} & {parameter.name for parameter in command.params}
        and not isinstance(getattr(command.callback, "role", None), Role)
    }
    # These need a controller, and say so themselves; `doctor` and `cleanup` have several callers or none.
    assert without == {"upgrade", "backend backup", "doctor", "cleanup"}


def refusal(message: str = "abc is not an admin.") -> CreationRefused:
    error = CreationError(kind=CreationErrorKind.Unauthorized, message=message, retry_helps=False)
    return CreationRefused("add_operator", error)


@pytest.mark.parametrize(
    "error",
    [
        refusal(),
        RejectedError(4, "Canister rejected the message", "IC0406", certified=False),
        RejectedError(5, "canister_inspect_message explicitly refused message", "IC0503", certified=False),
    ],
    ids=["answered", "not accepted", "not accepted by Motoko"],
)
def test_a_refused_caller_is_told_the_role_who_asked_and_how_it_is_given(error: Exception) -> None:
    caller = Identity.from_pem_file(Path("me.pem")).sender()
    note_missing_role(error, Role.ADMIN, caller, Principal.from_str(BACKEND))
    told = words_of(error)
    assert f"needs the role admin on the backend {BACKEND}. {output.ident(caller)} does not have it" in told
    assert f"'canister-factory admin admins add {caller} --backend {BACKEND}'" in told


def test_other_failures_say_nothing_of_roles_or_of_being_anonymous() -> None:
    for error in (
        RejectedError(4, "the shop is closed", "IC0406", certified=True),
        RejectedError(5, "trapped", "IC0503", certified=True),
        CreationRefused("f", CreationError(kind=CreationErrorKind.Busy, message="taken", retry_helps=True)),
        OSError("disk full"),
    ):
        note_missing_role(error, Role.ADMIN, Principal.from_str(BACKEND), Principal.from_str(BACKEND))
        note_caller(error, Principal.anonymous())
        assert words_of(error) == str(error)


@pytest.mark.parametrize(
    "error",
    [
        refusal("The anonymous principal cannot call this; sign in as an admin."),
        RejectedError(4, "Canister rejected the message", "IC0406", certified=False),
        RejectedError(5, "Only controllers of canister x can call canister_status", "IC0512", certified=True),
        RejectedError(4, "Anonymous caller not allowed", "IC0406", certified=True),
    ],
)
def test_an_anonymous_caller_is_told_so_where_that_is_why(error: Exception) -> None:
    async def work(agent: object) -> None:
        raise error

    network = options.resolve_network("ic")
    with pytest.raises(type(error)) as raised:
        options.run_with_agent(Identity.from_pem_file(Path("me.pem")), network, work)
    assert "anonymous: give" not in words_of(raised.value)
    with pytest.raises(type(error)) as raised:
        options.run_with_agent(Identity.anonymous(), network, work)
    assert "You are anonymous: give --identity FILE.pem (or set CANISTER_FACTORY_IDENTITY)" in words_of(raised.value)


def test_a_caller_who_is_no_controller_is_named() -> None:
    caller = Identity.from_pem_file(Path("me.pem")).sender()
    error = RejectedError(5, "Only controllers of canister x can call stop_canister", "IC0512", certified=True)
    note_caller(error, caller)
    assert words_of(error).endswith(f"can call stop_canister. The caller, {output.ident(caller)}, is not one of them")
    says_it = RejectedError(5, f"Only controllers can. Sender's ID: {caller}", "IC0512", certified=True)
    note_caller(says_it, caller)
    assert words_of(says_it) == str(says_it)


# --- identity principal ---------------------------------------------------------------------------------------------


def test_a_principal_is_printed_alone_for_use_in_other_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    me, you = (str(Identity.from_pem_file(Path(f"{name}.pem")).sender()) for name in ("me", "you"))
    assert run("identity", "principal", "me.pem").stdout == f"{me}\n"
    assert run("identity", "principal", "--identity", "me.pem").stdout == f"{me}\n"
    assert run("--identity", "me.pem", "identity", "principal").stdout == f"{me}\n"
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY", "you.pem")
    assert run("identity", "principal").stdout == f"{you}\n"
    assert run("identity", "principal", "me.pem").stdout == f"{me}\n"
    assert json.loads(run("identity", "principal", "--json").stdout) == {"principal": you}


def test_nobodys_principal_is_not_printed() -> None:
    result = run("identity", "principal")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "CANISTER_FACTORY_IDENTITY" in result.stderr


# --- Completion -----------------------------------------------------------------------------------------------------


def completed_by_bash(line: str) -> list[str]:
    """What bash offers at the end of `line`, with the script that `completion bash` prints."""
    words = line.split(" ")
    script = f"""
        set -e
        eval "$(canister-factory completion bash)"
        complete -p canister-factory >/dev/null
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
        _canister_factory_completion canister-factory
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "--norc", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("canister-factory ad", ["admin"]),
        ("canister-factory admin op", ["operators"]),
        ("canister-factory --network ic admin operators ", ["add", "hand-on", "list", "remove"]),
        ("canister-factory list --sta", ["--status"]),
        ("canister-factory --fe", ["--fetch-root-key"]),
        ("canister-factory list --status Co", ["Completed"]),
        ("canister-factory completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes_commands_options_and_values(line: str, offered: list[str]) -> None:
    assert completed_by_bash(line) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_that_asks_us_for_completions(shell: str) -> None:
    script = run("completion", shell).stdout
    assert f"_CANISTER_FACTORY_COMPLETE={shell}_complete" in script
    start = {"zsh": "#compdef canister-factory", "fish": "function _canister_factory_completion"}[shell]
    assert script.startswith(start)
    asked = {"COMP_WORDS": "canister-factory adm", "COMP_CWORD": {"zsh": "1", "fish": "adm"}[shell]}
    ran = subprocess.run(
        [Path(sys.executable).parent / "canister-factory"],
        env={**os.environ, **asked, "_CANISTER_FACTORY_COMPLETE": f"{shell}_complete"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "admin" in ran.stdout
    assert ran.stderr == ""
