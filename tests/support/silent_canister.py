"""A canister that never answers: it calls itself again and again, so that the network doesn't answer for it either."""

from __future__ import annotations

from functools import cache

import wasmtime

_WAT = """(module
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (import "ic0" "canister_self_size" (func $self_size (result i32)))
  (import "ic0" "canister_self_copy" (func $self_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (memory 1)
  (data (i32.const 64) "turn")
  (func $again (param i32)
    (call $self_copy (i32.const 128) (i32.const 0) (call $self_size))
    (call $call_new (i32.const 128) (call $self_size) (i32.const 64) (i32.const 4)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (call $call_perform)))
  (table funcref (elem $again))
  (func (export "canister_update turn") (call $reply))
  (func METHODS
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (call $again (i32.const 0)))
  (func (export "canister_query asked") (call $append (i32.const 0) (i32.const 4)) (call $reply)))
"""


@cache
def silent(*methods: str) -> bytes:
    """The module. These methods, `get_manifest` if none, are never answered; `asked` tells how often they were called
    (4 bytes, little endian).
    """
    exports = " ".join(f'(export "canister_update {method}")' for method in methods or ("get_manifest",))
    return bytes(wasmtime.wat2wasm(_WAT.replace("METHODS", exports)))
