"""The system API against its specification: signatures and modes from a table of its own, then behaviour."""

import re
from collections.abc import Collection
from typing import Any

import pytest

from canister_factory.replica.runtime.execution import Callback, Entry, Outcome, RejectCode, Response
from canister_factory.replica.runtime.host_interface import MODE_NAMES
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.runtime.system_api import HOST_FUNCTIONS
from support.runtime_harness import BILLION, CALLER, CANISTER_ID, Canister, assembled, engine, env, failure, le64, reply

EVERYWHERE = "I G U RQ NRQ CQ Ry Rt CRy CRt C CC F T"
ANSWERING = "U RQ NRQ CQ Ry Rt CRy CRt"
CALLING = "U CQ Ry Rt CRy CRt T"
# Interface specification, "Overview of imports": parameters, result, where. I is pointer-sized; * is everywhere, s the
# start function. The last group exists only for 32-bit memories.
SPECIFICATION = {
    "msg_arg_data_size": ("", "I", "I U RQ NRQ CQ Ry CRy F"),
    "msg_arg_data_copy": ("I I I", "", "I U RQ NRQ CQ Ry CRy F"),
    "msg_caller_size": ("", "I", "*"),
    "msg_caller_copy": ("I I I", "", "*"),
    "msg_caller_info_data_size": ("", "I", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_caller_info_data_copy": ("I I I", "", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_caller_info_signer_size": ("", "I", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_caller_info_signer_copy": ("I I I", "", "U RQ NRQ CQ Ry Rt CRy CRt C CC F"),
    "msg_reject_code": ("", "i32", "Ry Rt CRy CRt C CC"),
    "msg_reject_msg_size": ("", "I", "Rt CRt"),
    "msg_reject_msg_copy": ("I I I", "", "Rt CRt"),
    "msg_deadline": ("", "i64", ANSWERING),
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


def called_with_zeroes(name: str, pointer: str = "i32") -> str:
    parameters, result, _ = KNOWN[name]
    arguments = "".join(f" ({pointer if t == 'I' else t}.const 0)" for t in parameters.split())
    call = f"(call ${name}{arguments})"
    return f"(drop {call})" if result else call


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


# --- signatures and modes ---


def test_the_functions_are_those_of_the_specification() -> None:
    assert set(HOST_FUNCTIONS) == set(KNOWN)


@pytest.mark.parametrize(("memory", "names"), [("1", KNOWN), ("i64 1", SPECIFICATION)])
def test_a_module_may_import_all_of_them_with_the_right_types(memory: str, names: Collection[str]) -> None:
    calls = "".join(called_with_zeroes(name, "i64" if memory == "i64 1" else "i32") for name in names)
    module_ = engine().compile(assembled(module(update(calls), memory=memory)))
    assert len(module_.imports) == len(names)


ENTRIES: dict[str, tuple[Entry, dict[str, Any]]] = {
    "s": (Entry.START, {}),
    "I": (Entry.POST_UPGRADE, {}),
    "G": (Entry.PRE_UPGRADE, {}),
    "U": (Entry.UPDATE, {}),
    "RQ": (Entry.QUERY, {}),
    "NRQ": (Entry.QUERY, {"in_replicated_execution": False}),
    "CQ": (Entry.COMPOSITE_QUERY, {"in_replicated_execution": False}),
    "Ry": (Entry.REPLY_CALLBACK, {}),
    "Rt": (Entry.REJECT_CALLBACK, {}),
    "CRy": (Entry.REPLY_CALLBACK, {"in_replicated_execution": False}),
    "CRt": (Entry.REJECT_CALLBACK, {"in_replicated_execution": False}),
    "C": (Entry.CLEANUP, {}),
    "CC": (Entry.CLEANUP, {"in_replicated_execution": False}),
    "F": (Entry.INSPECT_MESSAGE, {"in_replicated_execution": False}),
    "T": (Entry.GLOBAL_TIMER, {}),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_function_can_be_called_exactly_where_the_specification_says(name: str) -> None:
    allowed = KNOWN[name][2].replace("*", EVERYWHERE).split()
    methods = {Entry.UPDATE: "U", Entry.QUERY: "Q", Entry.COMPOSITE_QUERY: "C"}
    exports = "".join(
        f'(export "{entry.value}{f" {methods[entry]}" if entry in methods else ""}" (func $f))'
        for entry in {entry for entry, _ in ENTRIES.values()}
        if entry not in (Entry.START, Entry.REPLY_CALLBACK, Entry.REJECT_CALLBACK, Entry.CLEANUP)
    )
    wat = module(
        f"(func $f {called_with_zeroes(name)}) (func $back (param i32) (call $f)) (start $f) {exports}",
        more="(table 1 funcref) (elem (i32.const 0) $back)",
    )
    possible = []
    with Canister(wat) as canister:
        for mode, (entry, fields) in ENTRIES.items():
            outcome = canister.run(entry, methods.get(entry, ""), callback=Callback(0, 0), certificate=b"c", **fields)
            refusal = f"ic0.{name} cannot be executed in {MODE_NAMES[mode]} mode"
            if outcome.error is None or refusal not in outcome.error.message:
                possible.append(mode)
            else:
                assert outcome.error.error_code == "IC0504"
    assert sorted(possible) == sorted(allowed)


# --- blobs ---

COPY_ARGUMENT = "(call $msg_arg_data_copy (i32.const {}) (i32.const {}) (i32.const {}))"


def test_part_of_an_argument_can_be_copied() -> None:
    assert answered(COPY_ARGUMENT.format(1, 2, 3), 5, data="#####", arg=b"abcdefg") == b"#cde#"


@pytest.mark.parametrize(("offset", "size"), [(3, 5), (8, 0), (-1, 1), (0, -1)])
def test_reading_beyond_an_argument_traps(offset: int, size: int) -> None:
    assert "msg_arg_data_copy: bytes" in refused(COPY_ARGUMENT.format(0, offset, size), arg=b"abcdefg")


@pytest.mark.parametrize("target", [65535, -1, -65536])
def test_writing_beyond_the_memory_traps(target: int) -> None:
    assert "heap out of bounds" in refused(COPY_ARGUMENT.format(target, 0, 2), arg=b"ab")


@pytest.mark.parametrize(
    ("blob", "fields", "expected"),
    [
        ("msg_caller", {}, CALLER),
        ("canister_self", {}, CANISTER_ID),
        ("subnet_self", {"subnet_id": b"subnet"}, b"subnet"),
        ("root_key", {"root_key": b"key" * 40}, b"key" * 40),
        ("msg_caller_info_data", {}, b""),
    ],
)
def test_blobs_come_from_the_surroundings(blob: str, fields: dict[str, Any], expected: bytes) -> None:
    size = f"(call ${blob}_size)"
    body = f"(call ${blob}_copy (i32.const 0) (i32.const 0) {size}) (call $msg_reply_data_append (i32.const 0) {size})"
    with Canister(module(update(body + "(call $msg_reply)"))) as canister:
        assert reply(canister.update("x", **fields)) == expected


@pytest.mark.parametrize(
    ("function", "fields", "expected"),
    [
        ("time", {}, 1_700_000_000_000_000_000),
        ("canister_version", {"canister_version": 12}, 12),
        ("msg_deadline", {"deadline_ns": 77}, 77),
        ("canister_cycle_balance", {"balance": (1 << 64) - 1}, (1 << 64) - 1),
    ],
)
def test_numbers_come_from_the_surroundings(function: str, fields: dict[str, Any], expected: int) -> None:
    assert answered(f"(i64.store (i32.const 0) (call ${function}))", 8, **fields) == le64(expected)


def test_controllers_are_known() -> None:
    body = "(i32.store8 (i32.const 9) (call $is_controller (i32.const 0) (i32.const 3)))"
    assert answered(body, 10, data="abc", controllers=frozenset({b"abc"}))[9] == 1
    assert answered(body, 10, data="abc", controllers=frozenset({b"ab"}))[9] == 0
    assert "at most 29" in refused("(drop (call $is_controller (i32.const 0) (i32.const 30)))")


# --- answers ---


def test_a_reply_is_assembled_from_pieces() -> None:
    body = """(call $msg_reply_data_append (i32.const 2) (i32.const 2))
      (call $msg_reply_data_append (i32.const 0) (i32.const 2)) (call $msg_reply)"""
    with Canister(module(update(body), data="cdab")) as canister:
        assert reply(canister.update("x")) == b"abcd"


def test_a_rejection_carries_its_text() -> None:
    with Canister(module(update("(call $msg_reject (i32.const 0) (i32.const 4))"), data="no\\c3\\a9")) as canister:
        outcome = canister.update("x")
        assert outcome.error is None
        assert isinstance(outcome.response, Response)
        assert outcome.response.code is RejectCode.CANISTER_REJECT
        assert outcome.response.message == "noé"


@pytest.mark.parametrize(
    ("body", "fields", "message"),
    [
        ("(call $msg_reply) (call $msg_reply)", {}, "ic0.msg_reply: the call was answered already"),
        ("(call $msg_reject (i32.const 0) (i32.const 0)) (call $msg_reply)", {}, "answered already"),
        ("(call $msg_reply) (call $msg_reply_data_append (i32.const 0) (i32.const 1))", {}, "answered already"),
        ("(call $msg_reply)", {"may_reply": False}, "needs no answer"),
        ("(call $msg_reply_data_append (i32.const 0) (i32.const 5))", {"max_response_bytes": 4}, "limit of 4"),
        ("(call $msg_reject (i32.const 0) (i32.const 1))", {}, "valid UTF-8"),
        ("(call $certified_data_set (i32.const 0) (i32.const 33))", {}, "33 bytes, at most 32"),
        ("(drop (call $performance_counter (i32.const 2)))", {}, "no counter 2"),
        ("(drop (call $canister_cycle_balance))", {"balance": 1 << 64}, "use ic0.canister_cycle_balance128"),
        ("(call $mint_cycles128 (i64.const 0) (i64.const 1) (i32.const 0))", {}, "cycles minting canister"),
    ],
)
def test_what_the_specification_forbids_traps(body: str, fields: dict[str, Any], message: str) -> None:
    assert message in refused(body, data="\\ff", **fields)


def test_a_message_is_accepted_once() -> None:
    accept = '(func (export "canister_inspect_message") (call $accept_message))'
    with Canister(module(accept)) as canister:
        assert canister.run(Entry.INSPECT_MESSAGE, "m", commit=False).message_accepted
    with Canister(module(accept.replace("(call $accept_message)", "(call $accept_message)" * 2))) as canister:
        outcome = canister.run(Entry.INSPECT_MESSAGE, "m", commit=False)
        assert "called twice" in failure(outcome).message
        assert not outcome.message_accepted


def test_the_data_certificate_is_there_in_non_replicated_queries_only() -> None:
    wat = module(
        """(func (export "canister_query q") (call $data_certificate_copy (i32.const 0) (i32.const 0) (i32.const 4))
          (call $msg_reply_data_append (i32.const 0) (i32.const 4)) (call $msg_reply))
        (func (export "canister_query present")
          (if (call $data_certificate_present) (then (call $msg_reply))))"""
    )
    with Canister(wat) as canister:
        assert reply(canister.query("q", certificate=b"cert")) == b"cert"
        assert "no data certificate" in failure(canister.query("q")).message
        assert canister.query("present", certificate=b"cert").response is not None
        assert canister.run(Entry.QUERY, "present", certificate=b"cert").response is None


def test_certified_data_and_timer_are_told_to_the_subnet() -> None:
    body = """(call $certified_data_set (i32.const 0) (i32.const 3))
      (i64.store (i32.const 8) (call $global_timer_set (i64.const 55)))
      (i64.store (i32.const 16) (call $global_timer_set (i64.const 66)))"""
    with Canister(module(update(body + answer(16, at=8)), data="abc")) as canister:
        outcome = canister.update("x", global_timer_ns=44)
        assert canister.numbers(outcome) == [44, 55]
        assert outcome.certified_data == b"abc"
        assert outcome.global_timer_ns == 66
        assert canister.query("x").certified_data is None


def test_the_second_performance_counter_goes_on_from_earlier_executions() -> None:
    body = "(i64.store (i32.const 0) (call $performance_counter (i32.const 1)))"
    first, later = (int.from_bytes(answered(body, 8, call_context_instructions=n), "little") for n in (0, 1000))
    assert 0 < first < 50
    assert later == first + 1000


# --- cycles ---

AVAILABLE = "(call $msg_cycles_available128 (i32.const 0))"
BALANCE = "(call $canister_cycle_balance128 (i32.const 16))"


def cycles(outcome_bytes: bytes) -> list[int]:
    return [int.from_bytes(outcome_bytes[i : i + 16], "little") for i in range(0, len(outcome_bytes), 16)]


def test_accepted_cycles_move_from_the_call_to_the_balance() -> None:
    body = f"(drop (call $msg_cycles_accept (i64.const 30))) {AVAILABLE} {BALANCE}"
    assert cycles(answered(body, 32, balance=1 << 70, cycles_available=100)) == [70, (1 << 70) + 30]


def test_no_more_cycles_are_accepted_than_there_are() -> None:
    body = f"(call $msg_cycles_accept128 (i64.const -1) (i64.const -1) (i32.const 0)) {BALANCE}"
    with Canister(module(update(body + answer(32)))) as canister:
        outcome = canister.update("x", balance=5, cycles_available=100)
        assert cycles(reply(outcome)) == [100, 105]
        assert outcome.cycles_accepted == 100


def test_an_answer_returns_what_was_not_accepted() -> None:
    body = f"""(call $msg_reply) {AVAILABLE} (call $debug_print (i32.const 0) (i32.const 1))
      (if (i64.ne (call $msg_cycles_accept (i64.const 5)) (i64.const 0)) (then unreachable))"""
    with Canister(module(update(body))) as canister:
        outcome = canister.update("x", cycles_available=65)
        assert outcome.error is None
        assert outcome.log == ["\0"]
        assert outcome.cycles_accepted == 0


def test_burning_stops_at_the_freezing_threshold() -> None:
    body = f"(call $cycles_burn128 (i64.const 1) (i64.const 0) (i32.const 0)) {BALANCE}"
    with Canister(module(update(body + answer(32)))) as canister:
        outcome = canister.update("x", balance=100, freezing_threshold_cycles=40)
        assert cycles(reply(outcome)) == [60, 40]
        assert outcome.cycles_burned == 60


def test_liquid_cycles_are_those_above_the_freezing_threshold() -> None:
    liquid = "(call $canister_liquid_cycle_balance128 (i32.const 0))"
    assert cycles(answered(liquid, 16, balance=100, freezing_threshold_cycles=40)) == [60]
    assert cycles(answered(liquid, 16, balance=30, freezing_threshold_cycles=40)) == [0]


# --- outgoing calls ---

NEW_CALL = """(call $call_new (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 4)
  (i32.const 1) (i32.const -2) (i32.const 3) (i32.const 4))"""
APPEND = "(call $call_data_append (i32.const 7) (i32.const 2))"
ADD = "(call $call_cycles_add128 (i64.const 0) (i64.const {}))"
PERFORM = "(if (i32.ne (call $call_perform) (i32.const {})) (then unreachable))"
CALL_DATA = "idcnameXY"


def outcome_of(body: str, **fields: Any) -> tuple[Outcome, int]:
    with Canister(module(update(body + BALANCE.replace("16", "32") + answer(16, at=32)), data=CALL_DATA)) as canister:
        outcome = canister.update("x", **fields)
        assert outcome.error is None, outcome.error.message
        return outcome, cycles(reply(outcome))[0]


def test_a_performed_call_has_all_its_parts() -> None:
    body = f"""{NEW_CALL} {APPEND} {APPEND} {ADD.format(5)} (call $call_cycles_add (i64.const 6))
      (call $call_on_cleanup (i32.const 8) (i32.const 9)) (call $call_with_best_effort_response (i32.const 1000))
      {PERFORM.format(0)}"""
    outcome, balance = outcome_of(body, balance=1000, call_cost=(100, 10))
    (call,) = outcome.calls
    assert (call.callee, call.method, call.arg, call.cycles) == (b"idc", "name", b"XYXY", 11)
    assert call.on_reply == Callback(1, (1 << 32) - 2)
    assert call.on_reject == Callback(3, 4)
    assert call.on_cleanup == Callback(8, 9)
    assert call.timeout_seconds == 300
    assert call.fee == 100 + 10 * len(b"nameXYXY")
    assert balance == 1000 - 11 - call.fee


@pytest.mark.parametrize("rest", [NEW_CALL + PERFORM.format(0), NEW_CALL, ""])
def test_cycles_of_a_call_that_is_not_performed_return(rest: str) -> None:
    outcome, balance = outcome_of(f"{NEW_CALL} {ADD.format(600)} {NEW_CALL} {rest}", balance=1000)
    assert balance == 1000
    assert [call.cycles for call in outcome.calls] == [0] * rest.count("call_perform")


@pytest.mark.parametrize(
    "fields",
    [
        {"balance": 1000, "call_cost": (500, 0)},  # 600 are attached
        {"balance": 1100, "call_cost": (500, 0), "freezing_threshold_cycles": 1},
        {"balance": 1000, "max_outgoing_calls": 0},
    ],
)
def test_a_call_that_cannot_be_paid_or_queued_fails_with_code_2(fields: dict[str, Any]) -> None:
    outcome, balance = outcome_of(f"{NEW_CALL} {ADD.format(600)} {PERFORM.format(2)}", **fields)
    assert outcome.calls == []
    assert balance == fields["balance"]


def test_a_call_may_take_the_balance_to_the_freezing_threshold() -> None:
    fields: dict[str, Any] = {"balance": 1100, "call_cost": (500, 0)}
    outcome, balance = outcome_of(f"{NEW_CALL} {ADD.format(600)} {PERFORM.format(0)}", **fields)
    assert len(outcome.calls) == 1
    assert balance == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (APPEND, "ic0.call_data_append: no call is under construction"),
        (PERFORM.format(0), "no call is under construction"),
        (NEW_CALL + PERFORM.format(0) + ADD.format(1), "no call is under construction"),
        (NEW_CALL + ADD.format(951), "is out of cycles: 951 cycles can't be attached"),
        (NEW_CALL + "(call $call_cycles_add128 (i64.const 1) (i64.const 0))", "18446744073709551616 cycles"),
        (NEW_CALL + "(call $call_on_cleanup (i32.const 0) (i32.const 0))" * 2, "called twice"),
        (NEW_CALL + "(call $call_with_best_effort_response (i32.const 1))" * 2, "called twice"),
        (NEW_CALL.replace("(i32.const 3) (i32.const 3)", "(i32.const 30) (i32.const 3)"), "a callee of 30 bytes"),
        (NEW_CALL.replace("(i32.const 4)", "(i32.const 20001)", 1), "a method name of 20001 bytes"),
    ],
)
def test_calls_are_put_together_in_order(body: str, message: str) -> None:
    assert message in refused(body, data=CALL_DATA, balance=1000, freezing_threshold_cycles=50)


def test_an_argument_of_more_than_10_mib_traps() -> None:
    append = "(call $call_data_append (i32.const 0) (i32.const 8388608))"
    with Canister(module(update(NEW_CALL + append * 2), memory="130")) as canister:
        assert "16777216 bytes, at most 10485760" in failure(canister.update("x")).message


def test_calls_of_a_trapped_execution_are_not_made() -> None:
    with Canister(module(update(f"{NEW_CALL} {PERFORM.format(0)} unreachable"), data=CALL_DATA)) as canister:
        assert failure(canister.update("x", balance=10)).error_code == "IC0502"


# --- stable memory ---


def test_stable_memory_is_written_and_read() -> None:
    body = """(drop (call $stable64_grow (i64.const 1)))
      (call $stable64_write (i64.const 65533) (i64.const 0) (i64.const 3))
      (call $stable_read (i32.const 8) (i32.const 65532) (i32.const 4))"""
    assert answered(body, 12, data="abc") == b"abc" + bytes(6) + b"abc"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("(call $stable64_write (i64.const 65534) (i64.const 0) (i64.const 3))", "stable memory out of bounds"),
        ("(call $stable64_read (i64.const 0) (i64.const -1) (i64.const 2))", "stable memory out of bounds"),
        ("(call $stable64_write (i64.const 0) (i64.const 65534) (i64.const 3))", "heap out of bounds"),
        ("(call $stable64_read (i64.const 65534) (i64.const 0) (i64.const 3))", "heap out of bounds"),
    ],
)
def test_stable_memory_has_bounds(call: str, message: str) -> None:
    assert message in refused(f"(drop (call $stable_grow (i32.const 1))) {call}")


