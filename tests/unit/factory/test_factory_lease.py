"""The lease at its edges: what is claimed, how its end is counted, and every way in which it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.contract.creation_models import (
    ClaimRequest,
    CreationErrorKind,
    CreationLease,
    LeaseRef,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.errors import LeaseLostError, PausedError
from canister_factory.factory.lease import Lease
from canister_factory.factory.retry import Sleep
from canister_factory.ic.errors import TransportError
from support.backend_script import OWNER, BackendScript, Clock, creation, refusal, run_on


class Backend(BackendScript):
    """The lease endpoints as a script: what each call does, and what it was asked. A call takes `takes` seconds."""

    def __init__(self, clock: Clock, takes: float = 0.0) -> None:
        self.clock = clock
        self.takes = takes
        self.claims: list[ClaimRequest] = []
        self.renewed: list[LeaseRef] = []
        self.released: list[LeaseRef] = []
        self.outcomes: list[Exception | None] = []
        self.on_renewal: Callable[[], Any] = lambda: None

    def _end(self) -> None:
        self.clock.now += self.takes
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome

    async def claim_creation(self, request: ClaimRequest) -> CreationLease:
        self.claims.append(request)
        self._end()
        return CreationLease(lease=9, expires_at=0, creation=creation())

    async def renew_lease(self, ref: LeaseRef) -> int:
        self.renewed.append(ref)
        await asyncio.sleep(0)
        hanging = self.on_renewal()
        if hanging is not None:
            await hanging
        self._end()
        return 0

    async def release_lease(self, ref: LeaseRef) -> None:
        self.released.append(ref)
        self._end()


def lease_on(backend: Backend, sleep: Sleep | None = None) -> Lease:
    settings: dict[str, Any] = {"lease_seconds": 30, "worker": "worker one", "backoff_seconds": 1, "attempts": 3}
    return Lease(run_on(backend, backend.clock, sleep=sleep, **settings))


async def held(backend: Backend, sleep: Sleep | None = None) -> Lease:
    lease = lease_on(backend, sleep)
    await lease.claim()
    return lease


async def forever(seconds: float = 0) -> None:
    await asyncio.Event().wait()


# --- Claiming --------------------------------------------------------------------------------------------------------


async def test_it_is_claimed_for_the_owner_and_this_worker_and_gives_the_creation() -> None:
    backend = Backend(Clock())
    lease = lease_on(backend)
    granted = await lease.claim()
    assert (granted.creation, granted.manifest) == (creation(), None)
    assert backend.claims == [ClaimRequest(owner=OWNER, worker="worker one", duration_ns=30 * 10**9)]
    assert lease.ref == LeaseRef(owner=OWNER, lease=9)


async def test_a_claim_is_tried_again_when_the_network_fails() -> None:
    backend = Backend(Clock())
    backend.outcomes = [TransportError("cut")]
    await held(backend)
    assert len(backend.claims) == 2


async def test_a_claim_that_another_worker_holds_goes_through() -> None:
    backend = Backend(Clock())
    backend.outcomes = [refusal(CreationErrorKind.Busy, "somebody else has it")]
    with pytest.raises(CreationRefused, match="somebody else has it"):
        await held(backend)


def test_before_it_is_claimed_it_has_no_time_left_and_no_number() -> None:
    clock = Clock()
    clock.now = 5.0
    lease = lease_on(Backend(clock))
    assert (lease.remaining_seconds, lease.ref) == (-5.0, LeaseRef(owner=OWNER, lease=0))


async def test_its_end_is_counted_from_before_the_claim_was_sent() -> None:
    backend = Backend(Clock(), takes=4.0)
    lease = await held(backend)
    assert lease.remaining_seconds == 26
    backend.clock.now += 20
    assert lease.remaining_seconds == 6


async def test_its_repr_shows_number_owner_and_time_left() -> None:
    assert repr(await held(Backend(Clock()))) == f"Lease(9 on {OWNER}, 30 s left)"


# --- Renewing --------------------------------------------------------------------------------------------------------


async def test_renewing_prolongs_it_from_before_the_renewal_was_sent() -> None:
    backend = Backend(Clock(), takes=2.0)
    lease = await held(backend)
    await lease.renew()
    assert lease.remaining_seconds == 28
    assert backend.renewed == [lease.ref]


async def test_a_renewal_that_failed_prolongs_nothing() -> None:
    backend = Backend(Clock(), takes=2.0)
    lease = await held(backend)
    backend.outcomes = [TransportError("cut")]
    with pytest.raises(TransportError, match="cut"):
        await lease.renew()
    assert lease.remaining_seconds == 26


async def test_a_renewal_refused_because_another_has_it_says_so_with_number_and_owner() -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    refused = refusal(CreationErrorKind.Busy, "number 10 replaced it")
    backend.outcomes = [refused]
    with pytest.raises(LeaseLostError, match=f"lease 9 on the creation of {OWNER} is lost: number 10") as lost:
        await lease.renew()
    assert lost.value.__cause__ is refused
    assert lost.value.method == "method", "that of the refusal"


async def test_a_renewal_of_a_creation_that_ended_is_not_a_lost_lease() -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    backend.outcomes = [refusal(CreationErrorKind.InvalidRequest, "completed")]
    with pytest.raises(CreationRefused, match="completed"):
        await lease.renew()


@pytest.mark.parametrize(("passed", "waited"), [(0, 30.0), (20, 10.0), (29.5, 1.0), (40, 1.0)])
async def test_no_answer_to_a_renewal_is_waited_for_longer_than_the_lease_lasts(passed: float, waited: float) -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    backend.clock.now += passed
    loop = asyncio.get_running_loop()
    started, ahead = loop.time(), [0.0]
    limits: list[float | None] = []
    real = loop.time
    loop.time = lambda: real() + ahead[0]  # type: ignore[method-assign]

    def hang() -> Any:
        # The deadline that is set now, as the loop has it; then that much time passes at once.
        (deadline,) = (handle.when() for handle in loop._scheduled)  # type: ignore[attr-defined]
        limits.append(deadline - started)
        ahead[0] = waited + 1
        return forever()

    backend.on_renewal = hang
    try:
        with pytest.raises(LeaseLostError, match="could not be renewed before it ran out: no answer"):
            await lease.renew()
    finally:
        del loop.time
    assert limits == [pytest.approx(waited, abs=0.5)]


async def test_it_is_released_by_its_number_whatever_the_backend_says() -> None:
    for outcome in (None, TransportError("cut"), refusal(CreationErrorKind.Busy)):
        backend = Backend(Clock())
        lease = await held(backend)
        backend.outcomes = [outcome]
        await lease.release()
        assert backend.released == [lease.ref]


async def test_a_defect_while_releasing_is_not_swallowed() -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    backend.outcomes = [ValueError("a defect")]
    with pytest.raises(ValueError, match="a defect"):
        await lease.release()


# --- Guarding --------------------------------------------------------------------------------------------------------


async def test_it_is_renewed_when_a_third_of_it_has_passed() -> None:
    clock = Clock()
    lease = await held(Backend(clock))

    async def work() -> str:
        while clock.now < 100:  # noqa: ASYNC110 - the lease's own sleeping moves the clock
            await asyncio.sleep(0)
        return "done"

    assert await lease.guard(work) == "done"
    assert set(clock.slept) == {10}
    assert lease.remaining_seconds > 0


async def test_work_is_cancelled_at_once_when_another_worker_has_the_lease() -> None:
    backend, cancelled = Backend(Clock()), list[float]()
    lease = await held(backend)
    backend.outcomes = [None, refusal(CreationErrorKind.Busy, "replaced")]

    async def work() -> None:
        try:
            await forever()
        finally:
            cancelled.append(backend.clock.now)

    with pytest.raises(LeaseLostError, match="replaced"):
        await lease.guard(work)
    assert cancelled == [20]


async def test_work_is_cancelled_at_once_when_an_admin_has_stopped_everything() -> None:
    backend, cancelled = Backend(Clock()), list[float]()
    lease = await held(backend)
    backend.outcomes = [None, refusal(CreationErrorKind.Disabled, "stopped")]

    async def work() -> None:
        try:
            await forever()
        finally:
            cancelled.append(backend.clock.now)

    with pytest.raises(PausedError, match="stopped"):
        await lease.guard(work)
    assert cancelled == [20]


async def test_a_short_failure_to_renew_is_no_loss() -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    backend.outcomes = [TransportError("down"), None]

    async def work() -> str:
        while backend.clock.now < 60:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return "done"

    assert await lease.guard(work) == "done"


async def test_a_refused_step_shows_that_the_lease_is_gone() -> None:
    backend = Backend(Clock())
    lease = await held(backend, forever)
    backend.outcomes = [refusal(CreationErrorKind.Busy, "number 10 replaced it")]

    async def work() -> None:
        raise refusal(CreationErrorKind.Busy)

    with pytest.raises(LeaseLostError, match="number 10"):
        await lease.guard(work)


async def test_the_work_s_own_failure_is_raised_and_no_renewal_is_left_behind() -> None:
    lease = await held(Backend(Clock()))

    async def work() -> None:
        raise KeyError("the work's own")

    with pytest.raises(KeyError, match="the work's own"):
        await lease.guard(work)
    assert len(asyncio.all_tasks()) == 1


async def test_when_the_work_is_done_no_renewal_goes_on() -> None:
    backend = Backend(Clock())
    lease = await held(backend)

    async def work() -> str:
        return "done"

    assert await lease.guard(work) == "done"
    assert len(asyncio.all_tasks()) == 1


async def test_a_cancelled_guard_cancels_its_work() -> None:
    backend = Backend(Clock())
    lease = await held(backend, forever)
    ended: list[str] = []

    async def work() -> None:
        try:
            await forever()
        finally:
            ended.append("cancelled")

    guarding = asyncio.ensure_future(lease.guard(work))
    for _ in range(3):
        await asyncio.sleep(0)
    guarding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guarding
    assert ended == ["cancelled"]
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("kind", "questions"), [(CreationErrorKind.Busy, 1), (CreationErrorKind.ReserveInsufficient, 0)]
)
async def test_a_refused_step_is_that_refusal_and_busy_asks_whether_the_lease_is_still_ours(
    kind: CreationErrorKind, questions: int
) -> None:
    backend = Backend(Clock())
    lease = await held(backend, forever)

    async def work() -> None:
        raise refusal(kind, "not now")

    with pytest.raises(CreationRefused, match="not now"):
        await lease.guard(work)
    assert backend.renewed == [lease.ref] * questions


async def test_when_the_creation_ends_meanwhile_the_renewals_end_and_the_work_goes_on() -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    backend.outcomes = [refusal(CreationErrorKind.InvalidRequest, "completed")]

    async def work() -> str:
        while not backend.renewed:  # noqa: ASYNC110 - the lease's own sleeping moves the clock
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        return "done"

    assert await lease.guard(work) == "done"
    assert len(backend.renewed) == 1


async def test_a_renewal_that_fails_exactly_when_the_lease_ends_is_its_loss() -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    backend.outcomes = [TransportError(f"down {n}") for n in range(9)]
    with pytest.raises(
        LeaseLostError, match=f"lease 9 on the creation of {OWNER} expired because it could not be renewed: down 2"
    ) as lost:
        await lease.guard(forever)
    assert isinstance(lost.value.__cause__, TransportError)
    assert (lost.value.method, lost.value.canister_id) == ("renew_lease", None)
    assert (backend.clock.now, len(backend.renewed)) == (30, 3)


async def test_half_a_second_before_its_end_a_lease_is_not_lost_yet() -> None:
    clock = Clock()
    backend = Backend(clock, takes=9.5 / 3)
    lease = await held(backend)
    backend.outcomes = [TransportError("down"), TransportError("down"), refusal(CreationErrorKind.Busy, "replaced")]
    left: list[float] = []
    backend.on_renewal = lambda: left.append(lease.remaining_seconds - backend.takes)
    with pytest.raises(LeaseLostError, match="replaced"):
        await lease.guard(forever)
    assert left[1] == pytest.approx(0.5)
    assert len(left) == 3, "tried once more"


async def test_a_failing_renewal_is_logged_with_the_time_left(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend(Clock())
    lease = await held(backend)
    backend.outcomes = [TransportError("down"), refusal(CreationErrorKind.Busy, "replaced")]
    with caplog.at_level(logging.WARNING), pytest.raises(LeaseLostError, match="replaced"):
        await lease.guard(forever)
    assert [record.getMessage() for record in caplog.records] == [
        f"lease 9 on the creation of {OWNER} can't be renewed, 20 s left: down"
    ]
