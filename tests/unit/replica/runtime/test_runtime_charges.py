"""What calls of the system API cost in instructions, and what is kept of what they write into the log."""

from __future__ import annotations

import pytest

from canister_factory.replica.runtime.execution_log import ExecutionLog
from canister_factory.replica.runtime.system_api import HOST_FUNCTIONS
from support.runtime_harness import BILLION, Canister, failure

# From the official replica's table (dfinity/ic, system_api_complexity.rs); all others cost 500.
UNUSUAL = {
    1_500: {"call_new"},
    5_000: {"call_perform"},
    100: {"debug_print"},
    1_000: {"is_controller"},
    200: {"performance_counter"},
    20: {
        *("stable_size", "stable_read", "stable_write", "stable64_size", "stable64_read", "stable64_write"),
    },
}

PRINTER = """(module
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "time" (func $time (result i64)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1024)
  (data (i32.const 0) "0123456789")
  (func (export "canister_update print") (local $left i32)
    (local.set $left (i32.const 20000))
    (loop $next
      (call $print (i32.const 0) (i32.const 10))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left))))
  (func (export "canister_update time") (local $left i32)
    (local.set $left (i32.const 1000))
    (loop $next
      (drop (call $time))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left))))
  (func (export "canister_update print_all") (call $print (i32.const 0) (i32.const 0x4000000)))
  (func (export "canister_update trap_all") (call $trap (i32.const 0) (i32.const 0x4000000)))
)"""


def test_each_function_costs_what_the_official_replica_charges() -> None:
    by_cost = {
        cost: {name for name, function in HOST_FUNCTIONS.items() if function.overhead == cost} for cost in UNUSUAL
    }
    assert by_cost == UNUSUAL
    assert {function.overhead for function in HOST_FUNCTIONS.values()} == {500, *UNUSUAL}


def test_calls_run_into_the_instruction_limit() -> None:
    with Canister(PRINTER) as canister:
        assert 1000 * 500 < canister.update("time").instructions < 1000 * 520
        assert failure(canister.update("time", limit=1000 * 500)).error_code == "IC0522"


def test_of_many_lines_the_newest_are_kept_and_the_others_counted() -> None:
    with Canister(PRINTER) as canister:
        outcome = canister.update("print", log_limit_bytes=105)
        assert outcome.log == ["0123456789"] * 10
        assert outcome.log_dropped == 20_000 - 10
        # 100 for a call, 2 for each byte that is kept, 50 for each that there was room for: in the end 5 bytes.
        charged = 20_000 * (100 + 20) + 50 * (10 * 10 + 19_990 * 5)
        assert charged < outcome.instructions < charged + 20_000 * 20


@pytest.mark.parametrize("limit", [0, 1, 4096])
def test_of_a_long_line_the_beginning_is_kept(limit: int) -> None:
    with Canister(PRINTER) as canister:
        (line,) = canister.update("print_all", log_limit_bytes=limit).log
        assert line == ("0123456789" + "\0" * 4096)[:limit]


def test_of_a_long_trap_message_the_beginning_is_kept() -> None:
    with Canister(PRINTER) as canister:
        outcome = canister.update("trap_all")
        assert len(failure(outcome).message) < 17_000
        assert outcome.instructions > 0x4000000
        assert failure(canister.update("trap_all", limit=BILLION // 100)).error_code == "IC0522"


def test_a_log_never_holds_more_than_its_limit() -> None:
    log = ExecutionLog(10)
    for size in (4, 4, 4, 0, 30, 3):
        log.append(bytes([48 + size % 10]) * size)
        assert sum(map(len, log.lines)) <= 10
    assert (log.lines, log.dropped, log.room_bytes) == (["333"], 5, 7)


def test_a_log_never_holds_more_lines_than_bytes_since_some_are_empty() -> None:
    log = ExecutionLog(10)
    for _ in range(25):
        log.append(b"")
    assert (log.lines, log.dropped, log.room_bytes) == ([""] * 10, 15, 10)
