"""Whoever lacks a role is told which one a command needs, for every command; and what happens to the last admin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from canister_factory.candid.principal import Principal
from canister_factory.cli import main
from canister_factory.cli.roles import Role
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from support.cli_settings import run_alone
from support.command_arguments import ARGUMENTS

ROLES = ("admin", "operator", "stranger")

"""What has to be given besides the common options, for a command to come as far as the backend."""

GIVEN_BY = {Role.ADMIN: "admins", Role.OPERATOR: "operators", Role.STAFF: "operators"}


def commands_with_a_role(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Role]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands_with_a_role(command, (*path, name))
        elif command is not None and (role := getattr(command.callback, "role", None)) in GIVEN_BY:
            yield " ".join((*path, name)), role


COMMANDS = dict(commands_with_a_role())


class People:
    """A backend, and people with different roles."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.directory = directory
        self.ids = {}
        for role in ROLES:
            identity = Identity.generate()
            identity.write_pem(directory / f"{role}.pem")
            self.ids[role] = identity.sender()
        self.other = Identity.generate().sender()
        made = self.run("admin", "deploy", "--operator", str(self.ids["operator"]))
        self.backend = json.loads(made[1])["backend_id"]

    def run(self, role: str | None, *args: str, as_json: bool = True) -> tuple[int, str]:
        """Exit code, and stdout or without JSON stderr."""
        common = ["--network", self.network.url, "--root-key", self.network.root_key.hex()]
        if role is not None:
            common += ["--identity", str(self.directory / f"{role}.pem")]
        if hasattr(self, "backend"):
            common += ["--backend", self.backend]
        result = CliRunner().invoke(main, [*common, *(["--json"] if as_json else []), *args])
        return result.exit_code, result.stdout if as_json else result.stderr

    def refused(self, role: str | None, *args: str) -> str:
        """The message of the error that a command ended with."""
        code, out = self.run(role, *args)
        assert code == 1, out
        message: str = json.loads(out.splitlines()[-1])["error"]["message"]
        return message


@pytest.fixture
def people(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    """A backend that `deploy` made."""
    run_alone(monkeypatch)
    return People(network, tmp_path)


def test_every_command_tells_a_caller_without_the_role_which_it_needs(people: People) -> None:
    assert {"admin enable", "reserve status", "list", "run", "worker"} <= set(COMMANDS)
    for command, role in COMMANDS.items():
        arguments = [word.format(other=people.other) for word in ARGUMENTS.get(command, [])]
        callers = ["stranger"]
        if role == Role.ADMIN:
            callers.append("operator")
        # An admin may look for creations: a worker starts, and finds nothing to do.
        if role == Role.OPERATOR and command not in ("worker", "admin operators hand-on"):
            callers.append("admin")
        for caller in callers:
            told = people.refused(caller, *command.split(), *arguments)
            who = people.ids[caller]
            needed = f"The command needs the role {role} on the backend {people.backend}. {who} does not have it"
            assert needed in told, f"{command} as {caller}: {told}"
            assert f"'canister-factory admin {GIVEN_BY[role]} add {who} --backend {people.backend}'" in told


def test_the_command_that_the_refusal_names_gives_the_role(people: People) -> None:
    told = people.refused("stranger", "admin", "disable")
    command = told.rpartition("canister-factory ")[2].rstrip("'").split()
    assert people.run("admin", *command)[0] == 0
    assert people.run("stranger", "admin", "disable")[0] == 0


def test_an_anonymous_caller_is_told_so_and_how_to_give_an_identity(people: People) -> None:
    told = people.refused(None, "call", people.backend, "set_personal_canister_creation_enabled", "(true)")
    assert "You are anonymous: give --identity FILE.pem (or set CANISTER_FACTORY_IDENTITY)" in told
    told = people.refused(
        None, "call", "aaaaa-aa", "stop_canister", f'(record {{ canister_id = principal "{people.backend}" }})'
    )
    assert "You are anonymous" in told
    signed = people.refused("stranger", "call", people.backend, "set_personal_canister_creation_enabled", "(true)")
    assert "anonymous" not in signed


def test_the_last_admin_is_removed_only_with_force(people: People) -> None:
    admin, stranger = str(people.ids["admin"]), str(people.ids["stranger"])
    told = people.refused("admin", "admin", "admins", "remove", admin)
    assert f"{admin} is the last admin; nothing was changed" in told
    assert "--force" in told
    assert json.loads(people.run("admin", "admin", "admins")[1]) == {"admins": [admin]}
    assert people.run("admin", "admin", "admins", "add", stranger)[0] == 0
    # With another one there it needs no force, and who removes itself gets an answer all the same.
    assert json.loads(people.run("stranger", "admin", "admins", "remove", stranger)[1]) == {"admins": [admin]}
    assert json.loads(people.run("admin", "admin", "admins", "remove", admin, "--force")[1]) == {"admins": []}
    # The controller may still add one.
    assert json.loads(people.run("admin", "admin", "admins", "add", stranger)[1]) == {"admins": [stranger]}


def test_removing_somebody_who_is_no_admin_needs_no_force(people: People) -> None:
    other = str(Principal(bytes(range(29))))
    code, out = people.run("admin", "admin", "admins", "remove", other)
    assert code == 0, out
    assert json.loads(out) == {"admins": [str(people.ids["admin"])]}
