"""The module that empties a canister of its cycles before it is deleted, since deleting burns them.

Its one method takes the id of a backend (the raw bytes) from a controller, calls `return_cycles` there with all cycles
that the call itself doesn't need, and answers as the backend does; with no bytes where there are no cycles to send.
What the network holds back for the execution and for the response stays. Owns the module. Does not own: when it is
installed (`personal_canister`).
"""

from __future__ import annotations

import base64
import hashlib

from canister_factory.contract.clients import BackendClient

SOURCE = r"""
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_size" (func $caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $caller_copy (param i32 i32 i32)))
  (import "ic0" "is_controller" (func $is_controller (param i32 i32) (result i32)))
  (import "ic0" "msg_reply_data_append" (func $reply_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $reason_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reason_copy (param i32 i32 i32)))
  (import "ic0" "canister_liquid_cycle_balance128" (func $liquid (param i32)))
  (import "ic0" "cost_call" (func $cost_call (param i64 i64 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_append (param i32 i32)))
  (import "ic0" "call_cycles_add128" (func $call_cycles (param i64 i64)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (memory 1)
  (data (i32.const 0) "return_cycles")
  (data (i32.const 16) "DIDL\00\00")
  (data (i32.const 32) "for controllers only")
  (table funcref (elem $replied $rejected))
  (func (export "canister_update return_cycles") (local $amount i64)
    (call $caller_copy (i32.const 64) (i32.const 0) (call $caller_size))
    (if (i32.eqz (call $is_controller (i32.const 64) (call $caller_size)))
      (then (call $reject (i32.const 32) (i32.const 20)) (return)))
    (call $arg_copy (i32.const 96) (i32.const 0) (call $arg_size))
    (call $liquid (i32.const 128))
    (call $cost_call (i64.const 13) (i64.const 6) (i32.const 144))
    (if (i64.le_u (i64.load (i32.const 128)) (i64.load (i32.const 144))) (then (call $reply) (return)))
    (local.set $amount (i64.sub (i64.load (i32.const 128)) (i64.load (i32.const 144))))
    (call $call_new (i32.const 96) (call $arg_size) (i32.const 0) (i32.const 13)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $call_append (i32.const 16) (i32.const 6))
    (call $call_cycles (i64.const 0) (local.get $amount))
    (if (call $call_perform) (then unreachable)))
  (func $replied (param i32)
    (call $arg_copy (i32.const 1024) (i32.const 0) (call $arg_size))
    (call $reply_append (i32.const 1024) (call $arg_size))
    (call $reply))
  (func $rejected (param i32)
    (call $reason_copy (i32.const 1024) (i32.const 0) (call $reason_size))
    (call $reject (i32.const 1024) (call $reason_size))))
"""
"""What it is assembled from, by `wat2wasm` and without names. It is kept built: whoever cleans up has no assembler."""

MODULE = base64.b64decode(
    "AGFzbQEAAAABMwlgAAF/YAN/f38AYAJ/fwF/YAJ/fwBgAABgAX8AYAN+fn8AYAh/f39/f39/fwBgAn5+AALrAhADaWMwEW1zZ19hcmdfZGF0YV9z"
    "aXplAAADaWMwEW1zZ19hcmdfZGF0YV9jb3B5AAEDaWMwD21zZ19jYWxsZXJfc2l6ZQAAA2ljMA9tc2dfY2FsbGVyX2NvcHkAAQNpYzANaXNfY29u"
    "dHJvbGxlcgACA2ljMBVtc2dfcmVwbHlfZGF0YV9hcHBlbmQAAwNpYzAJbXNnX3JlcGx5AAQDaWMwCm1zZ19yZWplY3QAAwNpYzATbXNnX3JlamVj"
    "dF9tc2dfc2l6ZQAAA2ljMBNtc2dfcmVqZWN0X21zZ19jb3B5AAEDaWMwIGNhbmlzdGVyX2xpcXVpZF9jeWNsZV9iYWxhbmNlMTI4AAUDaWMwCWNv"
    "c3RfY2FsbAAGA2ljMAhjYWxsX25ldwAHA2ljMBBjYWxsX2RhdGFfYXBwZW5kAAMDaWMwEmNhbGxfY3ljbGVzX2FkZDEyOAAIA2ljMAxjYWxsX3Bl"
    "cmZvcm0AAAMEAwQFBQQFAXABAgIFAwEAAQchAR1jYW5pc3Rlcl91cGRhdGUgcmV0dXJuX2N5Y2xlcwAQCQoBAgBBAAsAAhESCqcBA30BAX5BwABB"
    "ABACEANBwAAQAhAERQRAQSBBFBAHDwtB4ABBABAAEAFBgAEQCkINQgZBkAEQC0GAASkDAEGQASkDAFgEQBAGDwtBgAEpAwBBkAEpAwB9IQBB4AAQ"
    "AEEAQQ1BAEEAQQFBABAMQRBBBhANQgAgABAOEA8EQAALCxQAQYAIQQAQABABQYAIEAAQBRAGCxIAQYAIQQAQCBAJQYAIEAgQBwsLNwMAQQALDXJl"
    "dHVybl9jeWNsZXMAQRALBkRJREwAAABBIAsUZm9yIGNvbnRyb2xsZXJzIG9ubHk="
)
"""The built module: WebAssembly, 719 bytes."""

MODULE_HASH = hashlib.sha256(MODULE).digest()
METHOD = "return_cycles"
"""Its method, and the one of the backend that it calls."""


def returned(reply: bytes) -> int:
    """How many cycles the backend took, by the module's reply; 0 where there were none to send.

    Raises:
        CreationRefused: the backend takes none; the canister has them again.
    """
    if not reply:
        return 0
    cycles: int = BackendClient.method(METHOD).decode(reply)
    return cycles
