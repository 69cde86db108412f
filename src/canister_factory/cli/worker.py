"""`worker`: runs what owners have asked for, until it is told to stop.

Owns what is shown of several creations at once. Does not own: the loop (`factory.worker`), signals (`stopping`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from canister_factory import interrupts
from canister_factory.candid.principal import Principal
from canister_factory.cli import logs, output
from canister_factory.cli.backend import needs_role, worker_option
from canister_factory.cli.backend_check import require_backend
from canister_factory.cli.errors import DONE, FAILED, context_of, words_of
from canister_factory.cli.identity import signing_identity_option
from canister_factory.cli.options import backend_option, network_options, output_options, run_with_agent
from canister_factory.cli.progress import EventLines, step
from canister_factory.cli.roles import Role, note_missing_role
from canister_factory.cli.run import outcome_fields
from canister_factory.cli.stopping import StoppedError, until_signal
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import Claimed, Event, Transferred
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.stages import Outcome
from canister_factory.factory.worker import Worker
from canister_factory.ic.errors import TransportError

if TYPE_CHECKING:
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network

logger = logging.getLogger(__name__)

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

    The identity is an operator of the backend. Ctrl-C or SIGTERM stops it in good order: leases are given back, and
    creations stay open for the next worker to go on with. Run several, on several machines, for more throughput.
    With --json it prints one event a line.

    \b
    Example:
      canister-factory worker --backend $BACKEND --identity operator.pem --parallel 4
    """
    interrupts.if_interrupted("creations stay open: a lease that could not be given back ends by itself")
    report = Report(explain=lambda error: note_missing_role(error, Role.OPERATOR, identity.sender(), backend))

    async def work(agent: Agent) -> None:
        config = FactoryConfig(worker=worker or f"worker-{secrets.token_hex(4)}")
        logs.WORKER.set(config.worker)
        orchestrator = Orchestrator(agent, backend, config, emit=report.event)
        loop = Worker(orchestrator, parallel=parallel, idle_seconds=idle_seconds, finished=report.finished)
        step(f"worker {config.worker}, operator {output.ident(identity.sender())}, backend {backend}")

        async def checked() -> None:
            await _require_backend(agent, backend, None if once else idle_seconds)
            await (loop.run_once() if once else loop.run())

        with suppress(StoppedError):
            await until_signal(checked)

    run_with_agent(identity, network, work, watch=False)  # a worker goes on when the network is back
    step(f"{report.completed} completed, {report.failed} failed")
    click.get_current_context().exit(FAILED if once and report.failed else DONE)


async def _require_backend(agent: Agent, backend: Principal, idle_seconds: float | None) -> None:
    """Raises `NotABackendError`. With `idle_seconds` a network that fails is waited out, as the loop itself does."""
    while True:
        try:
            return await require_backend(agent, backend)
        except TransportError as error:
            if idle_seconds is None:
                raise
            logger.warning("the backend can't be checked, again in %.0f s: %s", idle_seconds, error)
        await asyncio.sleep(idle_seconds)


class Report:
    """Tells of the events of all creations, each with its owner. `explain` may add notes to an error."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, explain: Callable[[Exception], None] = lambda error: None
    ) -> None:
        self.completed = 0
        self.failed = 0
        self._clock = clock
        self._said_at: dict[Principal, float] = {}
        self._explain = explain

    def event(self, event: Event) -> None:
        """The orchestrator's hook."""
        if isinstance(event, Claimed):
            # The task that claims a creation, and all tasks that it starts, work for one owner.
            logs.OWNER.set(event.owner)
        owner = logs.OWNER.get()
        if output.settings.json:
            if not (isinstance(event, Transferred) and self._was_said(owner)):
                _line({"event": type(event).__name__, "owner": owner, **_plain_fields(event)})
        elif isinstance(event, Claimed):
            step(f"{_name(owner)}: claimed at {event.status}")
        else:
            EventLines(lambda count: None, lambda message: step(f"{_name(owner)}: {message}"))(event)

    def finished(self, owner: Principal, result: Outcome | Exception) -> None:
        """The worker's hook."""
        if isinstance(result, Outcome):
            self.completed += 1
            said, detail = f"completed, canister {result.creation.canister_id}", outcome_fields(result)
        else:
            self.failed += 1
            self._explain(result)
            said = f"failed: {words_of(result)}"
            detail = {
                "kind": type(result).__name__,
                "message": words_of(result),
                "context": context_of(result),
                "retry_helps": getattr(result, "retry_helps", False),
            }
        if output.settings.json:
            _line({"event": "Completed" if isinstance(result, Outcome) else "Failed", "owner": owner, **detail})
        else:
            step(f"{output.ident(owner)}: {said}")

    def _was_said(self, owner: Principal | None) -> bool:
        """Whether an owner's progress was told of within the last second."""
        now = self._clock()
        if owner is None or now - self._said_at.get(owner, -_PROGRESS_SECONDS) < _PROGRESS_SECONDS:
            return True
        self._said_at[owner] = now
        return False


def _name(owner: Principal | None) -> str:
    return "nobody" if owner is None else output.ident(owner)


def _plain_fields(event: Event) -> dict[str, Any]:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return {name: sorted(map(str, value)) if isinstance(value, frozenset) else value for name, value in values.items()}


def _line(value: dict[str, Any]) -> None:
    output.json_object(value, flush=True)
