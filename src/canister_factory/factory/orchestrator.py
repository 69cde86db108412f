"""Runs one creation under a lease, and decides what a failure leads to. Keeps nothing: the chain is the journal.

Owns the difference between giving up (Failed, on record) and stopping (open, for the next worker to go on with). Does
not own: the stages (`stages`), several creations at once (`worker`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from canister_factory.candid.principal import PrincipalLike, as_principal
from canister_factory.contract.artifacts import WasmModule, personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import CreationErrorKind
from canister_factory.contract.errors import ContractError, CreationRefused
from canister_factory.factory import condition
from canister_factory.factory.aside import Aside
from canister_factory.factory.bounds import Bounds, looking
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import (
    CreationFailedError,
    FactoryError,
    LeaseLostError,
    is_waiting,
    to_creation_error,
)
from canister_factory.factory.events import Claimed, EventHook, ignore
from canister_factory.factory.lease import Lease
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.retry import Retry, Sleep
from canister_factory.factory.run import Run
from canister_factory.factory.stages import CanisterGivenUp, Stages
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import IcError
from canister_factory.ic.trace import heard_by
from canister_factory.ic.verdict import Verdict, verdict

logger = logging.getLogger(__name__)


class Orchestrator:
    """Takes creations from wherever they stand to Completed.

    Args:
        agent: calls as an operator of the backend.
        backend_id: the backend canister.
        config: all knobs.
        module: what to install; the bundled release unless given.
        emit: told of every event; an exception that it raises stops the run.
        sleep, clock: injected time, seconds.
    """

    def __init__(
        self,
        agent: Agent,
        backend_id: PrincipalLike,
        config: FactoryConfig | None = None,
        *,
        module: WasmModule | None = None,
        emit: EventHook = ignore,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.agent = agent
        self.backend = BackendClient(agent, backend_id)
        self.config = config or FactoryConfig()
        self._module = module or personal_wasm()
        self._emit = emit
        self._sleep = sleep
        self._clock = clock

    def __repr__(self) -> str:
        return f"Orchestrator({self.config.worker} for {self.backend.canister_id})"

    async def run(self, owner: PrincipalLike) -> Outcome:
        """Creates the personal canister of `owner`, who asked for it; goes on with what earlier runs have done.

        Raises:
            CreationRefused: there is no open request, or another worker has the lease (kind Busy).
            LeaseLostError: another worker took over; nothing was done since.
            PausedError: an admin has stopped everything that uses cycles; the creation stays open. `CreationRefused` of
                kind Disabled or BudgetSpent says the same.
            CreationFailedError: the creation is Failed, on record; the owner may retry it.
            IcError: the network failed, or gave no answer that can be trusted, for longer than all attempts took; the
                creation stays open, run it again.
        """
        run = Run.start(
            self.agent,
            self.backend.canister_id,
            as_principal(owner),
            self._module,
            self.config,
            emit=self._emit,
            sleep=self._sleep,
            clock=self._clock,
        )
        with heard_by(run.traffic):
            return await self._run(run)

    async def _run(self, run: Run) -> Outcome:
        lease = Lease(run)
        async with Aside() as aside:
            releases = aside.start(run.backend.list_releases())  # beside the claim, which takes longer
            granted = await lease.claim()
            self._emit(Claimed(run.owner, lease.ref.lease, granted.creation.status))
            return await self._stages(run, lease, Stages(run, granted.creation, granted.manifest, lease, releases))

    async def _stages(self, run: Run, lease: Lease, stages: Stages) -> Outcome:
        bounds = Bounds(run)

        async def look() -> None:
            bounds.check(stages.extent)
            if stages.personal is not None:
                with suppress(IcError):  # whoever needs it now finds the same
                    await condition.look(stages.personal, stages.stage)

        try:
            return await lease.guard(lambda: looking(stages.run, look, run))
        except LeaseLostError as lost:
            lost.stage, lost.canister_id = stages.stage, stages.canister_id
            raise
        except asyncio.CancelledError:
            await asyncio.shield(lease.release())
            raise
        except Exception as error:
            cause = await _explained(error, stages)
            if is_waiting(cause) or verdict(cause) is not Verdict.FINAL:
                await lease.release()
                raise
            if cause is not error:
                cause.__cause__ = error
            raise await self._failed(cause, stages, lease) from cause

    async def _failed(self, error: Exception, stages: Stages, lease: Lease) -> Exception:
        """Records the failure; returns what to raise."""
        failure = to_creation_error(error, stages.stage, stages.canister_id)
        logger.error("creation of %s failed at %s: %s", lease.ref.owner, stages.stage, error, exc_info=error)
        # Not by the run's client: it tells the watcher of each attempt, whose own failure this may be.
        backend = BackendClient(self.agent, self.backend.canister_id, repeat=Retry(self.config, sleep=self._sleep))
        try:
            recorded = await backend.fail_creation(lease.ref, failure)
        except (CreationRefused, IcError) as refusal:
            logger.warning("the failure could not be recorded, the creation stays open: %s", refusal)
            return error
        return CreationFailedError(
            recorded.error or failure, stage=stages.stage, canister_id=stages.canister_id, cause=error
        )


async def _explained(error: Exception, stages: Stages) -> Exception:
    """What made the stages fail with `error`: what was done to the canister, or the error itself.

    Of what is in the canister's history the backend is the judge, and lets a retry take another canister.
    """
    state = None if stages.personal is None else await condition.behind(error, stages.personal, stages.stage)
    if state is None:
        return error
    if state.state in condition.JUDGED:
        try:
            await stages.ask_to_start_over()
        except CreationRefused as refusal:
            if refusal.error.kind == CreationErrorKind.HistoryFailed:
                return refusal
        except (ContractError, IcError, CanisterGivenUp):
            pass
        if isinstance(error, FactoryError):  # found here already, in words of its own
            return error
    return state
