"""A backend by script below the typed client, Candid in and out; a clock, an owner and refusals for what waits."""

from __future__ import annotations

import asyncio
from typing import Any

from canister_factory.candid.binding import from_candid, to_candid
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CreatePersonalCanisterConfig,
    CreationError,
    CreationErrorKind,
    CreationProgress,
    CreationStatus,
    DetailedCreationStatus,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import EventHook, ignore
from canister_factory.factory.retry import Sleep
from canister_factory.factory.run import Run

OWNER = Principal(b"\x07" * 10)
BACKEND = Principal(bytes(8) + b"\x01\x01")


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def refusal(kind: CreationErrorKind, message: str = "because") -> CreationRefused:
    return CreationRefused("method", CreationError(kind=kind, message=message, retry_helps=True))


def creation(status: CreationStatus = CreationStatus.NotStarted) -> DetailedCreationStatus:
    """A creation of `OWNER` that stands at a stage."""
    nothing = CreationProgress(stage=status, bytes_done=0, bytes_total=0, items_done=0, items_total=0)
    return DetailedCreationStatus(
        operators=[],
        owner=OWNER,
        status=status,
        config=CreatePersonalCanisterConfig(),
        created_at=0,
        updated_at=0,
        attempts=1,
        cycles_consumed=0,
        progress=nothing,
        progress_message="",
        verified=False,
        lost_canisters=[],
    )


class BackendScript:
    """An agent that answers for the backend. Subclasses have a coroutine method for each endpoint that they know, which
    returns the endpoint's result, or raises what the call fails with."""

    async def update(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        """The reply to a call, whether update or query."""
        assert canister_id == BACKEND
        endpoint = BackendClient.method(method)
        values = decode(arg, endpoint.arg_types)
        arguments = [from_candid(a, value) for a, value in zip(endpoint.arg_annotations, values, strict=True)]
        result = to_candid(endpoint.result_annotation, await getattr(self, method)(*arguments))
        return encode(endpoint.result_types, [result if endpoint.refusal is None else Case("Ok", result)])

    query = update


def run_on(agent: Any, clock: Clock, *, sleep: Sleep | None = None, emit: EventHook = ignore, **config: Any) -> Run:
    """A run for `OWNER` whose calls `agent` answers; it sleeps by `clock`, or as `sleep` does."""
    settings = FactoryConfig(**config)
    return Run.start(
        agent, BACKEND, OWNER, personal_wasm(), settings, emit=emit, sleep=sleep or clock.sleep, clock=clock
    )
