"""A cycles wallet with the standard calls, as far as a top-up needs them, which may fail as wallets do.

Owns the module. It takes the arguments as our encoder lays them out, and anybody's calls.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import wasmtime

from canister_factory.candid.binding import candid_type
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.ic.agent import Agent
from canister_factory.ic.cycles import _Amount, _Send64, _Send128, _Sent
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_calls import encoded
from canister_factory.ic.management_types import Target

HAS = 50 * 10**12
"""Cycles of a new wallet."""
_ID = Principal(bytes(9) + b"\x01")


class Way(StrEnum):
    """How a wallet answers when it is told to send."""

    SENDS = "sends"
    SENDS_AND_REJECTS = "sends and rejects"
    REJECTS = "rejects"
    SAYS_ERR = "says Err"


_WAT = """(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "canister_cycle_balance128" (func $balance (param i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_append (param i32 i32)))
  (import "ic0" "call_cycles_add128" (func $call_cycles (param i64 i64)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (memory 1)
  (data (i32.const 0) "deposit_cycles")
  (data (i32.const 32) "TARGET")
  (data (i32.const 64) "AMOUNT")
  (data (i32.const 128) "SENT")
  (data (i32.const 256) "ERR")
  (data (i32.const 384) "a wallet's reason")
  (table funcref (elem $done))
  (func $done (param i32) DONE)
  (func (export "canister_query BALANCE") (local $at i32) (local $left i64)
    (call $balance (i32.const 512))
    (local.set $left (i64.load (i32.const 512)))
    (local.set $at (i32.const 528))
    (if (i32.const WIDE) (then
      (loop $next
        (i32.store8 (local.get $at) (i32.wrap_i64 (i64.or (i64.and (local.get $left) (i64.const 127))
          (select (i64.const 128) (i64.const 0) (i64.ge_u (local.get $left) (i64.const 128))))))
        (local.set $left (i64.shr_u (local.get $left) (i64.const 7)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i64.ne (local.get $left) (i64.const 0)))))
    (else (i64.store (local.get $at) (local.get $left)) (local.set $at (i32.const 536))))
    (call $append (i32.const 64) (i32.const AMOUNT_SIZE))
    (call $append (i32.const 528) (i32.sub (local.get $at) (i32.const 528)))
    (call $reply))
  (func (export "canister_update SEND") (local $at i32) (local $shift i64) (local $amount i64)
    (call $arg_copy (i32.const 1024) (i32.const 0) (call $arg_size))
    (local.set $at (i32.add (i32.const HEADS_END) (i32.load8_u (i32.const HEADS_LENGTH))))
    (if (i32.const WIDE) (then
      (loop $next
        (local.set $amount (i64.or (local.get $amount)
          (i64.shl (i64.and (i64.load8_u (local.get $at)) (i64.const 127)) (local.get $shift))))
        (local.set $shift (i64.add (local.get $shift) (i64.const 7)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i64.ge_u (i64.load8_u (i32.sub (local.get $at) (i32.const 1))) (i64.const 128)))))
    (else (local.set $amount (i64.load (local.get $at))) (local.set $at (i32.add (local.get $at) (i32.const 8)))))
    SENDING)
)"""
_SENDING = """
    (call $call_new (i32.const 480) (i32.const 0) (i32.const 0) (i32.const 14)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $call_append (i32.const 32) (i32.const TARGET_SIZE))
    (call $call_append (i32.const HEADS_START) (i32.add (i32.const 2) (i32.load8_u (i32.const HEADS_LENGTH))))
    (call $call_cycles (i64.const 0) (local.get $amount))
    (drop (call $call_perform))"""
_OK = "(call $append (i32.const 128) (i32.const SENT_SIZE)) (call $reply)"
_ERR = "(call $append (i32.const 256) (i32.const ERR_SIZE)) (call $reply)"
_REJECT = "(call $reject (i32.const 384) (i32.const 17))"


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


@cache
def wallet(way: Way = Way.SENDS, *, wide: bool = True) -> bytes:
    """The module; not `wide`: with the older calls alone, whose amounts have 64 bits."""
    argument = encoded((_Send128 if wide else _Send64)(canister=_ID, amount=0))
    id_size, amount_size = 2 + len(_ID.bytes), 1 if wide else 8
    head = 1024 + len(argument) - id_size - amount_size
    target = encoded(Target(canister_id=_ID))[:-id_size]
    amount = encoded(_Amount(amount=0))[:-1]
    if not wide:
        amount = amount[:-3] + b"\x78" + amount[-2:]
    sent = encode([candid_type(_Sent)], [Case("Ok")])
    error = encode([candid_type(_Sent)], [Case("Err", "a wallet's reason")])
    done = _REJECT if way is Way.SENDS_AND_REJECTS else _OK
    sending = {Way.REJECTS: _REJECT, Way.SAYS_ERR: _ERR}.get(way, _SENDING)
    text = _WAT.replace("SENDING", sending).replace("DONE", done)
    words = {
        "BALANCE": "wallet_balance128" if wide else "wallet_balance",
        '(export "canister_update SEND")': f'(export "canister_update {"wallet_send128" if wide else "wallet_send"}")',
        "AMOUNT_SIZE": str(len(amount)),
        "TARGET_SIZE": str(len(target)),
        "SENT_SIZE": str(len(sent)),
        "ERR_SIZE": str(len(error)),
        '"TARGET"': f'"{_escaped(target)}"',
        '"AMOUNT"': f'"{_escaped(amount)}"',
        '"SENT"': f'"{_escaped(sent)}"',
        '"ERR"': f'"{_escaped(error)}"',
        "WIDE": str(int(wide)),
        "HEADS_START": str(head),
        "HEADS_LENGTH": str(head + 1),
        "HEADS_END": str(head + 2),
    }
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return bytes(wasmtime.wat2wasm(text))


async def new_wallet(agent: Agent, way: Way = Way.SENDS, *, wide: bool = True) -> Principal:
    """A wallet with `HAS` cycles."""
    management = ManagementCanister(agent)
    canister_id = await management.provisional_create_canister_with_cycles(HAS)
    await management.install(canister_id, wallet(way, wide=wide), b"")
    return canister_id
