"""`run OWNER`: takes one creation from wherever it stands to its end, as an operator.

Owns the command. Does not own: the creation (`factory`), and how its outcome looks (`outcomes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli.backend import asking, needs_role, signed_backend_options, worker_option
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.plan import plan_options, require_plan, show_plan
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.amounts import CyclesPrice
    from canister_factory.cli.present_canister import PresentCanister
    from canister_factory.factory.outcome import Outcome
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("owner", type=PRINCIPAL)
@signed_backend_options
@worker_option("canister-factory")
@plan_options
@output_options
@needs_role(Role.OPERATOR)
def run(
    owner: Principal,
    backend: Principal,
    network: Network,
    identity: Identity,
    worker: str,
    only_plan: bool,
    price: CyclesPrice | None,
) -> None:
    """Run the creation that OWNER asked for.

    The identity must be an operator of the backend. Ctrl-C or SIGTERM stops the command in good order: it gives the
    lease back, and the creation stays open. Run the command again to continue. A creation that is already complete is
    a success. --plan shows what the command would do, and does nothing.

    \b
    Example:
      canister-factory run $OWNER --backend $BACKEND --identity operator.pem
    """
    from canister_factory.cli import outcomes
    from canister_factory.factory.outcome import Outcome

    require_plan(only_plan, price)
    if only_plan:
        _plan(owner, backend, network, identity, worker, price)
        return
    interrupts.if_interrupted("the creation stays open. The same command, or a worker, continues it")
    result = run_with_agent(identity, network, lambda agent: _run(agent, backend, owner, worker))
    if isinstance(result, Outcome):
        outcomes.show_outcome(result)
    else:
        outcomes.show_completed(result)


def _plan(
    owner: Principal, backend: Principal, network: Network, identity: Identity, worker: str, price: CyclesPrice | None
) -> None:
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.plan_refusals import Command

    ask = asking(backend, network, identity)
    show_plan(ask, lambda _caller: owner, Command.RUN, price, config=FactoryConfig(worker=worker))


async def _run(agent: Agent, backend: Principal, owner: Principal, worker: str) -> Outcome | PresentCanister:
    """What the run did, or the canister when another one has completed the creation."""
    from canister_factory.cli import logs
    from canister_factory.cli.backend_check import require_backend
    from canister_factory.cli.present_canister import look_at
    from canister_factory.cli.progress import EventLines, bytes_bar
    from canister_factory.contract.errors import CreationRefused
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.errors import LeaseLostError
    from canister_factory.factory.orchestrator import Orchestrator
    from canister_factory.factory.worker import completed_by_another

    logs.WORKER.set(worker)
    logs.OWNER.set(owner)
    await require_backend(agent, backend)
    with bytes_bar("creating the personal canister", None) as advance:
        orchestrator = Orchestrator(agent, backend, FactoryConfig(worker=worker), emit=EventLines(advance))
        try:
            return await orchestrator.run(owner)
        except (CreationRefused, LeaseLostError) as error:
            completed = await completed_by_another(orchestrator.backend, owner, error)
            if completed is None:
                raise
            return await look_at(agent, completed)