def test_the_32_bit_functions_stop_at_4_gib() -> None:
    body = """(if (i32.ne (call $stable_grow (i32.const 65537)) (i32.const -1)) (then unreachable))
      (drop (call $stable64_grow (i64.const 65537))) (drop (call $stable_size))"""
    assert "larger than 4 GiB" in refused(body)


# --- prices and variables ---


def test_prices_are_told() -> None:
    body = """(call $cost_call (i64.const 4) (i64.const 6) (i32.const 0)) (call $cost_create_canister (i32.const 16))
      (call $cost_http_request (i64.const 10) (i64.const 100) (i32.const 32))"""
    fields: dict[str, Any] = {
        "call_cost": (1000, 3),
        "create_canister_cost": 1 << 65,
        "http_request_cost": (1, 20, 300),
    }
    assert cycles(answered(body, 48, **fields)) == [1030, 1 << 65, 1 + 200 + 30_000]


@pytest.mark.parametrize(
    ("function", "algorithm", "expected"),
    [
        ("cost_sign_with_ecdsa", 0, 2),
        ("cost_sign_with_ecdsa", 1, 1),
        ("cost_sign_with_schnorr", 1, 2),
        ("cost_sign_with_schnorr", 2, 1),
        ("cost_vetkd_derive_key", 0, 2),
    ],
)
def test_a_subnet_without_threshold_keys_knows_no_key(function: str, algorithm: int, expected: int) -> None:
    call = f"(call ${function} (i32.const 0) (i32.const 3) (i32.const {algorithm}) (i32.const 0))"
    assert answered(f"(i32.store8 (i32.const 9) {call})", 10, data="key")[9] == expected


