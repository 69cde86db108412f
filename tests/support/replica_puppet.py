"""A canister for the subnet's tests, written in WAT: each of its methods does one thing that a test needs.

`forward*` methods take: callee length (1 byte), callee, method length (1 byte), method, cycles (8 bytes little
endian), argument; they call and pass the answer on. The counter in memory tells which state survived.
"""

from __future__ import annotations

from functools import cache

import wasmtime

_METHOD = """
  (func $begin_call (param $on_reply i32) (param $on_reject i32)
    (local $callee i32) (local $method i32) (local $callee_size i32) (local $method_size i32) (local $size i32)
    (local.set $size (call $arg_size))
    (call $arg_copy (i32.const 4096) (i32.const 0) (local.get $size))
    (local.set $callee (i32.const 4097))
    (local.set $callee_size (i32.load8_u (i32.const 4096)))
    (local.set $method (i32.add (i32.add (local.get $callee) (local.get $callee_size)) (i32.const 1)))
    (local.set $method_size (i32.load8_u (i32.sub (local.get $method) (i32.const 1))))
    (call $call_new (local.get $callee) (local.get $callee_size) (local.get $method) (local.get $method_size)
      (local.get $on_reply) (i32.const 7) (local.get $on_reject) (i32.const 7))
    (local.set $method (i32.add (local.get $method) (local.get $method_size)))
    (if (i64.ne (i64.load (local.get $method)) (i64.const 0))
      (then (call $cycles_add (i64.const 0) (i64.load (local.get $method)))))
    (local.set $method (i32.add (local.get $method) (i32.const 8)))
    (call $data_append (local.get $method)
      (i32.sub (i32.add (i32.const 4096) (local.get $size)) (local.get $method))))
  (func $perform (if (call $call_perform) (then (call $reject (i32.const 64) (i32.const 14)))))
  (func $count (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))))
  (func $reply_count (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func $reply_arg (call $arg_copy (i32.const 4096) (i32.const 0) (call $arg_size))
    (call $append (i32.const 4096) (call $arg_size)) (call $reply))
  (func $pass_reply (param i32) (call $count) (call $reply_arg))
  (func $pass_reject (param i32) (call $count)
    (call $reject_copy (i32.const 4096) (i32.const 0) (call $reject_size))
    (call $reject (i32.const 4096) (call $reject_size)))
  (func $trap_back (param i32) (call $count) (unreachable))
  (func $clean (param i32) (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.const 1)))
    (i32.store (i32.const 16) (call $reject_code)))
  (func $quiet_back (param i32) (call $count))
  (table funcref (elem $pass_reply $pass_reject $trap_back $clean $quiet_back))
  (func (export "canister_update forward") (call $count)
    (call $begin_call (i32.const 0) (i32.const 1)) (call $perform))
  (func (export "canister_update forward_best_effort") (call $count)
    (call $begin_call (i32.const 0) (i32.const 1)) (call $best_effort (i32.const 10)) (call $perform))
  (func (export "canister_update forward_and_trap_later") (call $count)
    (call $begin_call (i32.const 2) (i32.const 2)) (call $on_cleanup (i32.const 3) (i32.const 0)) (call $perform))
  (func (export "canister_update forward_and_forget") (call $count)
    (call $begin_call (i32.const 4) (i32.const 4)) (call $perform))
  (func (export "canister_update forward_and_reply_now") (call $count)
    (call $begin_call (i32.const 4) (i32.const 4)) (call $perform) (call $reply_count))
  (func (export "canister_update forward_and_trap_now") (call $count)
    (call $begin_call (i32.const 0) (i32.const 1)) (call $perform) (unreachable))
  (func (export "canister_composite_query ask") (call $count)
    (call $begin_call (i32.const 0) (i32.const 1)) (call $perform))
  (func (export "canister_update count") (call $count) (call $reply_count))
  (func (export "canister_update count_and_trap") (call $count) (unreachable))
  (func (export "canister_update silent") (call $count))
  (func (export "canister_update refuse") (call $reject (i32.const 64) (i32.const 14)))
  (func (export "canister_update accept") (call $count)
    (call $accept (i64.const -1) (i64.const -1) (i32.const 4096))
    (call $append (i32.const 4096) (i32.const 8)) (call $reply))
  (func (export "canister_update accept_half") (call $count)
    (call $available (i32.const 4096))
    (call $accept (i64.const 0) (i64.shr_u (i64.load (i32.const 4096)) (i64.const 1)) (i32.const 4096))
    (call $append (i32.const 4096) (i32.const 8)) (call $reply))
  (func (export "canister_update accept_and_trap") (call $accept (i64.const -1) (i64.const -1) (i32.const 4096))
    (unreachable))
  (func (export "canister_update burn") (call $burn (i64.const 0) (i64.const 1000000000) (i32.const 4096))
    (call $reply_count))
  (func (export "canister_update set_timer") (call $arg_copy (i32.const 4096) (i32.const 0) (i32.const 8))
    (drop (call $timer (i64.load (i32.const 4096)))) (call $reply_count))
  (func (export "canister_update certify") (call $arg_copy (i32.const 4096) (i32.const 0) (call $arg_size))
    (call $certify (i32.const 4096) (call $arg_size)) (call $reply_count))
  (func (export "canister_update remember") (call $arg_copy (i32.const 4096) (i32.const 0) (call $arg_size))
    (if (i64.eqz (call $stable_size)) (then (drop (call $stable_grow (i64.const 1)))))
    (call $stable_write (i64.const 0) (i64.const 4096) (i64.extend_i32_u (call $arg_size))) (call $reply_count))
  (func (export "canister_query recall") (call $stable_read (i64.const 4096) (i64.const 0) (i64.const 8))
    (call $append (i32.const 4096) (i32.const 8)) (call $reply))
  (func (export "canister_query read") (call $reply_count))
  (func (export "canister_query cleaned") (call $append (i32.const 4) (i32.const 4)) (call $reply))
  (func (export "canister_query cleaned_after") (call $append (i32.const 16) (i32.const 4)) (call $reply))
  (func (export "canister_query caller") (call $caller_copy (i32.const 4096) (i32.const 0) (call $caller_size))
    (call $append (i32.const 4096) (call $caller_size)) (call $reply))
  (func $reply_deadline (i64.store (i32.const 4096) (call $deadline))
    (call $append (i32.const 4096) (i32.const 8)) (call $reply))
  (func (export "canister_update deadline") (call $reply_deadline))
  (func (export "canister_query deadline_in_query") (call $reply_deadline))
  (func (export "canister_query version") (i64.store (i32.const 4096) (call $version))
    (call $append (i32.const 4096) (i32.const 8)) (call $reply))
  (func (export "canister_query echo") (call $count) (call $reply_arg))
  (func (export "canister_global_timer") (call $count))
"""

