"""A canister that counts."""

from __future__ import annotations

import wasmtime

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister

COUNTER = """(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "data_certificate_size" (func $certificate_size (result i32)))
  (import "ic0" "data_certificate_copy" (func $certificate (param i32 i32 i32)))
  (memory 1)
  (func $answer (call $append (i32.const 0) (i32.const 4)) (call $reply))
  (func (export "canister_update add")
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (call $certify (i32.const 0) (i32.const 4))
    (call $answer))
  (func (export "canister_update trap") unreachable)
  (func (export "canister_query read") (call $answer))
  (func (export "canister_query certificate")
    (call $certificate (i32.const 64) (i32.const 0) (call $certificate_size))
    (call $append (i32.const 64) (call $certificate_size)) (call $reply)))"""


MODULE = bytes(wasmtime.wat2wasm(COUNTER))


async def counter(agent: Agent) -> Principal:
    management = ManagementCanister(agent)
    canister = await management.provisional_create_canister_with_cycles(10**14)
    await management.install(canister, MODULE, b"")
    return canister
