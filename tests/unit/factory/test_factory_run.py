"""What one run works with: a patient backend, and a window that feels what it waits out."""

from __future__ import annotations

import pytest

from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import LeaseRef, ProvisionResult
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.events import Event, Retrying
from canister_factory.factory.run import Run
from canister_factory.ic.errors import NetworkUnreachableError, TransportError
from support.backend_script import BACKEND, OWNER, BackendScript, Clock, run_on

LEASE = LeaseRef(owner=OWNER, lease=1)


class Backend(BackendScript):
    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def provision_canister(self, lease: LeaseRef) -> ProvisionResult:
        if self.failures:
            raise self.failures.pop(0)
        return ProvisionResult(canister_id=BACKEND, cycles=1, is_new=True)


async def test_a_failure_that_its_backend_waits_out_halves_the_window_and_is_told() -> None:
    clock, events = Clock(), list[Event]()
    run = run_on(Backend(TransportError("cut")), clock, emit=events.append, start_window=8, backoff_seconds=2)
    assert (await run.backend.provision_canister(LEASE)).cycles == 1
    assert run.window.size == 4
    assert events == [Retrying("provision_canister", "cut", 1, 2.0)]
    assert clock.slept == [2.0]


async def test_a_failure_that_is_not_waited_out_leaves_the_window_alone() -> None:
    run = run_on(Backend(NetworkUnreachableError("nobody there")), Clock(), start_window=8)
    with pytest.raises(NetworkUnreachableError, match="nobody there"):
        await run.backend.provision_canister(LEASE)
    assert run.window.size == 8


def test_its_window_is_that_of_the_settings() -> None:
    settings = FactoryConfig(start_window=3, max_window=7)
    run = Run.start(Backend(), BACKEND, OWNER, personal_wasm(), settings)  # type: ignore[arg-type]
    assert (run.window.size, run.window.maximum) == (3, 7)
    assert (run.owner, run.backend.canister_id, run.config) == (OWNER, BACKEND, settings)
