"""The lease on one creation: claimed, renewed in the background, and a hard stop when it is lost.

Owns the fence around a worker. Does not own: what is done within it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationErrorKind,
    CreationLease,
    LeaseRef,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import LeaseLostError, PausedError
from canister_factory.factory.run import Run
from canister_factory.ic.errors import IcError
from canister_factory.ic.foreign_text import quoted

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Lease:
    """One claim. Its end is measured by the local clock from before the claim was sent, so it errs on the safe side."""

    def __init__(self, run: Run) -> None:
        self._run = run
        # A renewal is not repeated at once but at its own pace, which `guard` keeps.
        self._backend_once = BackendClient(run.agent, run.backend.canister_id)
        self._ends_at = 0.0
        self.ref = LeaseRef(owner=run.owner, lease=0)

    def __repr__(self) -> str:
        return f"Lease({self.ref.lease} on {self._run.owner}, {self.remaining_seconds:.0f} s left)"

    @property
    def remaining_seconds(self) -> float:
        """How long the lease surely lasts from now on; negative when it may have ended."""
        return self._ends_at - self._run.clock()

    async def claim(self) -> CreationLease:
        """Takes the lease; returns what the backend granted: creation and manifest.

        Raises:
            CreationRefused: there is no open request, or another worker has the lease (kind Busy).
            IcError: the backend could not be asked.
        """
        request = ClaimRequest(
            owner=self._run.owner, worker=self._run.config.worker, duration_ns=self._run.config.lease_ns
        )
        asked_at = self._run.clock()
        granted = await self._run.backend.claim_creation(request)
        self._ends_at = asked_at + self._run.config.lease_seconds
        self.ref = LeaseRef(owner=self._run.owner, lease=granted.lease)
        return granted

    async def renew(self) -> None:
        """Prolongs the lease.

        Raises:
            LeaseLostError: it is another's by now, or there was no answer before its end.
            PausedError: nothing that uses cycles goes on at present.
            CreationRefused: the creation isn't in progress any more.
            IcError: the backend could not be asked; the lease may last nevertheless.
        """
        asked_at = self._run.clock()
        try:
            async with asyncio.timeout(max(self.remaining_seconds, 1.0)):
                await self._backend_once.renew_lease(self.ref)
        except TimeoutError:
            raise LeaseLostError(f"{self._name()} could not be renewed before it ran out: no answer") from None
        except CreationRefused as refusal:
            if refusal.error.kind == CreationErrorKind.InvalidRequest:
                raise  # the creation isn't in progress any more
            if refusal.error.kind == CreationErrorKind.Disabled:
                raise PausedError(quoted(refusal.error.message), cause=refusal) from refusal
            message = f"{self._name()} is lost: {quoted(refusal.error.message)}"
            raise LeaseLostError(message, cause=refusal) from refusal
        self._ends_at = asked_at + self._run.config.lease_seconds

    async def release(self) -> None:
        """Gives the lease back, so that the next worker needn't wait. Failing to is no harm: it ends by itself."""
        with suppress(CreationRefused, IcError):
            await self._backend_once.release_lease(self.ref)

    async def guard(self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs `work` while renewing the lease.

        Raises:
            LeaseLostError: the lease is lost; `work` was cancelled at once.
            PausedError: an admin has stopped everything that uses cycles; so it was then, too.
            Exception: the failure of `work`, as it is.
        """
        task = asyncio.ensure_future(work())
        renewal = asyncio.create_task(self._keep())
        try:
            await asyncio.wait({task, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                renewal.result()
            return await task
        except CreationRefused as refusal:
            # A refused step may be the first to show that the lease is gone.
            if refusal.error.kind == CreationErrorKind.Busy:
                await self.renew()
            raise
        finally:
            for pending in (task, renewal):
                pending.cancel()
            await asyncio.gather(task, renewal, return_exceptions=True)

    async def _keep(self) -> None:
        """Renews until the creation is over.

        Raises:
            LeaseLostError: the lease is lost.
            PausedError: an admin has stopped everything that uses cycles.
        """
        while True:
            await self._run.sleep(self._run.config.lease_seconds / 3)
            try:
                await self.renew()
            except CreationRefused:
                return
            except IcError as error:
                if self.remaining_seconds <= 0:
                    message = f"{self._name()} expired because it could not be renewed: {error}"
                    raise LeaseLostError(message, cause=error) from error
                logger.warning("%s can't be renewed, %.0f s left: %s", self._name(), self.remaining_seconds, error)

    def _name(self) -> str:
        return f"lease {self.ref.lease} on the creation of {self._run.owner}"
