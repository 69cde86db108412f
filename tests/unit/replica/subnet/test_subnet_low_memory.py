"""When `canister_on_low_wasm_memory` runs.

Source: interface specification, "On Low Wasm Memory" and "Scheduling on low wasm memory hook".
"""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.replica_bench import MANAGEMENT, Bench, management_argument
from support.replica_puppet import call_argument, puppet

PAGE = 65_536
GROW = '(func (export "canister_update grow") (drop (memory.grow (i32.const 16))) (call $reply_count))'
# Each run of the hook notes how many runs there were and what the counter of messages was.
HOOK = """(func (export "canister_on_low_wasm_memory")
  (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
  (i32.store (i32.const 12) (i32.load (i32.const 0))))
  (func (export "canister_query hooked") (call $append (i32.const 8) (i32.const 8)) (call $reply))"""
LOW = {"wasm_memory_limit": 100 * PAGE, "wasm_memory_threshold": 90 * PAGE}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def runs(bench: Bench, canister: bytes) -> int:
    return bench.query(canister, "hooked")[0]


def count_at_hook(bench: Bench, canister: bytes) -> int:
    return bench.query(canister, "hooked")[4]


def test_it_runs_once_when_the_remaining_memory_falls_below_the_threshold(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROW + HOOK), **LOW)
    bench.call(canister, "count")
    assert runs(bench, canister) == 0
    bench.call(canister, "grow")
    assert runs(bench, canister) == 1
    bench.call(canister, "grow")  # it is still low: not again
    assert runs(bench, canister) == 1
    assert bench.canister(canister).version == 5  # the hook is one of the executions


def test_it_runs_before_the_canisters_next_message_but_callbacks(bench: Bench) -> None:
    canister, other = bench.puppet(puppet(GROW + HOOK), **LOW), bench.puppet()
    bench.submit(canister, "grow")
    for _ in range(3):
        bench.submit(canister, "count")
        bench.submit(other, "count")
    bench.run()
    assert (runs(bench, canister), count_at_hook(bench, canister)) == (1, 0)
    assert bench.count(canister) == 3


@pytest.mark.parametrize(
    "settings", [{}, {"wasm_memory_limit": 18 * PAGE}, {"wasm_memory_threshold": 1, "wasm_memory_limit": 0}]
)
def test_it_doesnt_run_without_a_threshold_that_is_reached(bench: Bench, settings: dict[str, int]) -> None:
    canister = bench.puppet(puppet(GROW + HOOK), **settings)
    bench.call(canister, "grow")
    assert runs(bench, canister) == 0


def test_without_a_limit_what_remains_is_up_to_the_largest_memory(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROW + HOOK), wasm_memory_limit=0, wasm_memory_threshold=(4 << 30) - 10 * PAGE)
    assert runs(bench, canister) == 0
    bench.call(canister, "grow")
    assert runs(bench, canister) == 1


def test_settings_and_new_code_may_make_it_run_and_ready_it_again(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROW + HOOK), **LOW)
    bench.on("update_settings", canister, settings={"wasm_memory_threshold": 99 * PAGE})
    assert runs(bench, canister) == 1
    bench.on("update_settings", canister, settings={"wasm_memory_threshold": 0})
    bench.on("update_settings", canister, settings={"wasm_memory_threshold": 99 * PAGE})
    assert runs(bench, canister) == 2
    bench.install(canister, puppet(GROW + HOOK), Case("upgrade", None))  # it was low before, and is so after
    assert runs(bench, canister) == 0
    bench.on("uninstall_code", canister)
    bench.install(canister, puppet(GROW + HOOK))
    assert runs(bench, canister) == 1


def test_a_canister_that_is_stopped_or_frozen_has_it_run_when_it_goes_on(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROW + HOOK), **LOW)
    bench.on("stop_canister", canister)
    bench.on("update_settings", canister, settings={"wasm_memory_threshold": 99 * PAGE})
    bench.on("start_canister", canister)
    assert runs(bench, canister) == 1
    frozen = bench.puppet(puppet(GROW + HOOK), **LOW)
    bench.on("update_settings", frozen, settings={"freezing_threshold": 1 << 60, "wasm_memory_threshold": 99 * PAGE})
    bench.on("update_settings", frozen, settings={"freezing_threshold": 0})
    assert runs(bench, frozen) == 1


def test_it_isnt_run_any_more_if_the_memory_sufficed_before_it_could(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROW + HOOK), **LOW)
    bench.on("stop_canister", canister)
    bench.on("update_settings", canister, settings={"wasm_memory_threshold": 99 * PAGE})
    bench.on("update_settings", canister, settings={"wasm_memory_threshold": 1})
    bench.on("start_canister", canister)
    assert runs(bench, canister) == 0


def test_a_callback_may_make_it_run(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROW + HOOK), **LOW)
    other = bench.puppet()
    bench.on("update_settings", canister, settings={"controllers": [Principal(canister)]})
    lower = {"canister_id": Principal(canister), "settings": {"wasm_memory_threshold": 99 * PAGE}}
    argument = management_argument("update_settings", lower)
    bench.submit(canister, "forward", call_argument(MANAGEMENT, "update_settings", argument))
    bench.submit(other, "count")
    bench.run()
    assert (runs(bench, canister), count_at_hook(bench, canister)) == (1, 1)
    assert bench.count(canister) == 2


def test_a_module_without_it_executes_nothing(bench: Bench) -> None:
    canister = bench.puppet(puppet(GROW), **LOW)
    bench.call(canister, "grow")
    assert bench.canister(canister).version == 2
