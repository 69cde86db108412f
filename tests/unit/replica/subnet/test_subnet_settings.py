"""Settings of a canister: their bounds, what is checked first, and what the limits on Wasm memory do.

Source: interface specification, "IC method create_canister" and "IC method update_settings".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Record, resolve
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import RejectCode
from canister_factory.replica.subnet.management_interface import method_type
from support.management_calls import manage_through
from support.replica_bench import OWNER, Bench, CallRejectedError
from support.replica_puppet import call_argument, puppet, with_custom_section
from support.runtime_harness import assembled


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


# --- each setting ---

VIEWERS = Case("allowed_viewers", [Principal(b"\x01"), Principal(b"\x02")])
OTHERS: dict[str, Any] = {
    "controllers": [Principal(OWNER), Principal(b"\x07")],
    "compute_allocation": 3,
    "memory_allocation": 1 << 30,
    "freezing_threshold": 86_400,
    "reserved_cycles_limit": 7,
    "minimum_incoming_canister_call_cycles": 8,
    "wasm_memory_limit": 1 << 31,
    "wasm_memory_threshold": 1 << 20,
    "log_memory_limit": 8_192,
    "log_visibility": VIEWERS,
    "status_visibility": Case("public"),
    "snapshot_visibility": VIEWERS,
    "environment_variables": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
}


def test_each_setting_of_the_interface_is_tried() -> None:
    (argument,) = method_type("update_settings").args
    record = resolve(argument)
    assert isinstance(record, Record)
    settings = resolve(next(field.type for field in record.fields if field.label == "settings"))
    assert isinstance(settings, Record)
    assert {field.label for field in settings.fields} == set(OTHERS)


@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_is_kept_and_told_whether_it_was_given_at_creation_or_later(bench: Bench, name: str) -> None:
    created, changed = bench.create(**{name: OTHERS[name]}), bench.create()
    default = bench.on("canister_status", changed)["settings"]
    assert default[name] != OTHERS[name]
    bench.on("update_settings", changed, settings={name: OTHERS[name]})
    for canister in (created, changed):
        assert bench.on("canister_status", canister)["settings"] == {**default, name: OTHERS[name]}


@pytest.mark.parametrize(
    "variables",
    [
        [{"name": "A", "value": "1"}] * 2,
        [{"name": str(number), "value": ""} for number in range(21)],
        [{"name": "x" * 129, "value": ""}],
        [{"name": "x", "value": "\u00e9" * 65}],
    ],
)
def test_environment_variables_are_bounded_and_have_names_of_their_own(bench: Bench, variables: Any) -> None:
    with pytest.raises(CallRejectedError, match="IC0504 Could not validate the settings"):
        bench.create(environment_variables=variables)


# --- allocations ---


@pytest.mark.parametrize(
    ("name", "value", "error_code"), [("compute_allocation", 50, "IC0530"), ("memory_allocation", 1 << 40, "IC0531")]
)
def test_an_allocation_that_would_freeze_the_canister_is_refused(
    bench: Bench, name: str, value: int, error_code: str
) -> None:
    creator, canister = bench.puppet(), bench.create(10**12)
    before = bench.canister(canister).settings
    problem = f"{error_code} Cannot increase {name.replace('_', ' ')} to {value} due to insufficient cycles"
    with pytest.raises(CallRejectedError, match=problem):
        bench.on("update_settings", canister, settings={name: value})
    assert bench.canister(canister).settings == before
    with pytest.raises(CallRejectedError, match=problem):
        bench.create(10**12, **{name: value})
    count = len(bench.subnet.canisters)
    with pytest.raises(CallRejectedError, match="Cannot increase"):
        manage_through(bench, creator, "create_canister", {"settings": {name: value}}, cycles=10**12)
    assert len(bench.subnet.canisters) == count
    bench.on("provisional_top_up_canister", canister, amount=10**16)
    bench.on("update_settings", canister, settings={name: value})


def test_a_frozen_canister_may_lower_its_allocation(bench: Bench) -> None:
    canister = bench.create(10**15, compute_allocation=10)
    bench.canister(canister).balance = 10**11
    bench.on("update_settings", canister, settings={"compute_allocation": 9})
    assert bench.canister(canister).settings.compute_allocation == 9


@pytest.mark.parametrize("name", ["compute_allocation", "memory_allocation"])
def test_an_allocation_is_paid_for(bench: Bench, name: str) -> None:
    canister = bench.create()
    idle = bench.on("canister_status", canister)["idle_cycles_burned_per_day"]
    bench.on("update_settings", canister, settings={name: OTHERS[name]})
    assert bench.on("canister_status", canister)["idle_cycles_burned_per_day"] > idle


# --- the least cycles of a call ---


def test_a_canister_may_call_itself_without_the_cycles_that_it_wants_of_others(bench: Bench) -> None:
    canister = bench.puppet(minimum_incoming_canister_call_cycles=10**9)
    assert bench.call(canister, "forward", call_argument(canister, "echo", b"me")) == b"me"


# --- the limit on Wasm memory ---

PAGE = 65_536
GROW = "(drop (memory.grow (i32.const 16)))"
GROWING = puppet(f"""
  (func (export "canister_update grow") {GROW} (call $reply_count))
  (func (export "canister_query grow_in_query") {GROW} (call $reply_count))
  (func (export "canister_heartbeat") (if (i32.lt_u (memory.size) (i32.const 16)) (then {GROW})))
