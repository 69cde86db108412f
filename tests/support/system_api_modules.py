"""Modules and checks that tests of the System API share."""

from __future__ import annotations

import re
from typing import Any

from support.runtime_harness import Canister, failure, reply

ANSWERING = "U RQ NRQ TQ CQ Ry Rt CRy CRt"


CALLING = "U CQ Ry Rt CRy CRt T"


# Interface specification, "Overview of imports": parameters, result, where. I is pointer-sized; * is everywhere, s the
# start function. The last group exists only for 32-bit memories.
SPECIFICATION = {
    "msg_arg_data_size": ("", "I", "I U RQ NRQ TQ CQ Ry CRy F"),
    "msg_arg_data_copy": ("I I I", "", "I U RQ NRQ TQ CQ Ry CRy F"),
    "msg_caller_size": ("", "I", "*"),
    "msg_caller_copy": ("I I I", "", "*"),
    "msg_caller_info_data_size": ("", "I", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_caller_info_data_copy": ("I I I", "", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_caller_info_signer_size": ("", "I", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_caller_info_signer_copy": ("I I I", "", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_reject_code": ("", "i32", "Ry Rt CRy CRt C"),
    "msg_reject_msg_size": ("", "I", "Rt CRt"),
    "msg_reject_msg_copy": ("I I I", "", "Rt CRt"),
    "msg_deadline": ("", "i64", "U RQ NRQ CQ Ry Rt CRy CRt"),
    "msg_reply_data_append": ("I I", "", ANSWERING),
    "msg_reply": ("", "", ANSWERING),
    "msg_reject": ("I I", "", ANSWERING),
    "msg_cycles_available128": ("I", "", "U RQ Rt Ry"),
    "msg_cycles_refunded128": ("I", "", "Rt Ry"),
    "msg_cycles_accept128": ("i64 i64 I", "", "U RQ Rt Ry"),
    "cycles_burn128": ("i64 i64 I", "", "I G U RQ Ry Rt C T"),
    "mint_cycles128": ("i64 i64 I", "", "U Ry Rt T"),
    "canister_self_size": ("", "I", "*"),
    "canister_self_copy": ("I I I", "", "*"),
    "canister_cycle_balance128": ("I", "", "*"),
    "canister_liquid_cycle_balance128": ("I", "", "*"),
    "canister_status": ("", "i32", "*"),
    "canister_version": ("", "i64", "*"),
    "subnet_self_size": ("", "I", "*"),
    "subnet_self_copy": ("I I I", "", "*"),
    "msg_method_name_size": ("", "I", "F"),
    "msg_method_name_copy": ("I I I", "", "F"),
    "accept_message": ("", "", "F"),
    "call_new": ("I I I I I I I I", "", CALLING),
    "call_on_cleanup": ("I I", "", CALLING),
    "call_data_append": ("I I", "", CALLING),
    "call_with_best_effort_response": ("i32", "", CALLING),
    "call_cycles_add128": ("i64 i64", "", "U Ry Rt T"),
    "call_perform": ("", "i32", CALLING),
    "stable64_size": ("", "i64", "* s"),
    "stable64_grow": ("i64", "i64", "* s"),
    "stable64_write": ("i64 i64 i64", "", "* s"),
    "stable64_read": ("i64 i64 i64", "", "* s"),
    "root_key_size": ("", "I", "I G U RQ Ry Rt C T"),
    "root_key_copy": ("I I I", "", "I G U RQ Ry Rt C T"),
    "certified_data_set": ("I I", "", "I G U Ry Rt T"),
    "data_certificate_present": ("", "i32", "*"),
    "data_certificate_size": ("", "I", "NRQ CQ"),
    "data_certificate_copy": ("I I I", "", "NRQ CQ"),
    "time": ("", "i64", "*"),
    "global_timer_set": ("i64", "i64", "I G U Ry Rt C T"),
    "performance_counter": ("i32", "i64", "* s"),
    "is_controller": ("I I", "i32", "* s"),
    "in_replicated_execution": ("", "i32", "* s"),
    "cost_call": ("i64 i64 I", "", "* s"),
    "cost_create_canister": ("I", "", "* s"),
    "cost_http_request": ("i64 i64 I", "", "* s"),
    "cost_sign_with_ecdsa": ("I I i32 I", "i32", "* s"),
    "cost_sign_with_schnorr": ("I I i32 I", "i32", "* s"),
    "cost_vetkd_derive_key": ("I I i32 I", "i32", "* s"),
    "env_var_count": ("", "I", "*"),
    "env_var_name_size": ("I", "I", "*"),
    "env_var_name_copy": ("I I I I", "", "*"),
    "env_var_name_exists": ("I I", "i32", "*"),
    "env_var_value_size": ("I I", "I", "*"),
    "env_var_value_copy": ("I I I I I", "", "*"),
    "debug_print": ("I I", "", "* s"),
    "trap": ("I I", "", "* s"),
}


ONLY_32_BIT = {
    "msg_cycles_available": ("", "i64", "U RQ Rt Ry"),
    "msg_cycles_refunded": ("", "i64", "Rt Ry"),
    "msg_cycles_accept": ("i64", "i64", "U RQ Rt Ry"),
    "canister_cycle_balance": ("", "i64", "*"),
    "call_cycles_add": ("i64", "", "U Ry Rt T"),
    "stable_size": ("", "i32", "* s"),
    "stable_grow": ("i32", "i32", "* s"),
    "stable_write": ("i32 i32 i32", "", "* s"),
    "stable_read": ("i32 i32 i32", "", "* s"),
}


KNOWN = SPECIFICATION | ONLY_32_BIT


def declared(name: str, pointer: str = "i32") -> str:
    """The WAT import of a function, as $name."""
    parameters, result, _ = KNOWN[name]
    types = "".join(f" (param {pointer if t == 'I' else t})" for t in parameters.split())
    if result:
        types += f" (result {pointer if result == 'I' else result})"
    return f'(import "ic0" "{name}" (func ${name}{types}))'


def module(*functions: str, memory: str = "1", data: str = "", more: str = "") -> str:
    """WAT of a canister: memory with `data` at 0, then functions; all `ic0` functions used in them are imported."""
    body = "\n".join(functions) + more
    pointer = "i64" if memory.startswith("i64") else "i32"
    used = sorted(set(re.findall(r"\$(\w+)", body)) & set(KNOWN))
    imports = "\n".join(declared(name, pointer) for name in used)
    return f'(module {imports} (memory {memory}) (data ({pointer}.const 0) "{data}") {body})'


def update(body: str, name: str = "x") -> str:
    return f'(func (export "canister_update {name}") {body})'


def answer(size: int, at: int = 0) -> str:
    return f"(call $msg_reply_data_append (i32.const {at}) (i32.const {size})) (call $msg_reply)"


def answered(body: str, size: int, data: str = "", **fields: Any) -> bytes:
    """Runs `body` as an update and returns the first `size` bytes of memory after it."""
    with Canister(module(update(body + answer(size)), data=data)) as canister:
        return reply(canister.update("x", **fields))


def refused(body: str, data: str = "", **fields: Any) -> str:
    with Canister(module(update(body), data=data)) as canister:
        return failure(canister.update("x", **fields)).message
