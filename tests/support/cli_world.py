"""Runs commands in this process against a backend of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner

from canister_factory.candid.principal import Principal
from canister_factory.cli import main
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationError,
    CreationErrorKind,
    CreationStatus,
    LeaseRef,
)
from canister_factory.factory.upgrading import Upgrading
from canister_factory.ic.agent import Agent
from canister_factory.ic.identity import Identity
from canister_factory.ic.network import Network
from canister_factory.testing import EmbeddedReplica
from support.cli_settings import run_alone
from support.creation_world import World

T = TypeVar("T")


ROLES = ("admin", "operator", "owner", "stranger")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The objects on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The message of the error object."""
        assert self.code != 0, self.out
        message: str = self.lines[-1]["error"]["message"]
        return message


class Cli:
    """The command line against one backend, as people with different roles."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.directory = directory
        self.backend_id: Principal | None = None
        self.become({role: Identity.generate() for role in ROLES})

    def become(self, identities: dict[str, Identity]) -> None:
        """Other people in the same roles."""
        self.identities = identities
        for role, identity in identities.items():
            self.pem(role).unlink(missing_ok=True)
            identity.write_pem(self.pem(role))

    def pem(self, role: str) -> Path:
        return self.directory / f"{role}.pem"

    def id(self, role: str) -> Principal:
        return self.identities[role].sender()

    def arguments(self, role: str, *args: object, backend: bool = True) -> list[str]:
        common = ["--network", self.network.url, "--root-key", self.network.root_key.hex()]
        common += ["--identity", str(self.pem(role)), "--json"]
        return [*map(str, args), *common, *(["--backend", str(self.backend_id)] if backend else [])]

    def run(self, role: str, *args: object, backend: bool = True) -> Ran:
        result = CliRunner().invoke(main, self.arguments(role, *args, backend=backend))
        return Ran(result.exit_code, result.stdout, result.stderr)

    def ok(self, role: str, *args: object, backend: bool = True) -> Ran:
        ran = self.run(role, *args, backend=backend)
        assert ran.code == 0, f"{args} ended with {ran.code}: {ran.out}{ran.err}"
        return ran

    def said(self, role: str, *args: object, code: int = 0) -> str:
        """What a person reads, all lines in one, of a command that ends with `code`."""
        arguments = [word for word in self.arguments(role, *args) if word != "--json"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, f"{args} ended with {result.exit_code}: {result.output}"
        return " ".join(result.output.split())

    def directly(self, role: str, work: Callable[[Agent, BackendClient], Coroutine[Any, Any, T]]) -> T:
        """What no command does."""
        assert self.backend_id is not None
        backend_id = self.backend_id

        async def run() -> T:
            async with Agent(self.identities[role], self.network) as agent:
                return await work(agent, BackendClient(agent, backend_id))

        return asyncio.run(run())

    def give_capsule(self) -> None:
        """Makes the owner one that may ask for a personal canister."""

        async def register(agent: Agent, backend: BackendClient) -> None:
            await backend.register()
            await backend.register_capsule()

        self.directly("owner", register)

    def leave_failed(self) -> Principal:
        """A creation that failed after its canister was made; returns the canister."""

        async def fail(agent: Agent, backend: BackendClient) -> Principal:
            owner = self.id("owner")
            claimed = await backend.claim_creation(ClaimRequest(owner=owner, worker="test"))
            lease = LeaseRef(owner=owner, lease=claimed.lease)
            await backend.begin_export(lease, False)
            made = await backend.provision_canister(lease)
            error = CreationError(
                kind=CreationErrorKind.InstallFailed,
                message="the disk was full",
                stage=CreationStatus.Installing,
                retry_helps=False,
            )
            await backend.fail_creation(lease, error)
            return made.canister_id

        return self.directly("operator", fail)


@dataclass(frozen=True)
class Deployment:
    """A backend that `deploy` made, and the people that it knows."""

    identities: dict[str, Identity]
    backend_id: Principal


def deploy(cli: Cli) -> Deployment:
    """Deploys a backend with an operator, by the command."""
    made = cli.ok("admin", "deploy", "--operator", cli.id("operator"), backend=False)
    return Deployment(cli.identities, Principal.from_str(made.json["backend_id"]))


@pytest.fixture(scope="session")
def deployment(own_replica: EmbeddedReplica | None, tmp_path_factory: pytest.TempPathFactory) -> Deployment | None:
    """A backend for all tests that begin with one, where they can share it."""
    if own_replica is None:
        return None
    with pytest.MonkeyPatch.context() as monkeypatch:
        run_alone(monkeypatch)
        return deploy(Cli(own_replica.network, tmp_path_factory.mktemp("deployment")))


@pytest.fixture
def cli(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undone: None) -> Cli:
    """The command line before there is a backend."""
    run_alone(monkeypatch)
    return Cli(network, tmp_path)


@pytest.fixture
def quick_upgrades(own_replica: EmbeddedReplica | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an upgrade waits for passes at once on a network whose time is the test's."""
    if own_replica is None:
        return
    replica = own_replica

    async def sleep(seconds: float) -> None:
        replica.advance(seconds)

    defaults = Upgrading.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "sleep", sleep)


@pytest.fixture
def deployed(deployment: Deployment | None, cli: Cli) -> Cli:
    """The command line of a backend that `deploy` made."""
    made = deployment or deploy(cli)
    cli.become(made.identities)
    cli.backend_id = made.backend_id
    return cli


@pytest.fixture
def requested(deployed: Cli) -> Cli:
    """The owner has asked for a personal canister."""
    deployed.give_capsule()
    deployed.ok("owner", "request", "--name", "Mine")
    return deployed


@pytest.fixture
async def operator(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Commands run as the backend's operator, and a creation waits for one."""
    for role in ("admin", "operator", "owner"):
        getattr(world, role).identity.write_pem(tmp_path / f"{role}.pem")
    monkeypatch.setenv("CANISTER_FACTORY_IDENTITY", str(tmp_path / "operator.pem"))
    monkeypatch.setenv("CANISTER_FACTORY_BACKEND", str(world.backend_id))
    await world.as_owner.create_personal_canister(None)
    return world
