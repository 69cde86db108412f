"""Arguments as extreme as Candid types allow, for all methods that the replica itself answers; a relaying canister."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import wasmtime
from hypothesis import strategies as st

from canister_factory.candid import types as t
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case, FuncRef
from canister_factory.replica.runtime.execution import MAX_CYCLES
from canister_factory.replica.subnet.management_interface import _methods as management_methods
from canister_factory.replica.system_canisters.cycles_ledger import CYCLES_LEDGER, LEDGER
from canister_factory.replica.system_canisters.cycles_minting import CYCLES_MINTING, MINTING
from support.candid_strategies import INTEGER_RANGES
from support.replica_bench import MANAGEMENT
from support.replica_puppet import puppet

CYCLES = (0, 1, 10**12, 2**64 - 1, 2**64, 2**127, MAX_CYCLES)
"""What the relay attaches."""
_NATS = (0, 1, 2**31, 2**32, 2**48, 2**63, 2**64 - 1, 2**64, 2**127, MAX_CYCLES, 2**128, 2**200, 10**5000, 10**5000)
_TEXTS = ("", "x", "\x00", "😀" * 60, "a" * 129, "a" * 30_000)

# The argument: cycles (low and high half), a byte with the callee's length, callee, another with the method's, method,
# argument of the call.
_RELAY = """(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data_append (param i32 i32)))
  (import "ic0" "call_cycles_add128" (func $cycles_add (param i64 i64)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (memory 40)
  (table funcref (elem $back))
  (func $back (param i32) (call $reply))
  (func (export "canister_update relay") (local $method i32) (local $rest i32)
    (call $copy (i32.const 0) (i32.const 0) (call $size))
    (local.set $method (i32.add (i32.const 18) (i32.load8_u (i32.const 16))))
    (local.set $rest (i32.add (local.get $method) (i32.load8_u (i32.sub (local.get $method) (i32.const 1)))))
    (call $call_new (i32.const 17) (i32.load8_u (i32.const 16))
      (local.get $method) (i32.sub (local.get $rest) (local.get $method))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $cycles_add (i64.load (i32.const 8)) (i64.load (i32.const 0)))
    (call $data_append (local.get $rest) (i32.sub (call $size) (local.get $rest)))
    (drop (call $call_perform)))
  (func (export "canister_update accept") (call $reply)))"""


@cache
def relay() -> bytes:
    """The Wasm of a canister that makes the call which its argument describes, with any cycles, and then replies."""
    return bytes(wasmtime.wat2wasm(_RELAY))


def relayed(callee: bytes, method: str, arg: bytes, cycles: int) -> bytes:
    """The argument of `relay`."""
    name = method.encode()
    return cycles.to_bytes(16, "little") + bytes([len(callee)]) + callee + bytes([len(name)]) + name + arg


@cache
def all_methods() -> tuple[tuple[bytes, str, t.Func], ...]:
    """(canister, method, type) of the management canister's and the system canisters' methods."""
    found = [(MANAGEMENT, name, func) for name, func in management_methods().items()]
    for canister_id, canister in ((CYCLES_LEDGER, LEDGER), (CYCLES_MINTING, MINTING)):
        found += [(canister_id, name, func) for name, func in canister._types.items()]
    return tuple(found)


_FLOATS = (0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"))


def extreme_values(wanted: t.Type, known: Sequence[bytes]) -> st.SearchStrategy[Any]:
    """Values of a type: mostly its smallest and largest. `known`: ids of canisters that exist."""
    wanted = t.resolve(wanted)
    if wanted in (t.NAT, t.INT):
        return st.sampled_from(_NATS)
    if wanted in INTEGER_RANGES:
        low, high = INTEGER_RANGES[wanted]
        return st.sampled_from((low, low + 1, high // 2, high))
    simple: dict[t.Type, Callable[[], st.SearchStrategy[Any]]] = {
        t.NULL: st.none,
        t.BOOL: st.booleans,
        t.TEXT: lambda: st.sampled_from(_TEXTS),
        t.FLOAT32: lambda: st.sampled_from(_FLOATS),
        t.FLOAT64: lambda: st.sampled_from((*_FLOATS, 1.7976931348623157e308, 5e-324)),
        t.PRINCIPAL: lambda: st.sampled_from([*known, *known, b"", b"\x04", bytes(29)]).map(Principal),
        t.BLOB: lambda: st.sampled_from((b"", b"\x00asm", bytes(32), puppet(), bytes(1 << 20))),
    }
    if wanted in simple:
        return simple[wanted]()
    match wanted:
        case t.Opt():
            content = extreme_values(wanted.inner, known)
            return st.none() | content | content | content
        case t.Vec():
            return st.lists(extreme_values(wanted.inner, known), max_size=2) | st.builds(
                lambda item: [item] * 25, extreme_values(wanted.inner, known)
            )
        case t.Record():
            fields = {f.label: extreme_values(f.type, known) for f in wanted.fields}
            whole = st.fixed_dictionaries(fields)
            # Of many options mostly one is given, since all others would be refused before it is looked at.
            if not all(isinstance(t.resolve(f.type), t.Opt) for f in wanted.fields):
                return whole
            return whole | st.sampled_from(list(fields)).flatmap(
                lambda label: fields[label].map(lambda value: dict.fromkeys(fields) | {label: value})
            )
        case t.Func():
            service = extreme_values(t.PRINCIPAL, known)
            return st.builds(FuncRef, service, st.sampled_from(("read", "", "nonesuch")))
        case t.Variant():
            return st.one_of(*(st.builds(Case, st.just(f.label), extreme_values(f.type, known)) for f in wanted.fields))
    raise AssertionError(f"no extreme values of {wanted}")
