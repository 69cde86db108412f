"""The module that empties a canister of its cycles before it is deleted, since deleting burns them.

Its one method takes from a controller what is to be called (`argument`), calls that with all cycles that the call
itself doesn't need, and answers with their number and the reply; with no bytes where there are no cycles to send. What
the network holds back for the execution and for the response stays. Owns the module, and how it is brought to send
them. Does not own: where they go, and whose canister it is (`personal_canister`, `owner.deletion`).
"""

from __future__ import annotations

import base64
import hashlib

from canister_factory.candid.binding import candid_type, to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import BackendClient
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import OUT_OF_CYCLES, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings, Target

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
  (data (i32.const 32) "for controllers only")
  (table funcref (elem $replied $rejected))
  (func (export "canister_update send_cycles") (local $amount i64) (local $method i32) (local $payload i32)
    (call $caller_copy (i32.const 64) (i32.const 0) (call $caller_size))
    (if (i32.eqz (call $is_controller (i32.const 64) (call $caller_size)))
      (then (call $reject (i32.const 32) (i32.const 20)) (return)))
    (call $arg_copy (i32.const 256) (i32.const 0) (call $arg_size))
    (local.set $method (i32.add (i32.const 257) (i32.load8_u (i32.const 256))))
    (local.set $payload (i32.add (i32.add (local.get $method) (i32.const 1)) (i32.load8_u (local.get $method))))
    (call $liquid (i32.const 128))
    (call $cost_call (i64.extend_i32_u (i32.load8_u (local.get $method)))
      (i64.extend_i32_u (i32.sub (i32.add (i32.const 256) (call $arg_size)) (local.get $payload))) (i32.const 144))
    (if (i64.le_u (i64.load (i32.const 128)) (i64.load (i32.const 144))) (then (call $reply) (return)))
    (local.set $amount (i64.sub (i64.load (i32.const 128)) (i64.load (i32.const 144))))
    (i64.store (i32.const 160) (local.get $amount))
    (call $call_new (i32.const 257) (i32.load8_u (i32.const 256))
      (i32.add (local.get $method) (i32.const 1)) (i32.load8_u (local.get $method))
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $call_append (local.get $payload)
      (i32.sub (i32.add (i32.const 256) (call $arg_size)) (local.get $payload)))
    (call $call_cycles (i64.const 0) (local.get $amount))
    (if (call $call_perform) (then unreachable)))
  (func $replied (param i32)
    (call $reply_append (i32.const 160) (i32.const 8))
    (call $arg_copy (i32.const 1024) (i32.const 0) (call $arg_size))
    (call $reply_append (i32.const 1024) (call $arg_size))
    (call $reply))
  (func $rejected (param i32)
    (call $reason_copy (i32.const 1024) (i32.const 0) (call $reason_size))
    (call $reject (i32.const 1024) (call $reason_size))))
