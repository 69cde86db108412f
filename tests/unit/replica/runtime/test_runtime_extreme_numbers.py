"""Whatever numbers a canister passes to the System API, it gets an answer or a trap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.replica.runtime.execution import MAX_CYCLES, Callback, Entry, Outcome
from support.runtime_harness import Canister
from support.system_api_modules import KNOWN, ONLY_32_BIT, module

EXTREMES = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
NUMBERS = st.sampled_from(EXTREMES) | st.integers(0, 64)
RICH: dict[str, Any] = {
    "balance": MAX_CYCLES,
    "cycles_available": MAX_CYCLES,
    "canister_version": 2**64 - 1,
    "global_timer_ns": 2**64 - 1,
    "deadline_ns": 2**64 - 1,
    "call_cost": (2**100, 2**100),
    "create_canister_cost": 2**130,
    "http_request_cost": (2**130, 2**100, 2**100),
    "environment_variables": (("name", "value"),),
    "root_key": b"key",
}
# A call is begun first where that is what these functions need.
CALLING = ("call_on_cleanup", "call_data_append", "call_with_best_effort_response", "call_cycles_add128")


def every_function(memory64: bool) -> str:
    """A canister with an update method for each function, whose numbers are the method's argument, 8 bytes each."""
    pointer = "i64" if memory64 else "i32"
    methods = []
    for name, (parameters, result, _) in KNOWN.items():
        if memory64 and name in ONLY_32_BIT:
            continue
        loaded = []
        for index, kind in enumerate(parameters.split()):
            wide = kind == "i64" or (kind == "I" and memory64)
            load = f"(i64.load ({pointer}.const {8 * index}))"
            loaded.append(load if wide else f"(i32.wrap_i64 {load})")
        call = f"(call ${name} {' '.join(loaded)})"
        zeros = " ".join(f"({pointer}.const 0)" for _ in range(8))
        begun = f"(call $call_new {zeros})" if name in CALLING else ""
        body = f"(call $take) {begun} {f'(drop {call})' if result else call}"
        methods.append(f'(func (export "canister_update {name}") {body})')
        methods.append(f'(func (export "canister_query query_{name}") {body})')
    take = f"(func $take (call $msg_arg_data_copy {f'({pointer}.const 0) ' * 2} (call $msg_arg_data_size)))"
    return module(take, *methods, memory="i64 1" if memory64 else "1")


@pytest.fixture(scope="module", params=[False, True], ids=["memory32", "memory64"])
def canister(request: pytest.FixtureRequest) -> Iterator[Canister]:
    with Canister(every_function(request.param)) as made:
        yield made


@settings(deadline=None, max_examples=400)
@given(name=st.sampled_from(sorted(KNOWN)), numbers=st.tuples(*[NUMBERS] * 8))
def test_every_function_answers_or_traps_whatever_its_numbers(
    canister: Canister, name: str, numbers: tuple[int, ...]
) -> None:
    arg = b"".join(number.to_bytes(8, "little") for number in numbers)
    for outcome in (canister.update(name, arg, **RICH), canister.query(f"query_{name}", arg, **RICH)):
        assert isinstance(outcome, Outcome)
        assert 0 <= outcome.cycles_accepted <= MAX_CYCLES
        assert 0 <= outcome.cycles_burned <= MAX_CYCLES


@settings(deadline=None, max_examples=50)
@given(function=NUMBERS, closure=NUMBERS)
def test_a_callback_that_is_nowhere_is_a_trap(canister: Canister, function: int, closure: int) -> None:
    outcome = canister.run(Entry.REPLY_CALLBACK, callback=Callback(function, closure), **RICH)
    assert outcome.error is not None
    assert outcome.error.error_code == "IC0502"


def test_a_full_balance_accepts_all_and_stays_full() -> None:
    body = """(call $msg_cycles_accept128 (i64.const -1) (i64.const -1) (i32.const 0))
      (call $canister_cycle_balance128 (i32.const 16))
      (call $msg_reply_data_append (i32.const 0) (i32.const 32)) (call $msg_reply)"""
    with Canister(module(f'(func (export "canister_update x") {body})')) as made:
        outcome = made.update("x", balance=MAX_CYCLES - 5, cycles_available=100)
    assert outcome.response is not None
    accepted, balance = outcome.response.data[:16], outcome.response.data[16:]
    assert int.from_bytes(accepted, "little") == outcome.cycles_accepted == 100
    assert int.from_bytes(balance, "little") == MAX_CYCLES