""")
GROWING_IN_A_CALLBACK = assembled(f"""(module
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 2) (data (i32.const 100) "ping")
  (table funcref (elem $back))
  (func $back (param i32) {GROW} (call $reply))
  (func (export "canister_update go") (call $self (i32.const 0) (i32.const 0) (i32.const 10))
    (call $call_new (i32.const 0) (i32.const 10) (i32.const 100) (i32.const 4)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (call $perform)))
  (func (export "canister_update ping") (call $reply))
  (func (export "canister_pre_upgrade") {GROW}))""")


def pages(bench: Bench, canister: bytes) -> int:
    return int(bench.on("canister_status", canister)["memory_metrics"]["wasm_memory_size"]) // PAGE


def test_an_update_must_not_leave_more_wasm_memory_than_the_limit(bench: Bench) -> None:
    canister = bench.puppet(GROWING, wasm_memory_limit=10 * PAGE)
    bench.call(canister, "count")
    with pytest.raises(CallRejectedError, match=rf"IC0539.*{10 * PAGE}.*{18 * PAGE}") as refused:
        bench.call(canister, "grow")
    assert refused.value.code is RejectCode.CANISTER_ERROR
    assert (pages(bench, canister), bench.count(canister)) == (2, 1)
    bench.on("update_settings", canister, settings={"wasm_memory_limit": 18 * PAGE})
    bench.call(canister, "grow")
    assert pages(bench, canister) == 18


def test_a_limit_of_0_is_none(bench: Bench) -> None:
    canister = bench.puppet(GROWING, wasm_memory_limit=0)
    bench.call(canister, "grow")
    assert pages(bench, canister) == 18


def test_queries_and_system_tasks_may_exceed_the_limit(bench: Bench) -> None:
    canister = bench.puppet(GROWING, wasm_memory_limit=2 * PAGE)
    bench.query(canister, "grow_in_query")
    bench.call(canister, "grow_in_query")
    assert pages(bench, canister) == 2
    bench.clock.advance(1)
    bench.run()
    assert pages(bench, canister) == 18


def test_callbacks_and_pre_upgrade_may_exceed_the_limit(bench: Bench) -> None:
    canister = bench.puppet(GROWING_IN_A_CALLBACK, wasm_memory_limit=2 * PAGE)
    bench.call(canister, "go")
    assert pages(bench, canister) == 18
    with pytest.raises(CallRejectedError, match="IC0539"):  # it is beyond the limit, though this call adds nothing
        bench.call(canister, "ping")
    bench.install(canister, mode=Case("upgrade", None))  # pre_upgrade grew it, the new memory is within the limit
    assert pages(bench, canister) == 2


@pytest.mark.parametrize(
    "entry", ['(func (export "canister_init") (drop (memory.grow (i32.const 16))))', "(func $s) (start $s)", ""]
)
def test_new_code_must_not_have_more_wasm_memory_than_the_limit(bench: Bench, entry: str) -> None:
    initial = 2 if "init" in entry else 18
    code = assembled(f"(module (memory {initial}) {entry})")
    canister = bench.create(wasm_memory_limit=10 * PAGE)
    with pytest.raises(CallRejectedError, match="IC0539"):
        bench.install(canister, code)
    assert bench.canister(canister).module is None
    bench.on("update_settings", canister, settings={"wasm_memory_limit": 18 * PAGE})
    bench.install(canister, code)


def test_an_upgrade_that_keeps_too_much_memory_fails(bench: Bench) -> None:
    eop = with_custom_section(GROWING, "icp:private enhanced-orthogonal-persistence")
    keep = Case("upgrade", {"skip_pre_upgrade": None, "wasm_memory_persistence": Case("keep")})
    canister = bench.puppet(eop)
    bench.call(canister, "grow")
    bench.canister(canister).settings = replace(bench.canister(canister).settings, wasm_memory_limit=10 * PAGE)
    with pytest.raises(CallRejectedError, match="IC0539"):
        bench.install(canister, eop, keep)
    assert pages(bench, canister) == 18


def test_the_limit_cannot_be_set_below_the_memory_that_there_is(bench: Bench) -> None:
    canister = bench.puppet(GROWING)
    bench.call(canister, "grow")
    with pytest.raises(CallRejectedError, match=f"IC0504.*wasm_memory_limit.*{18 * PAGE}"):
        bench.on("update_settings", canister, settings={"wasm_memory_limit": 18 * PAGE - 1})
    with pytest.raises(CallRejectedError, match="IC0504"):
        bench.on("update_settings", canister, settings={"wasm_memory_limit": 1})
    bench.on("update_settings", canister, settings={"wasm_memory_limit": 0})


# --- environment variables ---


def test_environment_variables_are_numbered_in_the_order_of_their_names(bench: Bench) -> None:
    code = assembled("""(module
      (import "ic0" "env_var_name_copy" (func $name (param i32 i32 i32 i32)))
      (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
      (import "ic0" "msg_reply" (func $reply))
      (memory 1)
      (func (export "canister_query names")
        (call $name (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1))
        (call $name (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 1))
        (call $name (i32.const 2) (i32.const 2) (i32.const 0) (i32.const 1))
        (call $append (i32.const 0) (i32.const 3)) (call $reply)))""")
    variables = [{"name": name, "value": name} for name in "bac"]
    assert bench.query(bench.puppet(code, environment_variables=variables), "names") == b"abc"
