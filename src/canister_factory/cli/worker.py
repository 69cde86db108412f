"""`worker`: runs what owners have asked for, until it is stopped.

Owns the command. Does not own: the loop (`factory.worker`), what is shown of it (`worker_report`), signals
(`interrupts`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output
from canister_factory.cli.backend import needs_role, signed_backend_options, worker_option
from canister_factory.cli.errors import DONE, FAILED
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.roles import Role

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

logger = logging.getLogger(__name__)


@click.command()
@signed_backend_options
@click.option("--once", is_flag=True, help="Run what is open now, then end. The exit code is 1 if a creation failed.")
@click.option(
    "--parallel", type=click.IntRange(1, 50), default=2, show_default=True, help="Number of creations at a time."
)
@click.option(
    "--idle",
    "idle_seconds",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds between two looks for new requests.",
)
@worker_option(None)
@output_options
@needs_role(Role.OPERATOR)
def worker(
    backend: Principal,
    network: Network,
    identity: Identity,
    once: bool,
    parallel: int,
    idle_seconds: float,
    worker: str | None,
) -> None:
    """Create what owners ask for, until stopped.

    The identity must be an operator of the backend. Ctrl-C or SIGTERM stops the worker in good order: it gives its
    leases back, and another worker can continue the creations. Run several workers, on several machines, for more
    throughput. With --json each line is an event.

    \b
    Example:
      canister-factory worker --backend $BACKEND --identity operator.pem \\
        --parallel 4
    """
    from canister_factory.cli import logs
    from canister_factory.cli.progress import step
    from canister_factory.cli.refusals import note_missing_role
    from canister_factory.cli.worker_report import Report
    from canister_factory.factory.config import FactoryConfig
    from canister_factory.factory.orchestrator import Orchestrator
    from canister_factory.factory.worker import Worker

    interrupts.if_interrupted("creations stay open. A lease that could not be given back ends by itself")
    report = Report(explain=lambda error: note_missing_role(error, Role.OPERATOR, identity.sender(), backend))

    async def work(agent: Agent) -> None:
        config = FactoryConfig(worker=worker or f"worker-{secrets.token_hex(4)}")
        logs.WORKER.set(config.worker)
        orchestrator = Orchestrator(agent, backend, config, emit=report.event)
        loop = Worker(orchestrator, parallel=parallel, idle_seconds=idle_seconds, finished=report.finished)
        step(f"worker {config.worker}, operator {output.ident(identity.sender())}, backend {backend}")
        await _require_backend(agent, backend, None if once else idle_seconds)
        await (loop.run_once() if once else loop.run())

    try:
        # Nobody watches the network: a worker continues when it is back.
        run_with_agent(identity, network, work, watch=False, on_stop=lambda: step("stopping: giving leases back"))
    except interrupts.Interrupted as stop:  # a signal is how a worker is stopped: no failure
        if isinstance(stop.__context__, Exception):  # but what failed meanwhile is one
            raise stop.__context__ from None
    step(f"{report.completed} completed, {report.failed} failed")
    click.get_current_context().exit(FAILED if once and report.failed else DONE)


async def _require_backend(agent: Agent, backend: Principal, idle_seconds: float | None) -> None:
    """Makes sure of the backend. With `idle_seconds` it waits while the network fails, as the loop itself does.

    Raises:
        NotABackendError: the canister is no backend.
        TransportError: the network fails, and `idle_seconds` is `None`.
    """
    from canister_factory.cli.backend_check import require_backend
    from canister_factory.ic.errors import TransportError

    while True:
        try:
            return await require_backend(agent, backend)
        except TransportError as error:
            if idle_seconds is None:
                raise
            logger.warning("the backend can't be checked, again in %.0f s: %s", idle_seconds, error)
        await asyncio.sleep(idle_seconds)
