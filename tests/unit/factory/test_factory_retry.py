"""Making a call again after a failure that passes."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.contract.creation_models import CreationErrorKind
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import InstallError
from canister_factory.factory.events import Event, Retrying
from canister_factory.factory.retry import Retry
from canister_factory.ic.errors import (
    CanisterNotFoundError,
    MalformedCborError,
    NetworkUnreachableError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    TransportError,
)
from support.backend_script import Clock, refusal


def retry(clock: Clock, **options: Any) -> Retry:
    return Retry(FactoryConfig(backoff_seconds=1, attempts=3), sleep=clock.sleep, **options)


@pytest.mark.parametrize(
    "failure",
    [
        OutcomeUnknownError(b"id", 1, "no answer"),
        TransportError("broken"),
        RejectedError(2, "busy", certified=False),
        MalformedCborError("not CBOR"),
    ],
    ids=repr,
)
async def test_a_passing_failure_is_waited_out(failure: Exception) -> None:
    clock, failures, pressed = Clock(), [failure, failure], []

    async def call(value: int) -> int:
        if failures:
            raise failures.pop()
        return value

    assert await retry(clock, on_pressure=lambda: pressed.append(True))("call", call, 5) == 5
    assert clock.slept == [1, 2]
    assert len(pressed) == 2


@pytest.mark.parametrize(
    "failure",
    [
        NetworkUnreachableError("nobody there"),
        ProtocolError("HTTP 403: a portal wants a login", status=403),
        RejectedError(4, "one replica says no", certified=False),
        RejectedError(4, "no", certified=True),
        CanisterNotFoundError("deleted"),
        InstallError("another module"),
        refusal(CreationErrorKind.ReserveInsufficient),
        refusal(CreationErrorKind.Busy),
        ValueError("a defect"),
    ],
    ids=repr,
)
async def test_any_other_failure_goes_through_at_once(failure: Exception) -> None:
    clock, pressed = Clock(), []

    async def call() -> None:
        raise failure

    with pytest.raises(type(failure)):
        await retry(clock, on_pressure=lambda: pressed.append(True))("call", call)
    assert (clock.slept, pressed) == ([], [])


async def test_after_the_last_attempt_its_failure_is_raised() -> None:
    clock, calls = Clock(), []

    async def call() -> None:
        calls.append(True)
        raise TransportError(f"broken {len(calls)}")

    with pytest.raises(TransportError, match="broken 3"):
        await retry(clock)("call", call)
    assert clock.slept == [1, 2]


async def test_each_new_attempt_is_told_with_its_reason_and_pause() -> None:
    clock, events = Clock(), list[Event]()
    repeat = Retry(FactoryConfig(backoff_seconds=0.5, attempts=4), sleep=clock.sleep, emit=events.append)
    failures: list[Exception] = [TransportError("third"), TransportError("second"), TransportError("first")]

    async def call(*arguments: object, **options: object) -> tuple[object, ...]:
        if failures:
            raise failures.pop()
        return (*arguments, options)

    assert await repeat("put_items", call, 1, b=2) == (1, {"b": 2})
    assert events == [
        Retrying("put_items", "first", 1, 0.5),
        Retrying("put_items", "second", 2, 1.0),
        Retrying("put_items", "third", 3, 2.0),
    ]
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_with_one_attempt_nothing_is_tried_again() -> None:
    clock, pressed = Clock(), []

    async def call() -> None:
        raise TransportError("broken")

    once = Retry(FactoryConfig(attempts=1), sleep=clock.sleep, on_pressure=lambda: pressed.append(True))
    with pytest.raises(TransportError, match="broken"):
        await once("call", call)
    assert (clock.slept, pressed) == ([], [])


def test_its_repr_shows_the_number_of_attempts() -> None:
    assert repr(retry(Clock())) == "Retry(3 attempts)"
