"""The canister that official clients call: it takes and gives bytes as they are, whatever they mean.

Updates `set` (replies its argument, and certifies it), `trap`, `refuse`; queries `echo`, `refuse_query` and
`certificate` (of the certified data).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Protocol

import wasmtime

ANY_CANISTER: Final = "rwlgt-iiaaa-aaaaa-aaaaa-cai"
"""In the subnet's ranges, which is all that a creation's URL needs."""
TRILLION: Final = 10**12
REFUSAL: Final = "not today"
"""What `refuse` and `refuse_query` reject with."""

_WIRE: Final = """(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "data_certificate_size" (func $certificate_size (result i32)))
  (import "ic0" "data_certificate_copy" (func $certificate (param i32 i32 i32)))
  (memory 1)
  (data (i32.const 8) "not today")
  (func $echo (call $arg (i32.const 1024) (i32.const 0) (call $arg_size))
    (call $append (i32.const 1024) (call $arg_size)) (call $reply))
  (func (export "canister_update set") (call $echo) (call $certify (i32.const 1024) (call $arg_size)))
  (func (export "canister_query echo") (call $echo))
  (func (export "canister_update trap") unreachable)
  (func (export "canister_update refuse") (call $reject (i32.const 8) (i32.const 9)))
  (func (export "canister_query refuse_query") (call $reject (i32.const 8) (i32.const 9)))
  (func (export "canister_query certificate")
    (call $certificate (i32.const 1024) (i32.const 0) (call $certificate_size))
    (call $append (i32.const 1024) (call $certificate_size)) (call $reply)))"""


def wire_wasm() -> bytes:
    """The module."""
    return bytes(wasmtime.wat2wasm(_WIRE))


class Managed(Protocol):
    """A canister that a client's library manages: `manage` calls a method of the management canister about it."""

    def install(self, mode: str = "install") -> None: ...

    def manage(self, method: str, **fields: Any) -> Any: ...


def live(canister: Managed) -> None:
    """A new canister is installed, changed, paid for, emptied and deleted, and its status tells of all that."""
    canister.install()
    canister.install("upgrade")
    before = canister.manage("canister_status")
    settings = {"controllers": [], "compute_allocation": [], "memory_allocation": [], "freezing_threshold": [86_400]}
    canister.manage("update_settings", settings=settings)
    canister.manage("provisional_top_up_canister", amount=TRILLION)
    canister.manage("stop_canister")
    canister.manage("start_canister")
    canister.manage("uninstall_code")
    canister.manage("stop_canister")
    after = canister.manage("canister_status")
    canister.manage("delete_canister")
    assert before["status"] == {"running": None}
    assert bytes(before["module_hash"][0]) == hashlib.sha256(wire_wasm()).digest()
    assert (after["status"], after["settings"]["freezing_threshold"]) == ({"stopped": None}, 86_400)
    assert after["cycles"] > before["cycles"] + TRILLION * 0.9
    assert after["module_hash"] == []