def test_environment_variables_are_listed_and_looked_up() -> None:
    body = """(i32.store8 (i32.const 16) (call $env_var_count))
      (call $env_var_name_copy (i32.const 1) (i32.const 20) (i32.const 0) (call $env_var_name_size (i32.const 1)))
      (i32.store8 (i32.const 17) (call $env_var_name_exists (i32.const 0) (i32.const 3)))
      (i32.store8 (i32.const 18) (call $env_var_name_exists (i32.const 0) (i32.const 2)))
      (call $env_var_value_copy (i32.const 0) (i32.const 3) (i32.const 24) (i32.const 0)
        (call $env_var_value_size (i32.const 0) (i32.const 3)))"""
    variables = (("abc", "value"), ("two", "2"))
    assert answered(body, 29, data="abc", environment_variables=variables)[16:] == b"\2\1\0\0two\0value"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("(drop (call $env_var_name_size (i32.const 1)))", "there is no variable 1, only 1"),
        ("(drop (call $env_var_value_size (i32.const 0) (i32.const 2)))", "no environment variable 'ab'"),
        ("(drop (call $env_var_name_exists (i32.const 0) (i32.const 129)))", "129 bytes, at most 128"),
    ],
)
def test_unknown_variables_trap(call: str, message: str) -> None:
    assert message in refused(call, data="abc", environment_variables=(("abc", "1"),))


def test_equal_executions_have_equal_outcomes() -> None:
    def run() -> Outcome:
        wat = module(update(f"{NEW_CALL} {PERFORM.format(0)} (i64.store (i32.const 0) (call $time))" + answer(8)))
        instance = Instance(engine(), engine().compile(assembled(wat)), StableMemory())
        outcome = instance.execute(Entry.UPDATE, env("x"), instruction_limit=BILLION)
        instance.close()
        return outcome

    assert run() == run()
