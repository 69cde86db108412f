"""A loop that finds open requests and runs them, a few at a time. Several workers share the work by the leases.

Owns finding and pacing. Does not own: running one creation (`orchestrator`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CreationErrorKind,
    CreationStatus,
    DetailedCreationStatus,
    OpenRequest,
)
from canister_factory.contract.errors import ContractError, CreationRefused, PagingError
from canister_factory.factory.errors import FactoryError, LeaseLostError, is_waiting
from canister_factory.factory.listing import open_requests
from canister_factory.factory.orchestrator import Orchestrator
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.places import Places
from canister_factory.factory.retry import Sleep
from canister_factory.factory.worker_events import Dropped, LeaseLost, Looked, Unlisted, WorkerHook, ignore
from canister_factory.ic.errors import IcError
from canister_factory.ic.task_group import task_group

logger = logging.getLogger(__name__)

Finished = Callable[[Principal, Outcome | Exception], None]


class Worker:
    """Runs open creations with one orchestrator; at most `parallel` at once, and `long` besides that have taken more
    than `patient_seconds`. Each takes the memory that `FactoryConfig` says.

    `finished` is told of each one's end, `told` of what the loop does. A creation that another worker has, or that
    belongs to another operator, is left to it. So is one that was taken over under this worker's own name, as long as
    its lease lasts: a worker that starts goes on at once with what it had before, but two that have one name by mistake
    don't take it from each other for ever. A creation that has to wait, for an admin or for the next day's budget, is
    tried again with the next look.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        *,
        parallel: int = 2,
        long: int = 4,
        patient_seconds: float = 60.0,
        idle_seconds: float = 10.0,
        finished: Finished = lambda owner, result: None,
        told: WorkerHook = ignore,
        sleep: Sleep = asyncio.sleep,
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        if parallel < 1:
            raise ValueError(f"parallel must be at least 1, not {parallel}")
        self._orchestrator = orchestrator
        self._parallel = parallel
        self._places = Places(parallel, long, patient_seconds, sleep)
        self._running: set[Principal] = set()
        self._idle_seconds = idle_seconds
        self._finished = finished
        self._tell = told
        self._sleep = sleep
        self._taken_over: set[Principal] = set()
        self._told: set[Principal] = set()
        self._clock_ns = clock_ns or (lambda: orchestrator.agent.clock())  # leases end by the network's time

    def __repr__(self) -> str:
        return f"Worker({self._orchestrator}, {self._parallel} at once)"

    @property
    def running(self) -> int:
        """How many creations it has taken at this moment."""
        return len(self._running)

    async def run(self) -> None:
        """Works until cancelled; failures of the network, and lists that changed meanwhile, are waited out. It looks
        for new requests however long others take.

        Raises:
            CreationRefused, ContractError: the open requests can't be listed.
        """
        async with task_group() as group:
            while True:
                try:
                    owners = await self._look()
                except (IcError, PagingError) as error:
                    # Where an owner is forgotten who was the last of a page, the backend begins its list anew.
                    logger.warning("open requests can't be listed, again in %.0f s: %s", self._idle_seconds, error)
                    self._tell(Unlisted(str(error)))
                    owners = []
                for owner in owners:
                    if owner not in self._running:
                        self._running.add(owner)
                        group.create_task(self._run_one(owner))
                await self._sleep(self._idle_seconds)

    async def run_once(self) -> int:
        """Runs every request that is open now and leased to nobody else; returns how many were completed.

        Raises:
            CreationRefused, IcError: the open requests can't be listed.
        """
        # Listed before the group begins: it would wrap an error of the list in an ExceptionGroup.
        owners = await self._look()
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(self._run_one(owner)) for owner in owners]
        return sum(run.result() for run in runs)

    async def _run_one(self, owner: Principal) -> bool:
        """Whether the creation was completed here."""
        self._running.add(owner)
        try:
            async with self._places.one():
                try:
                    result: Outcome | Exception = await self._orchestrator.run(owner)
                except (FactoryError, ContractError, IcError) as error:
                    if await self._is_left(owner, error):
                        return False
                    result = error
                self._finished(owner, result)
                return not isinstance(result, Exception)
        finally:
            self._running.discard(owner)
            self._tell(Dropped(owner))

    async def _is_left(self, owner: Principal, error: Exception) -> bool:
        """Whether the creation is left alone for now, which is no failure of it."""
        if isinstance(error, LeaseLostError):
            self._taken_over.add(owner)
            self._tell(LeaseLost(owner))
            name = self._orchestrator.config.worker
            logger.warning("%s. Workers that run at a time need different names: is another one %s?", error, name)
        if is_waiting(error):
            logger.info("the creation of %s waits: %s", owner, error)
            return True
        return await self._is_others_business(owner, error)

    async def _is_others_business(self, owner: Principal, error: Exception) -> bool:
        """Whether `error` says that another worker has the creation, or ended it since it was listed: no failure."""
        if isinstance(error, CreationRefused):
            if error.error.kind == CreationErrorKind.Busy:
                return True
            if error.method == "claim_creation" and error.error.kind == CreationErrorKind.InvalidRequest:
                logger.info("the creation of %s was ended by another worker", owner)
                return True
        return await completed_by_another(self._orchestrator.backend, owner, error) is not None

    async def _look(self) -> list[Principal]:
        """Whose requests this worker may run now, the oldest request first."""
        requests = [request async for request in open_requests(self._orchestrator.backend)]
        owners = [request.owner for request in requests if self._is_for_us(request)]
        self._tell(Looked(tuple(requests), len(owners)))
        return owners

    def _is_for_us(self, request: OpenRequest) -> bool:
        us = Principal(self._orchestrator.agent.identity.sender().bytes)
        if request.operator not in (None, us):
            if request.owner not in self._told:
                logger.info("the creation of %s belongs to the operator %s", request.owner, request.operator)
            self._told.add(request.owner)
            return False
        if request.leased_until is None or request.leased_until <= self._clock_ns():
            self._taken_over.discard(request.owner)
            return True
        return request.worker == self._orchestrator.config.worker and request.owner not in self._taken_over


async def completed_by_another(
    backend: BackendClient, owner: Principal, error: Exception
) -> DetailedCreationStatus | None:
    """The completed creation of `owner`, if `error` stopped our run only because another worker was first.

    Asks the backend as an operator; when it doesn't answer, `error` stands.
    """
    kinds = (CreationErrorKind.Busy, CreationErrorKind.InvalidRequest)
    refused = isinstance(error, CreationRefused) and error.error.kind in kinds
    if not refused and not isinstance(error, LeaseLostError):
        return None
    try:
        creation = await backend.get_user_creation_status(owner)
    except (ContractError, IcError):
        return None
    return creation if creation is not None and creation.status == CreationStatus.Completed else None
