"""A backend id that isn't one: every command that takes a backend says so in one line, before it changes anything.

Walks all commands, as `test_cli_roles` does, so that a new command can't be forgotten.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.cli import main
from canister_factory.contract.artifacts import personal_interface, personal_wasm
from canister_factory.contract.import_models import PersonalInit
from canister_factory.factory.deployment import deploy_backend, fund, is_backend
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import CanisterNotFoundError
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.network import Network
from support.cli_settings import run_alone
from support.command_arguments import ARGUMENTS, HASH

MORE_ARGUMENTS = {
    "cleanup": ["{other}", "--yes"],
    "admin registry": ["{other}"],
    "backend backup": ["copy"],
    "owner accept": ["--yes"],
    "owner backend": ["--yes"],
    "owner backup": ["copy"],
    "owner controllers add": ["{other}", "--yes"],
    "owner controllers remove": ["{other}", "--yes"],
    "owner delete": ["--burn-cycles", "--without-backup", "--yes"],
    "owner move-to": ["{other}", "--yes"],
    "owner top-up": ["1T", "--yes"],
    "owner download": ["files"],
    "owner add": [__file__],
    "owner get": ["x"],
    "owner share": ["x", "--private", "--yes"],
    "owner events record": ["AfterDeath"],
    "owner events revoke": ["AfterDeath"],
    "owner events executors add": ["{other}"],
    "owner events executors remove": ["{other}"],
    "owner undo": ["--yes"],
    "owner move-back": ["--yes"],
    "owner erase": ["--yes"],
    "owner upgrade": ["--yes"],
    "events record": ["AfterDeath"],
    "events revoke": ["AfterDeath"],
    "executors add": ["{other}"],
    "executors remove": ["{other}"],
}
"""What `ARGUMENTS` of the roles leaves out, since these commands have a test of their own, or need no role."""

SAID = {
    "never made": "there is no canister {id} on {url}: it was deleted, or it is on another network",
    "deleted": "there is no canister {id} on {url}: it was deleted, or it is on another network",
    "empty": "{id} is an empty canister, not a backend",
    "personal": "{id} is a personal canister, not a backend",
    "another": "{id} is not a backend, by its certified interface",
    "management": "{id} can't be the id of a backend",
    "person": "there is no canister {id} on {url}",
}
"""Each kind of wrong id, and what is said of it."""


def commands_with_a_backend(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command with `--backend` or an argument BACKEND."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands_with_a_backend(command, (*path, name))
        elif command is not None and any(parameter.name == "backend" for parameter in command.params):
            yield " ".join((*path, name))


COMMANDS = sorted(commands_with_a_backend())


class Strangers:
    """Ids on a network that are no backends, and the commands that are given them."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.identity = Identity.generate()
        self.pem = directory / "caller.pem"
        self.identity.write_pem(self.pem)
        self.ids = asyncio.run(self._made())

    async def _made(self) -> dict[str, Principal]:
        async with Agent(self.identity, self.network) as agent:
            management = ManagementCanister(agent)
            made = {
                name: await management.provisional_create_canister_with_cycles(3 * 10**12)
                for name in ("deleted", "empty", "personal", "another")
            }
            await management.stop_canister(made["deleted"])
            await management.delete_canister(made["deleted"])
            init = PersonalInit(owner=self.identity.sender(), backend=made["empty"])
            argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
            await management.install(made["personal"], personal_wasm().wasm, argument)
            await management.install(made["another"], b"\0asm\x01\0\0\0", b"")
        made["never made"] = Principal(bytes(7) + b"\xff\x01\x01")
        made["management"] = Principal.management_canister()
        made["person"] = Identity.generate().sender()
        return made

    def facts(self, canister: Principal) -> tuple[object, ...]:
        """What a command could have changed of a canister: whether it is there, its module, controllers and cycles."""

        async def look() -> tuple[object, ...]:
            async with Agent(self.identity, self.network) as agent:
                try:
                    info = await agent.canister_info(canister)
                except CanisterNotFoundError:
                    return ("none",)
                # Cycles fall by what the canister itself costs; what is asked here is whether some came in.
                cycles = (await ManagementCanister(agent).canister_status(canister)).cycles
                return info.module_hash, info.controllers, cycles > 3 * 10**12

        return asyncio.run(look())

    def run(self, command: str, backend: Principal) -> tuple[int, str, str]:
        words = ARGUMENTS.get(command, MORE_ARGUMENTS.get(command, []))
        arguments = [word.format(other=Identity.generate().sender()) for word in words]
        common = ["--network", self.network.url, "--root-key", self.network.root_key.hex(), "--identity", str(self.pem)]
        given = [str(backend)] if command in ("upgrade", "owner backend") else ["--backend", str(backend)]
        result = CliRunner().invoke(main, [*command.split(), *arguments, *given, *common, "--json"])
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def strangers(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Strangers:
    run_alone(monkeypatch)
    return Strangers(network, tmp_path)


def test_the_walk_finds_all_commands_that_take_a_backend() -> None:
    groups = {"admin enable", "admin operators add", "reserve top-up", "reserve status"}
    alone = {"cleanup", "doctor", "list", "request", "retry", "run", "status", "upgrade", "verify", "worker"}
    assert groups | alone <= set(COMMANDS)
    assert len(COMMANDS) > 30
    assert HASH in ARGUMENTS["admin releases revoke"]


@pytest.mark.parametrize("kind", SAID)
def test_every_command_says_what_is_wrong_with_its_backend_and_changes_nothing(strangers: Strangers, kind: str) -> None:
    canister = strangers.ids[kind]
    exists = kind not in ("management", "person")
    before = strangers.facts(canister) if exists else ()
    for command in COMMANDS:
        code, out, err = strangers.run(command, canister)
        assert code == 1, f"{command} ended with {code}: {out}{err}"
        told = json.loads(out.splitlines()[-1])
        if command == "doctor":
            message = next(check["found"] for check in told["checks"] if check["name"] == "backend")
        else:
            assert len(out.splitlines()) == 1, f"{command}: {out}"
            message = told["error"]["message"]
            assert told["error"]["kind"] == "NotABackendError", f"{command}: {out}"
            assert "give the id of a backend" in message, f"{command}: {message}"
        assert SAID[kind].format(id=canister, url=strangers.network.url) in message, f"{command}: {message}"
        after = strangers.facts(canister) if exists else ()
        assert after == before, f"{command} changed something"


def test_a_wrong_backend_of_the_environment_is_told_to_come_from_there(
    strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANISTER_FACTORY_BACKEND", str(strangers.ids["empty"]))
    common = ["--network", strangers.network.url, "--root-key", strangers.network.root_key.hex()]
    result = CliRunner().invoke(main, ["admin", "enable", *common, "--identity", str(strangers.pem), "--json"])
    assert result.exit_code == 1
    message = json.loads(result.stdout)["error"]["message"]
    assert message.endswith("The value comes from the environment variable CANISTER_FACTORY_BACKEND")


async def test_a_query_of_a_backend_costs_no_more_than_the_query(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only looks stays quick: the interface is read for updates, once, and for what failed."""
    from canister_factory.cli.backend_check import CheckedBackend

    read = []

    async def counted(agent: Agent, canister_id: Principal) -> bool:
        read.append(canister_id)
        return await is_backend(agent, canister_id)

    monkeypatch.setattr("canister_factory.cli.backend_check.is_backend", counted)
    async with Agent(Identity.generate(), network) as agent:
        deployed = await deploy_backend(agent, [])
        await fund(agent, deployed.canister_id, 10**12)
        backend = CheckedBackend(agent, deployed.canister_id)
        await backend.get_reserve_status()
        await backend.list_releases()
        assert read == []
        await backend.set_reserve_threshold(1)
        await backend.set_reserve_threshold(2)
        assert read == [deployed.canister_id]
