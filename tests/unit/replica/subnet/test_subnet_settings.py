"""Settings of a canister: their bounds, what is checked first, and what the limits on Wasm memory do.

Source: interface specification, "IC method create_canister" and "IC method update_settings".
"""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.management_calls import manage_through
from support.replica_bench import OWNER, Bench, CallRejectedError


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("setting", ["wasm_memory_limit", "wasm_memory_threshold"])
def test_wasm_memory_is_limited_up_to_256_tib(bench: Bench, setting: str) -> None:
    canister = bench.create()
    bench.on("update_settings", canister, settings={setting: 1 << 48})
    assert bench.on("canister_status", canister)["settings"][setting] == 1 << 48
    with pytest.raises(CallRejectedError, match=f"{setting} is {(1 << 48) + 1}"):
        bench.on("update_settings", canister, settings={setting: (1 << 48) + 1})


def controllers(*numbers: int) -> list[Principal]:
    return [Principal(bytes([number])) for number in numbers]


def test_controllers_are_counted_before_duplicates_are_dropped(bench: Bench) -> None:
    canister = bench.create(controllers=[Principal(OWNER), *controllers(*range(8)), Principal(OWNER)])
    assert len(bench.canister(canister).settings.controllers) == 9
    given: dict[str, Any] = {"controllers": [Principal(OWNER), *controllers(*[1] * 10)]}
    with pytest.raises(CallRejectedError, match="11 controllers"):
        bench.on("update_settings", canister, settings=given)
    with pytest.raises(CallRejectedError, match="11 controllers"):
        bench.create(**given)
    viewers = {"log_visibility": Case("allowed_viewers", controllers(*[1] * 11))}
    with pytest.raises(CallRejectedError, match="11 log_visibility viewers"):
        bench.on("update_settings", canister, settings=viewers)


def test_settings_are_checked_before_the_fee_of_a_creation(bench: Bench) -> None:
    parent = bench.puppet()
    before = bench.canister(parent).balance
    with pytest.raises(CallRejectedError, match="compute_allocation is 101"):
        manage_through(bench, parent, "create_canister", {"settings": {"compute_allocation": 101}}, cycles=1)
    assert bench.canister(parent).balance > before - 10**11
    with pytest.raises(CallRejectedError, match="requires a fee"):
        manage_through(bench, parent, "create_canister", {"settings": {"compute_allocation": 100}}, cycles=1)