"""
"""What it is assembled from, by `wat2wasm` and without names. It is kept built: whoever cleans up has no assembler."""

MODULE = base64.b64decode(
    "AGFzbQEAAAABMwlgAAF/YAN/f38AYAJ/fwF/YAJ/fwBgAABgAX8AYAN+fn8AYAh/f39/f39/fwBgAn5+AALrAhADaWMwEW1zZ19hcmdfZGF0YV9zaXpl"
    "AAADaWMwEW1zZ19hcmdfZGF0YV9jb3B5AAEDaWMwD21zZ19jYWxsZXJfc2l6ZQAAA2ljMA9tc2dfY2FsbGVyX2NvcHkAAQNpYzANaXNfY29udHJvbGxl"
    "cgACA2ljMBVtc2dfcmVwbHlfZGF0YV9hcHBlbmQAAwNpYzAJbXNnX3JlcGx5AAQDaWMwCm1zZ19yZWplY3QAAwNpYzATbXNnX3JlamVjdF9tc2dfc2l6"
    "ZQAAA2ljMBNtc2dfcmVqZWN0X21zZ19jb3B5AAEDaWMwIGNhbmlzdGVyX2xpcXVpZF9jeWNsZV9iYWxhbmNlMTI4AAUDaWMwCWNvc3RfY2FsbAAGA2lj"
    "MAhjYWxsX25ldwAHA2ljMBBjYWxsX2RhdGFfYXBwZW5kAAMDaWMwEmNhbGxfY3ljbGVzX2FkZDEyOAAIA2ljMAxjYWxsX3BlcmZvcm0AAAMEAwQFBQQF"
    "AXABAgIFAwEAAQcfARtjYW5pc3Rlcl91cGRhdGUgc2VuZF9jeWNsZXMAEAkKAQIAQQALAAIREgrvAQO9AQIBfgJ/QcAAQQAQAhADQcAAEAIQBEUEQEEg"
    "QRQQBw8LQYACQQAQABABQYECQYACLQAAaiEBIAFBAWogAS0AAGohAkGAARAKIAEtAACtQYACEABqIAJrrUGQARALQYABKQMAQZABKQMAWARAEAYPC0GA"
    "ASkDAEGQASkDAH0hAEGgASAANwMAQYECQYACLQAAIAFBAWogAS0AAEEAQQBBAUEAEAwgAkGAAhAAaiACaxANQgAgABAOEA8EQAALCxsAQaABQQgQBUGA"
    "CEEAEAAQAUGACBAAEAUQBgsSAEGACEEAEAgQCUGACBAIEAcLCxoBAEEgCxRmb3IgY29udHJvbGxlcnMgb25seQ=="
)
"""The built module: WebAssembly, 760 bytes."""

MODULE_HASH = hashlib.sha256(MODULE).digest()
METHOD = "send_cycles"
BACKEND_METHOD = "return_cycles"
"""The method of a backend that takes cycles back."""
_DEPOSIT = "deposit_cycles"
_AMOUNT_BYTES = 8


def argument(callee: Principal, method: str, payload: bytes) -> bytes:
    """What the module's method takes: whom it calls with the cycles, and what with."""
    parts = (callee.bytes, method.encode())
    return b"".join(bytes([len(part)]) + part for part in parts) + payload


def to_backend(backend_id: Principal) -> bytes:
    """The argument by which a backend takes the cycles."""
    return argument(backend_id, BACKEND_METHOD, encode([], []))


def to_canister(canister_id: Principal) -> bytes:
    """The argument by which any canister gets the cycles, whether it knows of them or not."""
    target = Target(canister_id=canister_id)
    return argument(
        Principal.management_canister(), _DEPOSIT, encode([candid_type(Target)], [to_candid(Target, target)])
    )


def sent(reply: bytes) -> tuple[int, bytes]:
    """How many cycles were sent, by the module's reply, and what the callee answered; 0 where there were none."""
    return int.from_bytes(reply[:_AMOUNT_BYTES], "little"), reply[_AMOUNT_BYTES:]


def returned(reply: bytes) -> int:
    """How many cycles the backend took, by the module's reply; 0 where there were none to send.

    Raises:
        CreationRefused: the backend takes none; the canister has them again.
    """
    _, answer = sent(reply)
    if not answer:
        return 0
    cycles: int = BackendClient.method(BACKEND_METHOD).decode(answer)
    return cycles


async def emptied(agent: Agent, retry: Retry, canister_id: Principal, order: bytes) -> bytes:
    """Has the module send the cycles by `order`, and returns its reply; no bytes where they don't suffice for it.
    What the canister held is gone then. Each step may be repeated: cycles that went aren't there any more.

    First the settings, since a frozen canister takes no other call. Then what runs here goes, since it may be waiting
    for something, and couldn't be stopped then.

    Raises:
        RejectedError: a step was refused; or those who were to get the cycles don't take them.
    """
    management = ManagementCanister(agent)
    unbound = CanisterSettings(freezing_threshold=0, memory_allocation=0, compute_allocation=0)
    await retry("update_settings", management.update_settings, canister_id, unbound)
    if await _module_hash(agent, retry, canister_id) != MODULE_HASH:
        await retry("uninstall_code", management.uninstall_code, canister_id)
    await retry("start_canister", management.start_canister, canister_id)
    try:
        if await _module_hash(agent, retry, canister_id) is None:
            await retry("install", management.install, canister_id, MODULE, b"")
        return await retry(METHOD, agent.update, canister_id, METHOD, order)
    except RejectedError as error:
        if error.error_code == OUT_OF_CYCLES:
            return b""
        raise


async def _module_hash(agent: Agent, retry: Retry, canister_id: Principal) -> bytes | None:
    return (await retry("canister_info", agent.canister_info, canister_id)).module_hash
