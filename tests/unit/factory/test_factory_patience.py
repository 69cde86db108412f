"""Repeating idempotent calls, the lease, the configuration, and how failures are worded for the contract."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import (
    CreationError,
    CreationErrorKind,
    CreationLease,
    CreationStatus,
)
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import InstallError, LeaseLostError, to_creation_error
from canister_factory.factory.events import Retrying
from canister_factory.factory.lease import Lease
from canister_factory.factory.patience import Patience, is_open
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    CertificateScopeError,
    CertificateSignatureError,
    IngressTooLargeError,
    MalformedCborError,
    NetworkConfigError,
    NetworkUnreachableError,
    OutcomeUnknownError,
    ProtocolError,
    QuerySignatureError,
    RejectedError,
    StaleCertificateError,
    TransportError,
)
from support.patience_script import OWNER, Clock, refusal


def patience(clock: Clock, **config: Any) -> Patience:
    return Patience(FactoryConfig(backoff_seconds=1, attempts=3, **config), sleep=clock.sleep)


UNTRUSTED = [
    CertificateSignatureError("signed by a stranger"),
    CertificateScopeError("another subnet's"),
    StaleCertificateError("of yesterday"),
    QuerySignatureError("not signed"),
    MalformedCborError("not CBOR"),
    ProtocolError("neither a reply nor a rejection"),
]
UNCERTIFIED = [
    NetworkUnreachableError("nobody there"),
    ProtocolError("HTTP 403: a portal wants a login", status=403),
    RejectedError(4, "one replica says no", certified=False),
]
CERTAIN = [
    RejectedError(4, "no", certified=True),
    RejectedError(5, "trapped", "IC0503", certified=True),
    CanisterNotFoundError("deleted"),
    IngressTooLargeError("the call", 3, 2),
    NetworkConfigError("a proxy that can't be used"),
    InstallError("another module"),
    refusal(CreationErrorKind.ReserveInsufficient),
    ValueError("a defect"),
]


@pytest.mark.parametrize("failure", [OutcomeUnknownError(b"id", 1, "no answer"), *UNTRUSTED, *UNCERTIFIED], ids=repr)
def test_what_nobody_certifies_leaves_a_creation_open(failure: Exception) -> None:
    assert is_open(failure)


@pytest.mark.parametrize("failure", CERTAIN, ids=repr)
def test_what_is_certain_decides_a_creation(failure: Exception) -> None:
    assert not is_open(failure)


@pytest.mark.parametrize(
    "failure",
    [
        OutcomeUnknownError(b"id", 1, "no answer"),
        TransportError("broken"),
        RejectedError(2, "busy", certified=False),
        RejectedError(5, "stopped for its upgrade", "IC0508", certified=False),
        RejectedError(5, "stopping for its upgrade", "IC0509", certified=True),
        *UNTRUSTED,
    ],
    ids=repr,
)
async def test_a_passing_failure_is_waited_out(failure: Exception) -> None:
    clock, failures, pressed = Clock(), [failure, failure], []

    async def call(value: int) -> int:
        if failures:
            raise failures.pop()
        return value

    calling = patience(clock)
    calling.on_pressure = lambda: pressed.append(True)
    assert await calling(call, 5) == 5
    assert clock.slept == [1, 2]
    assert len(pressed) == 2


@pytest.mark.parametrize(
    "failure",
    [
        *UNCERTIFIED,
        *CERTAIN,
        refusal(CreationErrorKind.Busy),
    ],
    ids=repr,
)
async def test_any_other_failure_goes_through_at_once(failure: Exception) -> None:
    clock = Clock()

    async def call() -> None:
        raise failure

    with pytest.raises(type(failure)):
        await patience(clock)(call)
    assert clock.slept == []


async def test_after_the_last_attempt_its_failure_is_raised() -> None:
    clock, calls = Clock(), []

    async def call() -> None:
        calls.append(True)
        raise TransportError(f"broken {len(calls)}")

    with pytest.raises(TransportError, match="broken 3"):
        await patience(clock)(call)
    assert clock.slept == [1, 2]


async def test_each_new_attempt_is_told_with_its_reason_and_pause() -> None:
    clock = Clock()
    events: list[object] = []
    calling = Patience(FactoryConfig(backoff_seconds=0.5, attempts=4), sleep=clock.sleep, emit=events.append)
    failures: list[Exception] = [TransportError("third"), TransportError("second"), TransportError("first")]

    async def put_items(*arguments: object, **options: object) -> tuple[object, ...]:
        if failures:
            raise failures.pop()
        return (*arguments, options)

    assert await calling(put_items, 1, b=2) == (1, {"b": 2})
    assert events == [
        Retrying("put_items", "first", 1, 0.5),
        Retrying("put_items", "second", 2, 1.0),
        Retrying("put_items", "third", 3, 2.0),
    ]
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_a_call_without_a_name_is_told_as_it_is() -> None:
    clock, failures = Clock(), [TransportError("cut")]
    events: list[Any] = []

    class Nameless:
        def __repr__(self) -> str:
            return "<nameless>"

        async def __call__(self) -> None:
            if failures:
                raise failures.pop()

    await Patience(FactoryConfig(backoff_seconds=1), sleep=clock.sleep, emit=events.append)(Nameless())
    assert [event.what for event in events] == ["<nameless>"]


async def test_with_one_attempt_nothing_is_tried_again() -> None:
    clock, pressed = Clock(), []

    async def call() -> None:
        raise TransportError("broken")

    calling = Patience(FactoryConfig(attempts=1), sleep=clock.sleep)
    calling.on_pressure = lambda: pressed.append(True)
    with pytest.raises(TransportError, match="broken"):
        await calling(call)
    assert (clock.slept, pressed) == ([], [])


class Backend:
    """The lease endpoints; `renewals` says how each renewal ends."""

    def __init__(self, *renewals: Exception | None) -> None:
        self.renewals = list(renewals)
        self.released = 0

    async def claim_creation(self, request: Any) -> CreationLease:
        return CreationLease.model_construct(lease=9, expires_at=0, creation=None)

    async def renew_lease(self, ref: Any) -> int:
        assert ref.lease == 9
        outcome = self.renewals.pop(0) if self.renewals else None
        if outcome is not None:
            raise outcome
        return 0

    async def release_lease(self, ref: Any) -> None:
        self.released += 1
        raise TransportError("gone")


async def held(backend: Backend, clock: Clock) -> Lease:
    config = FactoryConfig(lease_seconds=30)
    lease = Lease(backend, OWNER, config, Patience(config), sleep=clock.sleep, clock=clock)  # type: ignore[arg-type]
    await lease.claim()
    return lease


async def test_a_lease_is_renewed_when_a_third_of_it_has_passed() -> None:
    clock, backend = Clock(), Backend()
    lease = await held(backend, clock)

    async def work() -> str:
        while clock.now < 100:  # noqa: ASYNC110 - the lease's own sleeping moves the clock
            await asyncio.sleep(0)
        return "done"

    assert await lease.guard(work) == "done"
    assert set(clock.slept) == {10}
    assert lease.remaining_seconds > 0


async def test_work_is_cancelled_at_once_when_another_worker_has_the_lease() -> None:
    clock = Clock()
    lease = await held(Backend(None, refusal(CreationErrorKind.Busy, "replaced")), clock)
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(clock.now)

    with pytest.raises(LeaseLostError, match="replaced"):
        await lease.guard(work)
    assert cancelled == [20]


async def test_a_lease_that_cannot_be_renewed_before_its_end_is_lost() -> None:
    clock = Clock()
    lease = await held(Backend(*[TransportError("down")] * 10), clock)
    with pytest.raises(LeaseLostError, match="could not be renewed: down"):
        await lease.guard(lambda: asyncio.Event().wait())
    assert clock.now == 30


async def test_a_short_failure_to_renew_is_no_loss() -> None:
    clock = Clock()
    lease = await held(Backend(TransportError("down"), None), clock)

    async def work() -> str:
        while clock.now < 60:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return "done"

    assert await lease.guard(work) == "done"


async def test_a_refused_step_shows_that_the_lease_is_gone() -> None:
    lease = await held(Backend(refusal(CreationErrorKind.Busy, "number 10 replaced it")), Clock())

    async def work() -> None:
        raise refusal(CreationErrorKind.Busy)

    lease._sleep = lambda seconds: asyncio.Event().wait()
    with pytest.raises(LeaseLostError, match="number 10"):
        await lease.guard(work)


async def test_giving_a_lease_back_never_fails() -> None:
    backend = Backend()
    await (await held(backend, Clock())).release()
    assert backend.released == 1


def test_the_configuration_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValidationError, match="start_window 20 is above max_window 10"):
        FactoryConfig(start_window=20, max_window=10)
    with pytest.raises(ValidationError):
        FactoryConfig(max_message_bytes=3_000_000)
    with pytest.raises(ValidationError):
        FactoryConfig(windows=3)  # type: ignore[call-arg]


def test_the_stated_memory_bound_is_the_formula_of_its_numbers() -> None:
    from canister_factory.factory.config import MESSAGE_COPIES

    config = FactoryConfig()
    bound = config.max_window * config.max_message_bytes * MESSAGE_COPIES
    assert f"{bound / 1e6:.0f} MB" in (FactoryConfig.__doc__ or "")


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (CreationStatus.Exporting, CreationErrorKind.ImportFailed),
        (CreationStatus.Creating, CreationErrorKind.CreateFailed),
        (CreationStatus.Installing, CreationErrorKind.InstallFailed),
        (CreationStatus.Importing, CreationErrorKind.ImportFailed),
        (CreationStatus.Verifying, CreationErrorKind.VerifyFailed),
    ],
)
def test_a_rejection_is_a_failure_of_the_stage_where_it_happened(
    stage: CreationStatus, kind: CreationErrorKind
) -> None:
    told = to_creation_error(RejectedError(5, "trapped", certified=True), stage, OWNER)
    assert (told.kind, told.stage, told.canister_id, told.retry_helps) == (kind, stage, OWNER, False)
    assert "trapped" in told.message


def test_a_refusal_of_the_reserve_keeps_its_kind_and_amounts() -> None:
    error = CreationError(
        kind=CreationErrorKind.ReserveInsufficient, message="short", needed=5, available=3, retry_helps=True
    )
    told = to_creation_error(CreationRefused("provision_canister", error), CreationStatus.Creating, None)
    assert (told.kind, told.needed, told.available) == (CreationErrorKind.ReserveInsufficient, 5, 3)


def test_a_refused_chunk_names_limit_and_value() -> None:
    error = CapsuleError.model_validate({"LimitExceeded": {"what": "bytes of a chunk", "limit": 10, "actual": 2000}})
    told = to_creation_error(CapsuleRefused("put_memory_chunks", error), CreationStatus.Importing, None)
    assert "bytes of a chunk is 2,000, above the limit of 10" in told.message


def test_our_own_errors_keep_their_kind_whatever_the_stage() -> None:
    told = to_creation_error(InstallError("another module"), CreationStatus.Importing, None)
    assert (told.kind, told.message) == (CreationErrorKind.InstallFailed, "another module")


def test_the_text_of_a_defect_is_not_published() -> None:
    told = to_creation_error(KeyError("secret"), CreationStatus.Importing, None)
    assert "secret" not in told.message
    assert "KeyError" in told.message
