"""What a canister said of a user, as the canisters see it that the user calls.

Source: interface specification, "Method arguments" (`ic0.msg_caller_info_*`).
"""

from __future__ import annotations

import dataclasses

import pytest

from canister_factory.ic.requests import QueryRequest, SenderInfo
from canister_factory.replica.runtime.execution import CanisterError
from support.replica_bench import OWNER, Bench
from support.runtime_harness import assembled

INFO = SenderInfo(b"of age", b"\x01\x01", b"signature")
# Each method replies with the information and its signer; `later` does so in the callback of a call to itself.
TELLING = assembled("""(module
  (import "ic0" "msg_caller_info_data_size" (func $data_size (result i32)))
  (import "ic0" "msg_caller_info_data_copy" (func $data_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_info_signer_size" (func $signer_size (result i32)))
  (import "ic0" "msg_caller_info_signer_copy" (func $signer_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "accept_message" (func $accept))
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 1) (data (i32.const 100) "called")
  (table funcref (elem $back))
  (func $tell
    (call $data_copy (i32.const 0) (i32.const 0) (call $data_size))
    (call $append (i32.const 0) (call $data_size))
    (call $signer_copy (i32.const 0) (i32.const 0) (call $signer_size))
    (call $append (i32.const 0) (call $signer_size)) (call $reply))
  (func $back (param i32) (call $tell))
  (func $ask (call $self (i32.const 200) (i32.const 0) (i32.const 10))
    (call $call_new (i32.const 200) (i32.const 10) (i32.const 100) (i32.const 6)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (call $perform)))
  (func (export "canister_update now") (call $tell))
  (func (export "canister_update later") (call $ask))
  (func (export "canister_query query") (call $tell))
  (func (export "canister_composite_query composite") (call $ask))
  (func (export "canister_query called")  ;; by a canister, of which nobody said anything
    (if (i32.ne (call $data_size) (i32.const 0)) (then (unreachable)))
    (call $reply))
  (func (export "canister_inspect_message")
    (if (i32.eq (call $data_size) (i32.const 6)) (then (call $accept)))))""")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("method", ["now", "later", "query"])
def test_calls_and_their_callbacks_see_it(bench: Bench, method: str) -> None:
    canister = bench.puppet(TELLING)
    message = bench.message(canister, method)
    bench.subnet.submit(dataclasses.replace(message, call=dataclasses.replace(message.call, sender_info=INFO)))
    bench.run()
    outcome = bench.outcome(message.request_id)
    assert outcome is not None
    assert outcome.data == b"of age\x01\x01"


@pytest.mark.parametrize("method", ["query", "composite"])
def test_queries_and_their_callbacks_see_it(bench: Bench, method: str) -> None:
    canister = bench.puppet(TELLING)
    query = QueryRequest(OWNER, bench.clock.now_ns, canister, method, b"", INFO)
    assert bench.subnet.query(query).data == b"of age\x01\x01"


def test_who_comes_without_it_has_none(bench: Bench) -> None:
    canister = bench.puppet(TELLING)
    assert bench.call(canister, "now") == b""


def test_it_is_there_for_the_inspection_of_a_message(bench: Bench) -> None:
    canister = bench.puppet(TELLING)
    with pytest.raises(CanisterError, match="rejected the message"):
        bench.check(canister, "now")
    message = bench.message(canister, "now")
    bench.subnet.check_ingress(dataclasses.replace(message, call=dataclasses.replace(message.call, sender_info=INFO)))
