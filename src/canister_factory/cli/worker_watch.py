"""A worker with all that goes on beside its loop: looks at its backend, a line when nothing else is said, a server.

Owns when these happen. Does not own: the loop (`factory.worker`), what is found (`worker_standing`), the words
(`worker_report`). Nothing here ends the worker, or makes it wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from canister_factory.candid.principal import Principal
from canister_factory.cli import logs
from canister_factory.cli.addresses import Address
from canister_factory.cli.backend_check import require_backend
from canister_factory.cli.progress import step
from canister_factory.cli.worker_report import Report
from canister_factory.cli.worker_standing import Standing
from canister_factory.contract.errors import ContractError, CreationRefused
from canister_factory.factory.backend_look import look_at_backend
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import AlertStateError, WebhookError
from canister_factory.factory.events import Event
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.worker import Worker
from canister_factory.factory.worker_events import Unlisted, WorkerEvent
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import IcError, TransportError
from canister_factory.ic.trace import heard_by

if TYPE_CHECKING:
    from canister_factory.cli.webhook_options import Receiver
    from canister_factory.cli.worker_metrics import Metrics

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_S: Final = 900.0
"""Between two attempts to send notifications to a webhook that takes none."""


class Watched:
    """A worker, and whoever watches it. Seconds: between two looks for requests, between two signs of life."""

    def __init__(
        self,
        agent: Agent,
        backend: Principal,
        config: FactoryConfig,
        report: Report,
        receiver: Receiver | None = None,
        *,
        parallel: int,
        idle_seconds: float,
        heartbeat_seconds: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agent, self._report, self._sleep = agent, report, sleep
        self._idle_seconds, self._heartbeat_seconds = idle_seconds, heartbeat_seconds
        self._orchestrator = Orchestrator(agent, backend, config, emit=self._heard)
        self._worker = Worker(
            self._orchestrator,
            parallel=parallel,
            idle_seconds=idle_seconds,
            finished=self._finished,
            told=self._told,
            sleep=sleep,
        )
        self.standing = Standing(
            idle_seconds, lambda: self._worker.running, back=report.back, clock=clock, now_ns=lambda: agent.clock()
        )
        self._alerts = None if receiver is None else receiver.alerts(self._orchestrator.backend)
        self._metrics: Metrics | None = None

    def __repr__(self) -> str:
        return f"Watched({self._worker}, {self.standing})"

    @asynccontextmanager
    async def served(self, address: Address | None) -> AsyncIterator[None]:
        """Counts, and serves what is counted, while the block runs; without an address neither.

        Raises:
            CommandError: nothing can listen at this address.
        """
        if address is None:
            yield
            return
        # With the server's library, which takes a tenth of a second to load.
        from canister_factory.cli.worker_http import serving
        from canister_factory.cli.worker_metrics import Metrics

        self._metrics = Metrics(self.standing)
        async with serving(address, self.standing, self._metrics) as url:
            step(f"metrics at {url}/metrics")
            with heard_by(self._metrics.traced):
                yield

    async def run(self, *, once: bool) -> None:
        """Runs what is open now, or what comes until it is cancelled.

        Raises:
            NotABackendError: the canister is no backend.
            CreationRefused, ContractError: the open requests can't be listed.
            IcError: the network fails, and it runs once.
        """
        logs.WORKER.set(self._orchestrator.config.worker)
        await self._require_backend(wait=not once)
        if once:
            await self._worker.run_once()
            await self.send_alerts()
            return
        beside = [asyncio.create_task(self._keep_looking())]
        if self._alerts is not None:
            beside.append(asyncio.create_task(self._keep_alerting()))
        for task in beside:
            task.add_done_callback(_tell_of_a_defect)
        try:
            await self._worker.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _require_backend(self, *, wait: bool) -> None:
        """Makes sure of the backend; with `wait` for as long as the network fails, as the loop itself does."""
        while True:
            try:
                return await require_backend(self._agent, self._orchestrator.backend.canister_id)
            except TransportError as error:
                if not wait:
                    raise
                logger.warning("the backend can't be checked, again in %.0f s: %s", self._idle_seconds, error)
                self._told(Unlisted(str(error)))
            await self._sleep(self._idle_seconds)

    # --- Beside the loop ---

    async def _keep_looking(self) -> None:
        """Looks at the backend again and again; says so when nothing else is said."""
        await self.look()
        while True:
            await self._sleep(self._heartbeat_seconds)
            await self.look()
            if self._worker.running == 0:
                self._report.idle(self.standing)

    async def look(self) -> None:
        """Looks at the backend once. What fails is noted; the loop itself meets what ends a worker."""
        try:
            caller = Principal(self._agent.identity.sender().bytes)
            self.standing.looked(await look_at_backend(self._orchestrator.backend, caller))
        except CreationRefused as refusal:
            self.standing.refused(refusal.error.message)
        except (ContractError, IcError) as error:
            self.standing.unknown()
            logger.info("the backend can't be looked at: %s", error)

    async def _keep_alerting(self) -> None:
        """Sends what is new, and what the webhook didn't take, again and again: less often while it takes nothing."""
        pause_s = self._heartbeat_seconds
        while True:
            pause_s = self._heartbeat_seconds if await self.send_alerts() else min(2 * pause_s, _LONGEST_PAUSE_S)
            await self._sleep(pause_s)

    async def send_alerts(self) -> bool:
        """Sends the notifications that weren't sent yet, if there is a webhook. What fails is told, hindering nothing.

        Returns whether nothing is left to be sent.
        """
        if self._alerts is None:
            return True
        try:
            async for notification in self._alerts.send():
                self._report.alerted(notification)
                if self._metrics is not None:
                    self._metrics.alerts_sent.inc()
        except (WebhookError, AlertStateError, CreationRefused, ContractError, IcError) as error:
            logger.warning("notifications were not sent to the webhook, again later: %s", error)
            if self._metrics is not None:
                self._metrics.alerts_failed.inc()
            return False
        return True

    # --- Hooks ---

    def _heard(self, event: Event) -> None:
        self._report.event(event)
        if self._metrics is not None:
            self._metrics.event(logs.OWNER.get(), event)

    def _finished(self, owner: Principal, result: Outcome | Exception) -> None:
        self._report.finished(owner, result)
        if self._metrics is not None:
            self._metrics.finished(result)

    def _told(self, event: WorkerEvent) -> None:
        self.standing.event(event)
        if self._metrics is not None:
            self._metrics.told(event)


def _tell_of_a_defect(task: asyncio.Task[None]) -> None:
    """What goes on beside the loop ends by itself only by a defect, which has to be told when it happens."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a worker's watch ended; the worker goes on without it: %s", error, exc_info=error)
