"""`deploy` and `upgrade`: a backend on a network, from nothing to ready for creations.

Owns the order and what is shown. Does not own: the steps (`factory.deployment`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.amounts import CYCLES
from canister_factory.cli.backend_check import require_backend
from canister_factory.cli.errors import InputError, done_already
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import (
    BACKEND_VARIABLE,
    PRINCIPAL,
    ROLE_HOLDER,
    network_options,
    output_options,
    run_with_agent,
)
from canister_factory.cli.parameters import CommonArgument
from canister_factory.cli.progress import step
from canister_factory.contract.admin_models import BackendInit
from canister_factory.contract.artifacts import API_VERSION, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.deployment import (
    INITIAL_CYCLES,
    fund,
    install_backend,
    register_release,
    upgrade_backend,
)
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.management import ManagementCanister

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

_DEFAULT_RESERVE = 20 * 10**12
_MIN_CYCLES = 500 * 10**9
"""The network holds back up to 300 B cycles while it installs a module, and freezes a canister before it is empty."""


@click.command()
@network_options
@signing_identity_option
@click.option("--operator", "operators", type=ROLE_HOLDER, multiple=True, help="Who may run creations; repeatable.")
@click.option(
    "--admin", "admins", type=ROLE_HOLDER, multiple=True, help="Admins besides the identity that deploys; repeatable."
)
@click.option(
    "--cycles", type=CYCLES, default=INITIAL_CYCLES, help="Cycles that the canister is created with.  [default: 3T]"
)
@click.option(
    "--reserve",
    type=CYCLES,
    help="Cycles that are to be available for creations; test networks only.  [default: 20T]",
)
@click.option("--canister", type=PRINCIPAL, help="Install into this empty canister of yours instead of creating one.")
@click.option("--disabled", is_flag=True, help="Refuse requests until 'admin enable'.")
@output_options
def deploy(
    network: Network,
    identity: Identity,
    operators: Sequence[Principal],
    admins: Sequence[Principal],
    cycles: int,
    reserve: int | None,
    canister: Principal | None,
    disabled: bool,
) -> None:
    """Bring a backend to a network, ready for creations.

    Installs the backend, approves the bundled personal canister's module and funds the reserve.

    On a test network the canister is created out of nothing. On mainnet create one first, with cycles of your own and
    the same identity as its controller, and give its id with --canister. Repeated with --canister, it does only what
    is missing, and never installs over another module.

    \b
    Example:
      canister-factory identity new admin.pem
      canister-factory deploy --identity admin.pem --operator $OPERATOR
    """
    if cycles < _MIN_CYCLES and canister is None:
        raise InputError(f"--cycles {cycles:,} is too little to install the backend with; give at least 500B")
    if network.is_mainnet and canister is None:
        raise InputError(
            "on mainnet a canister is created with your own cycles: create one with this identity as its controller "
            f"({identity.sender()}), for example with 'icp canister create', and give its id with --canister"
        )
    if network.is_mainnet and reserve is not None:
        raise InputError(
            "on mainnet the reserve is funded with your own cycles: leave --reserve out, and see "
            "'canister-factory reserve top-up --help'"
        )

    init = BackendInit(operators=list(operators), admins=list(admins), creation_enabled=not disabled)

    async def work(agent: Agent) -> dict[str, Any]:
        canister_id = canister
        if canister_id is None:
            interrupts.if_interrupted("a canister may have been created, whose id is not known here")
            canister_id = await ManagementCanister(agent).provisional_create_canister_with_cycles(cycles)
            step(f"created canister {canister_id}")
        interrupts.if_interrupted(f"the backend is canister {canister_id}: 'deploy --canister {canister_id}' goes on")
        with done_already("" if canister else _made(canister_id, "was created")):
            installed = await install_backend(agent, canister_id, init)
        step(f"backend {canister_id}: {'installed' if installed else 'there already'}")
        client = BackendClient(agent, canister_id)
        with done_already(_made(canister_id, "has the backend")):
            if not installed:
                await _grant(client, operators, admins, disabled)
            await register_release(client)
            if not network.is_mainnet:
                await _fund(agent, client, reserve if reserve is not None else _DEFAULT_RESERVE)
            return await _described(agent, client, installed)

    deployed = run_with_agent(identity, network, work)
    if output.settings.json:
        output.json_object(deployed)
        return
    output.table(
        "Backend",
        [
            ("backend", deployed["backend_id"]),
            ("module hash", f"{output.ident(deployed['module_hash'])} (certified)"),
            ("approved release", output.ident(deployed["personal_module_hash"])),
            ("API version", quoted(deployed["api_version"], 40)),
            ("admins", ", ".join(map(output.ident, deployed["admins"])) or "none"),
            ("operators", ", ".join(map(output.ident, deployed["operators"])) or "none"),
            ("creation", "enabled" if deployed["creation_enabled"] else "disabled"),
            ("reserve", f"{output.cycles(deployed['reserve'])} available"),
        ],
    )
    _what_next(deployed, network)


@click.command()
@click.argument("backend", cls=CommonArgument, type=PRINCIPAL, envvar=BACKEND_VARIABLE)
@network_options
@signing_identity_option
@click.option("--no-release", is_flag=True, help="Don't approve the bundled personal canister's module.")
@output_options
def upgrade(backend: Principal, network: Network, identity: Identity, no_release: bool) -> None:
    """Upgrade a backend; its data are kept.

    BACKEND gets the bundled module, by the identity of one of its controllers.

    \b
    Example:
      canister-factory upgrade $BACKEND --identity admin.pem
    """

    async def work(agent: Agent) -> dict[str, Any]:
        await require_backend(agent, backend)
        interrupts.if_interrupted("the backend may have been upgraded: the same command looks, and goes on")
        done = await upgrade_backend(agent, backend)
        client = BackendClient(agent, backend)
        with done_already(f"The backend {backend} was upgraded" if done.changed else ""):
            if not no_release:
                await register_release(client)
            return {
                "backend_id": backend,
                "changed": done.changed,
                "module_hash_before": done.before,
                "module_hash": done.after,
                "api_version": await client.get_api_version(),
                "releases": [release.module_hash for release in await client.list_releases()],
            }

    upgraded = run_with_agent(identity, network, work)
    if output.settings.json:
        output.json_object(upgraded)
        return
    output.table(
        "Backend",
        [
            ("backend", backend),
            ("upgrade", "done" if upgraded["changed"] else "none needed: it is there already"),
            ("module hash before", f"{output.ident(upgraded['module_hash_before'])} (certified)"),
            ("module hash", f"{output.ident(upgraded['module_hash'])} (certified)"),
            ("API version", upgraded["api_version"]),
            ("approved releases", ", ".join(map(output.ident, upgraded["releases"])) or "none"),
        ],
    )


def _made(canister_id: Principal, what: str) -> str:
    return f"The canister {canister_id} {what}; 'deploy --canister {canister_id}' goes on with it"


async def _grant(
    client: BackendClient, operators: Sequence[Principal], admins: Sequence[Principal], disabled: bool
) -> None:
    """What the init argument would have done, on a backend that is there already."""
    for operator in set(operators) - set(await client.list_operators()):
        await client.add_operator(operator)
    for admin in set(admins) - set(await client.list_admins()):
        await client.add_admin(admin)
    if disabled:
        await client.set_personal_canister_creation_enabled(False)


async def _fund(agent: Agent, client: BackendClient, wanted: int) -> None:
    missing = wanted - (await client.get_reserve_status()).available
    if missing > 0:
        await fund(agent, client.canister_id, missing)


async def _described(agent: Agent, client: BackendClient, installed: bool) -> dict[str, Any]:
    """The backend as it is now; the module hash is certified."""
    module_hash = (await agent.canister_info(client.canister_id)).module_hash
    return {
        "backend_id": client.canister_id,
        "installed": installed,
        "module_hash": module_hash,
        "personal_module_hash": personal_wasm().module_hash,
        "api_version": API_VERSION,
        "admins": await client.list_admins(),
        "operators": await client.list_operators(),
        "creation_enabled": await client.is_personal_canister_creation_enabled(),
        "reserve": (await client.get_reserve_status()).available,
        "network": agent.network.name,
        "url": agent.network.url,
    }


def _what_next(deployed: dict[str, Any], network: Network) -> None:
    backend_id = deployed["backend_id"]
    output.note("What to do next:")
    output.verbatim(f"  export CANISTER_FACTORY_BACKEND={backend_id}")
    if not deployed["operators"]:
        output.verbatim("  canister-factory admin operators add PRINCIPAL   # who runs creations")
    if network.is_mainnet:
        output.verbatim("  canister-factory reserve top-up 5T               # says how to send cycles to the reserve")
    if not deployed["creation_enabled"]:
        output.verbatim("  canister-factory admin enable                    # accept requests")
    output.verbatim("  canister-factory worker --identity OPERATOR.pem  # creates what owners ask for")