_HEAD = """
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_size" (func $caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $caller_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
  (import "ic0" "msg_cycles_available128" (func $available (param i32)))
  (import "ic0" "msg_cycles_accept128" (func $accept (param i64 i64 i32)))
  (import "ic0" "cycles_burn128" (func $burn (param i64 i64 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
  (import "ic0" "call_data_append" (func $data_append (param i32 i32)))
  (import "ic0" "call_cycles_add128" (func $cycles_add (param i64 i64)))
  (import "ic0" "call_with_best_effort_response" (func $best_effort (param i32)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "stable64_size" (func $stable_size (result i64)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
  (import "ic0" "accept_message" (func $accept_message))
  (import "ic0" "msg_deadline" (func $deadline (result i64)))
  (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
  (import "ic0" "debug_print" (func $print (param i32 i32)))
  (import "ic0" "canister_version" (func $version (result i64)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 2)
  (data (i32.const 64) "puppet refuses")
"""


@cache
def puppet(extra: str = "") -> bytes:
    """The puppet's Wasm, with further WAT functions (hooks, for example) appended."""
    return bytes(wasmtime.wat2wasm(f"(module {_HEAD} {_METHOD} {extra})"))


def call_argument(callee: bytes, method: str, arg: bytes = b"", cycles: int = 0) -> bytes:
    """The argument of a `forward*` method."""
    name = method.encode()
    return bytes([len(callee)]) + callee + bytes([len(name)]) + name + cycles.to_bytes(8, "little") + arg


def with_custom_section(wasm: bytes, name: str, content: bytes = b"") -> bytes:
    """The module with one more custom section."""
    body = bytes([len(name)]) + name.encode() + content
    assert len(body) < 128
    return wasm + b"\x00" + bytes([len(body)]) + body
