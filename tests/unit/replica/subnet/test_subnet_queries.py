"""Query calls: which canisters answer them, and how a composite query goes on from call to call.

Source: interface specification, "Request: Query call" and "Query call" of the abstract behavior.
"""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.ic.requests import QueryRequest
from canister_factory.replica.runtime.execution import RejectCode
from support.replica_bench import MANAGEMENT, OWNER, Bench, CallRejectedError, management_argument
from support.replica_puppet import call_argument
from support.runtime_harness import assembled


@pytest.fixture
def bench() -> Bench:
    return Bench()


def stopping(bench: Bench) -> bytes:
    """A canister that waits for the answer to a call while it stops."""
    canister = bench.puppet()
    bench.submit(canister, "forward", call_argument(bench.puppet(), "count"))
    bench.subnet.execute_round(max_messages=1)
    stop = management_argument("stop_canister", {"canister_id": Principal(canister)})
    bench.submit(MANAGEMENT, "stop_canister", stop)
    bench.newest_first()
    bench.subnet.execute_round(max_messages=1)
    assert bench.canister(canister).status.name == "STOPPING"
    return canister


def test_a_stopping_canister_answers_no_queries(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match="IC0509") as refused:
        bench.query(stopping(bench), "read")
    assert refused.value.code is RejectCode.CANISTER_ERROR


def test_a_stopping_canister_answers_no_composite_query_either(bench: Bench) -> None:
    asking, stopped = bench.puppet(), stopping(bench)
    with pytest.raises(CallRejectedError, match="is stopping"):
        bench.query(asking, "ask", call_argument(stopped, "read"))


# --- composite queries ---

BACKS = """
  (func $wipe (param i32) (i32.store8 (i32.const 101) (i32.const 99)))
  (func $tell (param i32) (call $append (i32.const 100) (i32.const 2)) (call $reply))
  (func $trapping (param i32) (i32.store8 (i32.const 100) (i32.const 1)) (unreachable))
  (func $measured (param i32) (call $measure) (call $append (i32.const 0) (i32.const 16)) (call $reply))
  (func $measure (i64.store (i32.load (i32.const 16)) (call $counter (i32.const 1)))
    (i32.store (i32.const 16) (i32.const 8)))
  (table $backs 4 4 funcref)
  (elem (table $backs) (i32.const 0) func $wipe $tell $trapping $measured)
  (func $ask (param $back i32) (param $cleanup i32)
    (call $call_new (i32.const 200) (i32.const 10) (i32.const 220) (i32.const 4)
      (local.get $back) (i32.const 0) (local.get $back) (i32.const 0))
    (if (i32.ge_s (local.get $cleanup) (i32.const 0))
      (then (call $on_cleanup (local.get $cleanup) (i32.const 0))))
    (drop (call $call_perform)))
"""


def asking(body: str) -> bytes:
    """A canister with the composite query `go`, which may `$ask` the callee in its argument for `read`."""
    return assembled(f"""(module
      (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
      (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
      (import "ic0" "msg_reply" (func $reply))
      (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
      (import "ic0" "data_certificate_present" (func $present (result i32)))
      (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
      (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
      (import "ic0" "call_perform" (func $call_perform (result i32)))
      (memory 1) (data (i32.const 220) "read")
      {BACKS}
      (func (export "canister_composite_query go")
        (call $arg_copy (i32.const 200) (i32.const 0) (i32.const 10)) {body})
      (func (export "canister_query present")
        (i32.store8 (i32.const 0) (call $present)) (call $append (i32.const 0) (i32.const 1)) (call $reply)))""")


def asked(bench: Bench, body: str, callee: bytes | None = None) -> bytes:
    return bench.query(bench.puppet(asking(body)), "go", callee or bench.puppet())


def test_a_trapping_callback_ends_a_composite_query_that_has_no_cleanup(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match=r"IC0502.*unreachable"):
        asked(bench, "(call $ask (i32.const 2) (i32.const -1)) (call $ask (i32.const 1) (i32.const -1))")


def test_after_a_cleanup_a_composite_query_goes_on_with_its_other_calls(bench: Bench) -> None:
    body = "(call $ask (i32.const 2) (i32.const 0)) (call $ask (i32.const 1) (i32.const -1))"
    assert asked(bench, body) == b"\0c"  # what the callback wrote is gone, what the cleanup wrote is there


def test_a_cleanup_that_nothing_follows_leaves_the_callbacks_trap_as_the_answer(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match=r"IC0502.*unreachable"):
        asked(bench, "(call $ask (i32.const 2) (i32.const 0))")


def test_a_trapping_cleanup_ends_a_composite_query(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match=r"IC0502.*unreachable"):
        asked(bench, "(call $ask (i32.const 2) (i32.const 2)) (call $ask (i32.const 1) (i32.const -1))")


def test_a_reply_ends_a_composite_query_whatever_it_has_asked(bench: Bench) -> None:
    assert asked(bench, "(call $ask (i32.const 2) (i32.const -1)) (call $tell (i32.const 0))") == b"\0\0"


def test_the_counter_of_a_composite_query_goes_on_in_its_callbacks(bench: Bench) -> None:
    measured = asked(bench, "(call $measure) (call $ask (i32.const 3) (i32.const -1))")
    first, later = (int.from_bytes(part, "little") for part in (measured[:8], measured[8:]))
    assert 0 < first < later


def test_the_data_certificate_is_for_the_target_of_the_query_only(bench: Bench) -> None:
    target, other = bench.puppet(), bench.puppet(asking(""))

    def present(callee: bytes, method: str, arg: bytes = b"") -> bytes:
        query = QueryRequest(OWNER, bench.clock.now_ns, callee, method, arg)
        return bench.subnet.query(query, lambda _: b"certificate").data

    assert present(other, "present") == b"\x01"
    assert present(target, "ask", call_argument(other, "present")) == b"\0"
