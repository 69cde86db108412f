"""`worker`: runs what owners have asked for, until it is stopped.

Owns the command. Does not own: the loop (`factory.worker`), what goes on beside it (`worker_watch`), what is shown of
it (`worker_report`), signals (`interrupts`).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.cli import output
from canister_factory.cli.addresses import ADDRESS, Address
from canister_factory.cli.backend import needs_role, signed_backend_options, worker_option
from canister_factory.cli.errors import DONE, FAILED
from canister_factory.cli.options import output_options, run_with_agent
from canister_factory.cli.roles import Role
from canister_factory.cli.webhook_options import Receiver, webhook_options

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


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
@click.option(
    "--heartbeat",
    "heartbeat_seconds",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds between two lines of a worker that has nothing to do.",
)
@click.option(
    "--metrics-address",
    metavar="[HOST:]PORT",
    type=ADDRESS,
    help="Serve /metrics, /healthz and /readyz there; without a host on 127.0.0.1.",
)
@webhook_options(required=False)
@worker_option(None)
@output_options
@needs_role(Role.OPERATOR)
def worker(
    backend: Principal,
    network: Network,
    identity: Identity,
    once: bool,
    worker: str | None,
    metrics_address: Address | None,
    receiver: Receiver | None,
    **rates: Any,
) -> None:
    """Create what owners ask for, until stopped.

    The identity must be an operator of the backend. Ctrl-C or SIGTERM stops the worker in good order: it gives its
    leases back, and another worker can continue the creations. Run several workers, on several machines, for more
    throughput. With --json each line is an event. With --webhook it sends the notifications for admins as well, as
    'alerts' does; give it to one worker of a backend.

    \b
    Example:
      canister-factory worker --backend $BACKEND --identity operator.pem \\
        --parallel 4
    """
    from canister_factory.cli.progress import step
    from canister_factory.cli.refusals import note_missing_role
    from canister_factory.cli.worker_report import Report
    from canister_factory.cli.worker_watch import Watched
    from canister_factory.factory.config import FactoryConfig

    interrupts.if_interrupted("creations stay open. A lease that could not be given back ends by itself")
    report = Report(explain=lambda error: note_missing_role(error, Role.OPERATOR, identity.sender(), backend))
    if metrics_address is not None and not metrics_address.is_private:
        output.note(f"warning: whoever reaches {metrics_address} can read the metrics of this worker: keep others out")

    async def work(agent: Agent) -> None:
        config = FactoryConfig(worker=worker or f"worker-{secrets.token_hex(4)}")
        step(f"worker {config.worker}, operator {output.ident(identity.sender())}, backend {backend}")
        watched = Watched(agent, backend, config, report, receiver, **rates)
        async with watched.served(metrics_address):
            await watched.run(once=once)

    try:
        # Nobody watches the network: a worker continues when it is back.
        run_with_agent(identity, network, work, watch=False, on_stop=lambda: step("stopping: giving leases back"))
    except interrupts.Interrupted as stop:  # a signal is how a worker is stopped: no failure
        if isinstance(stop.__context__, Exception):  # but what failed meanwhile is one
            raise stop.__context__ from None
    step(f"{report.completed} completed, {report.failed} failed")
    click.get_current_context().exit(FAILED if once and report.failed else DONE)
