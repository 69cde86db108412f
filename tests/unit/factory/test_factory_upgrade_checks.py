"""The cycles that an upgrade needs, and the way in which a module takes over memory."""

from __future__ import annotations

import pytest

from canister_factory.contract.artifacts import backend_wasm, personal_wasm
from canister_factory.factory.upgrade_checks import cycles_of, keeps_heap, upgrade_mode
from canister_factory.ic.management_types import CanisterStatus, EffectiveSettings, MemoryPersistence, RunState

DAY_S = 86_400


def status(cycles: int, *, threshold_days: int = 90) -> CanisterStatus:
    settings = EffectiveSettings(
        controllers=[], compute_allocation=0, memory_allocation=0, freezing_threshold=threshold_days * DAY_S
    )
    return CanisterStatus(
        status=RunState.running,
        settings=settings,
        memory_size=10_000_000,
        cycles=cycles,
        idle_cycles_burned_per_day=10**9,
    )


def test_the_snapshot_doubles_the_freezing_threshold() -> None:
    needed = cycles_of(status(10**12), has_64_bits=False)
    assert needed.frozen == 2 * 90 * 10**9
    assert needed.snapshot_bytes == 10_000_000
    assert needed.missing == 0


@pytest.mark.parametrize("has_64_bits", [False, True])
def test_what_is_missing_is_enough(has_64_bits: bool) -> None:
    poor = cycles_of(status(10**9), has_64_bits)
    assert poor.missing > 0
    assert cycles_of(status(10**9 + poor.missing), has_64_bits).missing == 0
    assert cycles_of(status(10**9 + poor.missing - 1), has_64_bits).missing == 1


def test_a_module_is_installed_as_its_heap_is_kept() -> None:
    assert (keeps_heap(backend_wasm()), keeps_heap(personal_wasm())) == (True, False)
    for module, persistence in ((backend_wasm(), MemoryPersistence.of("keep")), (personal_wasm(), None)):
        mode = upgrade_mode(module)
        assert mode.upgrade is not None
        assert mode.upgrade.wasm_memory_persistence == persistence
