"""What a canister does to others and to its balance: cycles, outgoing calls, stable memory, prices."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.replica.runtime.execution import Callback, Entry, Outcome
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.stable_memory import StableMemory
from support.runtime_harness import BILLION, Canister, assembled, engine, env, failure, reply
from support.system_api_modules import (
    answer,
    answered,
    module,
    refused,
    update,
)

# --- cycles ---

AVAILABLE = "(call $msg_cycles_available128 (i32.const 0))"
BALANCE = "(call $canister_cycle_balance128 (i32.const 16))"


def cycles(outcome_bytes: bytes) -> list[int]:
    return [int.from_bytes(outcome_bytes[i : i + 16], "little") for i in range(0, len(outcome_bytes), 16)]


def test_accepted_cycles_move_from_the_call_to_the_balance() -> None:
    body = f"(drop (call $msg_cycles_accept (i64.const 30))) {AVAILABLE} {BALANCE}"
    assert cycles(answered(body, 32, balance=1 << 70, cycles_available=100)) == [70, (1 << 70) + 30]


def test_no_more_cycles_are_accepted_than_there_are() -> None:
    body = f"(call $msg_cycles_accept128 (i64.const -1) (i64.const -1) (i32.const 0)) {BALANCE}"
    with Canister(module(update(body + answer(32)))) as canister:
        outcome = canister.update("x", balance=5, cycles_available=100)
        assert cycles(reply(outcome)) == [100, 105]
        assert outcome.cycles_accepted == 100


def test_an_answer_returns_what_was_not_accepted() -> None:
    body = f"""(call $msg_reply) {AVAILABLE} (call $debug_print (i32.const 0) (i32.const 1))
      (if (i64.ne (call $msg_cycles_accept (i64.const 5)) (i64.const 0)) (then unreachable))"""
    with Canister(module(update(body))) as canister:
        outcome = canister.update("x", cycles_available=65)
        assert outcome.error is None
        assert outcome.log == ["\0"]
        assert outcome.cycles_accepted == 0


def test_burning_stops_at_the_freezing_threshold() -> None:
    body = f"(call $cycles_burn128 (i64.const 1) (i64.const 0) (i32.const 0)) {BALANCE}"
    with Canister(module(update(body + answer(32)))) as canister:
        outcome = canister.update("x", balance=100, freezing_threshold_cycles=40)
        assert cycles(reply(outcome)) == [60, 40]
        assert outcome.cycles_burned == 60


def test_liquid_cycles_are_those_above_the_freezing_threshold() -> None:
    liquid = "(call $canister_liquid_cycle_balance128 (i32.const 0))"
    assert cycles(answered(liquid, 16, balance=100, freezing_threshold_cycles=40)) == [60]
    assert cycles(answered(liquid, 16, balance=30, freezing_threshold_cycles=40)) == [0]


# --- outgoing calls ---

NEW_CALL = """(call $call_new (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 4)
  (i32.const 1) (i32.const -2) (i32.const 3) (i32.const 4))"""
APPEND = "(call $call_data_append (i32.const 7) (i32.const 2))"
ADD = "(call $call_cycles_add128 (i64.const 0) (i64.const {}))"
PERFORM = "(if (i32.ne (call $call_perform) (i32.const {})) (then unreachable))"
CALL_DATA = "idcnameXY"


def outcome_of(body: str, **fields: Any) -> tuple[Outcome, int]:
    with Canister(module(update(body + BALANCE.replace("16", "32") + answer(16, at=32)), data=CALL_DATA)) as canister:
        outcome = canister.update("x", **fields)
        assert outcome.error is None, outcome.error.message
        return outcome, cycles(reply(outcome))[0]


def test_a_performed_call_has_all_its_parts() -> None:
    body = f"""{NEW_CALL} {APPEND} {APPEND} {ADD.format(5)} (call $call_cycles_add (i64.const 6))
      (call $call_on_cleanup (i32.const 8) (i32.const 9)) (call $call_with_best_effort_response (i32.const 1000))
      {PERFORM.format(0)}"""
    outcome, balance = outcome_of(body, balance=1000, call_cost=(100, 10))
    (call,) = outcome.calls
    assert (call.callee, call.method, call.arg, call.cycles) == (b"idc", "name", b"XYXY", 11)
    assert call.on_reply == Callback(1, (1 << 32) - 2)
    assert call.on_reject == Callback(3, 4)
    assert call.on_cleanup == Callback(8, 9)
    assert call.timeout_seconds == 300
    assert call.fee == 100 + 10 * len(b"nameXYXY")
    assert balance == 1000 - 11 - call.fee


@pytest.mark.parametrize("rest", [NEW_CALL + PERFORM.format(0), NEW_CALL, ""])
def test_cycles_of_a_call_that_is_not_performed_return(rest: str) -> None:
    outcome, balance = outcome_of(f"{NEW_CALL} {ADD.format(600)} {NEW_CALL} {rest}", balance=1000)
    assert balance == 1000
    assert [call.cycles for call in outcome.calls] == [0] * rest.count("call_perform")


@pytest.mark.parametrize(
    "fields",
    [
        {"balance": 1000, "call_cost": (500, 0)},  # 600 are attached
        {"balance": 1100, "call_cost": (500, 0), "freezing_threshold_cycles": 1},
        {"balance": 1000, "max_outgoing_calls": 0},
    ],
)
def test_a_call_that_cannot_be_paid_or_queued_fails_with_code_2(fields: dict[str, Any]) -> None:
    outcome, balance = outcome_of(f"{NEW_CALL} {ADD.format(600)} {PERFORM.format(2)}", **fields)
    assert outcome.calls == []
    assert balance == fields["balance"]


def test_a_call_may_take_the_balance_to_the_freezing_threshold() -> None:
    fields: dict[str, Any] = {"balance": 1100, "call_cost": (500, 0)}
    outcome, balance = outcome_of(f"{NEW_CALL} {ADD.format(600)} {PERFORM.format(0)}", **fields)
    assert len(outcome.calls) == 1
    assert balance == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (APPEND, "ic0.call_data_append: no call is under construction"),
        (PERFORM.format(0), "no call is under construction"),
        (NEW_CALL + PERFORM.format(0) + ADD.format(1), "no call is under construction"),
        (NEW_CALL + ADD.format(951), "is out of cycles: 951 cycles can't be attached"),
        (NEW_CALL + "(call $call_cycles_add128 (i64.const 1) (i64.const 0))", "18446744073709551616 cycles"),
        (NEW_CALL + "(call $call_on_cleanup (i32.const 0) (i32.const 0))" * 2, "called twice"),
        (NEW_CALL + "(call $call_with_best_effort_response (i32.const 1))" * 2, "called twice"),
        (NEW_CALL.replace("(i32.const 3) (i32.const 3)", "(i32.const 30) (i32.const 3)"), "a callee of 30 bytes"),
        (NEW_CALL.replace("(i32.const 4)", "(i32.const 20001)", 1), "a method name of 20001 bytes"),
    ],
)
def test_calls_are_put_together_in_order(body: str, message: str) -> None:
    assert message in refused(body, data=CALL_DATA, balance=1000, freezing_threshold_cycles=50)


def test_an_argument_of_more_than_10_mib_traps() -> None:
    append = "(call $call_data_append (i32.const 0) (i32.const 8388608))"
    with Canister(module(update(NEW_CALL + append * 2), memory="130")) as canister:
        assert "16777216 bytes, at most 10485760" in failure(canister.update("x")).message


def test_calls_of_a_trapped_execution_are_not_made() -> None:
    with Canister(module(update(f"{NEW_CALL} {PERFORM.format(0)} unreachable"), data=CALL_DATA)) as canister:
        assert failure(canister.update("x", balance=10)).error_code == "IC0502"


# --- stable memory ---


def test_stable_memory_is_written_and_read() -> None:
    body = """(drop (call $stable64_grow (i64.const 1)))
      (call $stable64_write (i64.const 65533) (i64.const 0) (i64.const 3))
      (call $stable_read (i32.const 8) (i32.const 65532) (i32.const 4))"""
    assert answered(body, 12, data="abc") == b"abc" + bytes(6) + b"abc"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("(call $stable64_write (i64.const 65534) (i64.const 0) (i64.const 3))", "stable memory out of bounds"),
        ("(call $stable64_read (i64.const 0) (i64.const -1) (i64.const 2))", "stable memory out of bounds"),
        ("(call $stable64_write (i64.const 0) (i64.const 65534) (i64.const 3))", "heap out of bounds"),
        ("(call $stable64_read (i64.const 65534) (i64.const 0) (i64.const 3))", "heap out of bounds"),
    ],
)
def test_stable_memory_has_bounds(call: str, message: str) -> None:
    assert message in refused(f"(drop (call $stable_grow (i32.const 1))) {call}")


def test_the_32_bit_functions_stop_at_4_gib() -> None:
    body = """(if (i32.ne (call $stable_grow (i32.const 65537)) (i32.const -1)) (then unreachable))
      (drop (call $stable64_grow (i64.const 65537))) (drop (call $stable_size))"""
    assert "larger than 4 GiB" in refused(body)


# --- prices and variables ---


def test_prices_are_told() -> None:
    body = """(call $cost_call (i64.const 4) (i64.const 6) (i32.const 0)) (call $cost_create_canister (i32.const 16))
      (call $cost_http_request (i64.const 10) (i64.const 100) (i32.const 32))"""
    fields: dict[str, Any] = {
        "call_cost": (1000, 3),
        "create_canister_cost": 1 << 65,
        "http_request_cost": (1, 20, 300),
    }
    assert cycles(answered(body, 48, **fields)) == [1030, 1 << 65, 1 + 200 + 30_000]


@pytest.mark.parametrize(
    ("function", "algorithm", "expected"),
    [
        ("cost_sign_with_ecdsa", 0, 2),
        ("cost_sign_with_ecdsa", 1, 1),
        ("cost_sign_with_schnorr", 1, 2),
        ("cost_sign_with_schnorr", 2, 1),
        ("cost_vetkd_derive_key", 0, 2),
    ],
)
def test_a_subnet_without_threshold_keys_knows_no_key(function: str, algorithm: int, expected: int) -> None:
    call = f"(call ${function} (i32.const 0) (i32.const 3) (i32.const {algorithm}) (i32.const 0))"
    assert answered(f"(i32.store8 (i32.const 9) {call})", 10, data="key")[9] == expected


def test_environment_variables_are_listed_and_looked_up() -> None:
    body = """(i32.store8 (i32.const 16) (call $env_var_count))
      (call $env_var_name_copy (i32.const 1) (i32.const 20) (i32.const 0) (call $env_var_name_size (i32.const 1)))
      (i32.store8 (i32.const 17) (call $env_var_name_exists (i32.const 0) (i32.const 3)))
      (i32.store8 (i32.const 18) (call $env_var_name_exists (i32.const 0) (i32.const 2)))
      (call $env_var_value_copy (i32.const 0) (i32.const 3) (i32.const 24) (i32.const 0)
        (call $env_var_value_size (i32.const 0) (i32.const 3)))"""
    variables = (("abc", "value"), ("two", "2"))
    assert answered(body, 29, data="abc", environment_variables=variables)[16:] == b"\2\1\0\0two\0value"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("(drop (call $env_var_name_size (i32.const 1)))", "there is no variable 1, only 1"),
        ("(drop (call $env_var_value_size (i32.const 0) (i32.const 2)))", "no environment variable 'ab'"),
        ("(drop (call $env_var_name_exists (i32.const 0) (i32.const 129)))", "129 bytes, at most 128"),
    ],
)
def test_unknown_variables_trap(call: str, message: str) -> None:
    assert message in refused(call, data="abc", environment_variables=(("abc", "1"),))


def test_equal_executions_have_equal_outcomes() -> None:
    def run() -> Outcome:
        wat = module(update(f"{NEW_CALL} {PERFORM.format(0)} (i64.store (i32.const 0) (call $time))" + answer(8)))
        instance = Instance(engine(), engine().compile(assembled(wat)), StableMemory())
        outcome = instance.execute(Entry.UPDATE, env("x"), instruction_limit=BILLION)
        instance.close()
        return outcome

    assert run() == run()
