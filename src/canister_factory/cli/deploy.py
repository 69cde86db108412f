"""`deploy` and `upgrade`: a backend on a network, from nothing to ready for creations.

Owns the options, and which of them go together. Does not own: the steps (`deploy_steps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from canister_factory.cli import output, settings, upgrades
from canister_factory.cli.admission import ADMISSIONS
from canister_factory.cli.amounts import CYCLES, SECONDS, SIZE
from canister_factory.cli.errors import FAILED, InputError
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import BACKEND_VARIABLE, network_options, output_options, run_with_agent
from canister_factory.cli.parameter_types import PRINCIPAL, ROLE_HOLDER
from canister_factory.cli.parameters import Choice, CommonArgument
from canister_factory.cli.plan import plan_options, require_plan
from canister_factory.cli.upgrades import upgrade_options

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.amounts import CyclesPrice
    from canister_factory.cli.deploy_steps import Wanted
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

_DEFAULT_RESERVE = 20 * 10**12
MIN_CYCLES = 700 * 10**9
"""An installation reserves 600 B for its longest execution, by the dearest prices known; and a canister freezes before
it is empty."""


@click.command()
@network_options
@signing_identity_option
@click.option("--operator", "operators", type=ROLE_HOLDER, multiple=True, help="An operator. Repeatable.")
@click.option(
    "--admin", "admins", type=ROLE_HOLDER, multiple=True, help="An admin besides the deploying identity. Repeatable."
)
@click.option("--cycles", type=CYCLES, help="Cycles to create the canister with.  [default: 3T]")
@click.option(
    "--reserve",
    type=CYCLES,
    help="Cycles to make available for creations. For test networks only.  [default: 20T]",
)
@click.option("--canister", type=PRINCIPAL, help="Your own empty canister to install into.  [default: a new one]")
@click.option(
    "--admission",
    type=Choice(ADMISSIONS),
    help="Who gets a personal canister: Open, Listed or Approval; 'admin admission' changes it.  "
    "[default: Approval on mainnet, Open on a test network]",
)
@click.option("--disabled", is_flag=True, help="Refuse requests until 'admin enable'.")
@click.option(
    "--freezing-threshold",
    type=SECONDS,
    help="How long the backend, and each new personal canister, can idle before it is frozen.  [default: 90d]",
)
@click.option("--wasm-memory-limit", type=SIZE, help="Limit of the backend's Wasm memory.  [default: 4GiB]")
@plan_options
@output_options
def deploy(
    network: Network,
    identity: Identity,
    operators: Sequence[Principal],
    admins: Sequence[Principal],
    cycles: int | None,
    reserve: int | None,
    canister: Principal | None,
    admission: str | None,
    disabled: bool,
    freezing_threshold: int | None,
    wasm_memory_limit: int | None,
    only_plan: bool,
    price: CyclesPrice | None,
) -> None:
    """Install a backend on a network, ready for creations.

    The command installs the backend, approves the bundled personal canister and funds the reserve. --plan shows what it
    would do, and does nothing.

    On a test network it creates the canister and the cycles. On mainnet create a canister first, with your own cycles
    and this identity as its controller, and give its id with --canister. With --canister the command can be repeated:
    it does only what is missing, and never replaces another module.

    \b
    Example:
      canister-factory identity new admin.pem
      canister-factory deploy --identity admin.pem --operator $OPERATOR
    """
    from canister_factory.cli import deploy_steps

    require_plan(only_plan, price)
    _require_affordable(network, identity, cycles, reserve, canister)
    wanted = deploy_steps.Wanted(
        operators,
        admins,
        admission,
        disabled,
        cycles,
        _DEFAULT_RESERVE if reserve is None else reserve,
        canister,
        freezing_threshold,
        wasm_memory_limit,
    )
    if only_plan:
        _show_plan(network, identity, wanted, price)
        return
    deployed = run_with_agent(identity, network, lambda agent: deploy_steps.deploy(agent, wanted))
    if settings.current().json:
        output.json_object(deployed)
    else:
        deploy_steps.show_deployed(deployed, network)


def _show_plan(network: Network, identity: Identity, wanted: Wanted, price: CyclesPrice | None) -> None:
    """Shows what a deployment would do; the exit code is 1 when something would be refused."""
    from canister_factory.cli import deploy_plan

    made = run_with_agent(identity, network, lambda agent: deploy_plan.plan(agent, wanted))
    deploy_plan.show(made, price, network.name)
    if made.refusals:
        click.get_current_context().exit(FAILED)


def _require_affordable(
    network: Network, identity: Identity, cycles: int | None, reserve: int | None, canister: Principal | None
) -> None:
    """Checks that the network can do what the options ask for.

    Raises:
        InputError: it can't; the message says what to do instead.
    """
    if cycles is not None and cycles < MIN_CYCLES and canister is None:
        raise InputError(f"--cycles {cycles:,} is too little to install the backend; give at least 700B")
    if network.is_mainnet and canister is None:
        raise InputError(
            "on mainnet you pay for the canister: create one with your own cycles and this identity as its controller "
            f"({identity.sender()}), for example with 'icp canister create', and give its id with --canister"
        )
    if network.is_mainnet and reserve is not None:
        raise InputError(
            "on mainnet you fund the reserve with your own cycles: leave --reserve out, and see "
            "'canister-factory reserve top-up --help'"
        )


@click.command()
@click.argument("backend", cls=CommonArgument, type=PRINCIPAL, envvar=BACKEND_VARIABLE)
@network_options
@signing_identity_option
@click.option("--no-release", is_flag=True, help="Don't approve the bundled personal canister.")
@upgrade_options("backend")
@output_options
def upgrade(
    backend: Principal, network: Network, identity: Identity, no_release: bool, keep_days: int, only_plan: bool
) -> None:
    """Upgrade a backend and keep its data.

    BACKEND gets the bundled module. The identity must be a controller of it. First interface, memory and cycles are
    checked. Then the backend is stopped, a snapshot is taken, the module is installed, and what the backend has is
    counted again. If anything is wrong, it goes back to the snapshot. When the command is interrupted, the same command
    goes on. Open creations wait meanwhile.

    With --keep-snapshot, the next 'upgrade' after so many days deletes the snapshot.

    \b
    Example:
      canister-factory upgrade $BACKEND --identity admin.pem --plan
      canister-factory upgrade $BACKEND --identity admin.pem
    """
    from canister_factory.cli import deploy_steps

    plan = run_with_agent(identity, network, lambda agent: deploy_steps.plan_upgrade(agent, backend))
    if only_plan:
        upgrades.show_plan(plan, "Upgrade of the backend")
        return
    upgrades.require_possible(plan)
    if plan.changes and not settings.current().json:
        output.note(f"{backend} gets the module {output.ident(plan.after.hex())}. {upgrades.PAUSE}.")
    upgraded = run_with_agent(
        identity,
        network,
        lambda agent: deploy_steps.upgrade(agent, backend, release=not no_release, keep_ns=keep_days * 86_400 * 10**9),
    )
    if settings.current().json:
        output.json_object(upgraded)
    else:
        deploy_steps.show_upgraded(upgraded)
