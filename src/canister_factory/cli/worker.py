"""`worker`: runs what owners have asked for, until it is told to stop.

Owns signals, and what is shown of several creations at once. Does not own: the loop (`factory.worker`).
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.cli.errors import DONE, FAILED, context_of
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import backend_option, network_options, output_options, run_with_agent
from canister_factory.cli.progress import EventLines, step
from canister_factory.cli.run import outcome_fields
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import Claimed, Event, Transferred
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.stages import Outcome
from canister_factory.factory.worker import Worker

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

_PROGRESS_SECONDS = 1.0


@click.command()
@backend_option
@network_options
@signing_identity_option
@click.option("--once", is_flag=True, help="Run what is open now, then end: exit code 1 if something failed.")
@click.option(
    "--parallel", type=click.IntRange(1, 50), default=2, show_default=True, help="Creations at the same time."
)
@click.option(
    "--idle",
    "idle_seconds",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds between two looks for new requests.",
)
@click.option("--name", help="Name under which leases are claimed; no two workers may share one.  [default: random]")
@output_options
def worker(
    backend: Principal,
    network: Network,
    identity: Identity,
    once: bool,
    parallel: int,
    idle_seconds: float,
    name: str | None,
) -> None:
    """Create what owners ask for, until stopped.

    The identity is an operator of the backend. Ctrl-C or SIGTERM stops it in good order: leases are given back, and
    creations stay open for the next worker to go on with. Run several, on several machines, for more throughput.
    With --json it prints one event a line.

    \b
    Example:
      canister-factory worker --backend $BACKEND --identity operator.pem --parallel 4
    """
    report = Report()

    async def work(agent: Agent) -> None:
        config = FactoryConfig(worker=name or f"worker-{secrets.token_hex(4)}")
        orchestrator = Orchestrator(agent, backend, config, emit=report.event)
        loop = Worker(orchestrator, parallel=parallel, idle_seconds=idle_seconds, finished=report.finished)
        step(f"worker {config.worker}, operator {identity.sender()}, backend {backend}")
        await _until_signal(loop.run_once if once else loop.run)

    run_with_agent(identity, network, work)
    step(f"{report.completed} completed, {report.failed} failed")
    click.get_current_context().exit(FAILED if once and report.failed else DONE)


class Report:
    """Tells of the events of all creations, each with its owner."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.completed = 0
        self.failed = 0
        self._clock = clock
        self._said_at: dict[Principal, float] = {}
        # The task that claims a creation, and all tasks that it starts, work for one owner.
        self._owner: ContextVar[Principal | None] = ContextVar("owner", default=None)

    def event(self, event: Event) -> None:
        """The orchestrator's hook."""
        if isinstance(event, Claimed):
            self._owner.set(event.owner)
        owner = self._owner.get()
        if output.settings.json:
            if not (isinstance(event, Transferred) and self._was_said(owner)):
                _line({"event": type(event).__name__, "owner": owner, **_plain_fields(event)})
        elif isinstance(event, Claimed):
            step(f"{owner}: claimed at {event.status}")
        else:
            EventLines(lambda count: None, lambda message: step(f"{owner}: {message}"))(event)

    def finished(self, owner: Principal, result: Outcome | Exception) -> None:
        """The worker's hook."""
        if isinstance(result, Outcome):
            self.completed += 1
            said, detail = f"completed, canister {result.creation.canister_id}", outcome_fields(result)
        else:
            self.failed += 1
            said = f"failed: {result}"
            detail = {
                "kind": type(result).__name__,
                "message": str(result),
                "context": context_of(result),
                "retry_helps": getattr(result, "retry_helps", False),
            }
        if output.settings.json:
            _line({"event": "Completed" if isinstance(result, Outcome) else "Failed", "owner": owner, **detail})
        else:
            step(f"{owner}: {said}")

    def _was_said(self, owner: Principal | None) -> bool:
        """Whether an owner's progress was told of within the last second."""
        now = self._clock()
        if owner is None or now - self._said_at.get(owner, -_PROGRESS_SECONDS) < _PROGRESS_SECONDS:
            return True
        self._said_at[owner] = now
        return False


def _plain_fields(event: Event) -> dict[str, Any]:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return {name: sorted(map(str, value)) if isinstance(value, frozenset) else value for name, value in values.items()}


def _line(value: dict[str, Any]) -> None:
    output.json_object(value)
    output.stdout().file.flush()  # whoever reads a pipe wants each event as it happens


async def _until_signal(work: Callable[[], Any]) -> None:
    """Runs `work`; the first SIGINT or SIGTERM cancels it, which gives the leases back, a second one ends at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work())

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        step("stopping: giving leases back")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
