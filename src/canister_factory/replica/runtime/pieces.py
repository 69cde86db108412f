"""Copies of any length in pieces, so that an execution can stop between two.

Owns the small modules that stand between a canister and host functions which copy `size` bytes from one place to
another. Does not own these functions (`system_api`), or who needs it (`instance`).
"""

from __future__ import annotations

from typing import Final

import wasmtime

PIECE_BYTES: Final = 256 * 1024
IN_PIECES: Final = frozenset({"stable_read", "stable_write", "stable64_read", "stable64_write"})
"""Host functions whose three arguments are two addresses and a size."""
EXPORT: Final = "copy"
MODULE_NAME: Final = "copies in pieces"

_WAT: Final = """(module $"{name}"
  (import "ic0" "copy" (func $copy (param {type} {type} {type})))
  (func (export "{export}") (param $one {type}) (param $other {type}) (param $size {type})
    (loop $next
      (if ({type}.gt_u (local.get $size) ({type}.const {piece}))
        (then
          (call $copy (local.get $one) (local.get $other) ({type}.const {piece}))
          (local.set $one ({type}.add (local.get $one) ({type}.const {piece})))
          (local.set $other ({type}.add (local.get $other) ({type}.const {piece})))
          (local.set $size ({type}.sub (local.get $size) ({type}.const {piece})))
          (br $next))))
    (call $copy (local.get $one) (local.get $other) (local.get $size))))"""


def copying_module(engine: wasmtime.Engine, value_type: str) -> wasmtime.Module:
    """A module that exports a function which calls the imported one for a piece after the other.

    Args:
        value_type: of addresses and size, "i32" or "i64".
    """
    wat = _WAT.format(name=MODULE_NAME, export=EXPORT, type=value_type, piece=PIECE_BYTES)
    return wasmtime.Module(engine, bytes(wasmtime.wat2wasm(wat)))
