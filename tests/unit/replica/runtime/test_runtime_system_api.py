"""The system API against its specification: signatures and modes from a table of its own, then behaviour."""

from collections.abc import Collection
from typing import Any

import pytest

from canister_factory.replica.runtime.execution import Callback, Entry, RejectCode, Response
from canister_factory.replica.runtime.host_interface import MODE_NAMES
from canister_factory.replica.runtime.system_api import HOST_FUNCTIONS
from support.runtime_harness import CALLER, CANISTER_ID, Canister, assembled, engine, failure, le64, reply
from support.system_api_modules import KNOWN, SPECIFICATION, answer, answered, module, refused, update

EVERYWHERE = "I G U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F T"


def called_with_zeroes(name: str, pointer: str = "i32") -> str:
    parameters, result, _ = KNOWN[name]
    arguments = "".join(f" ({pointer if t == 'I' else t}.const 0)" for t in parameters.split())
    call = f"(call ${name}{arguments})"
    return f"(drop {call})" if result else call


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
    "TQ": (Entry.QUERY, {"in_replicated_execution": False, "transforms": True}),
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


@pytest.mark.parametrize(("start", "size"), [(65535, 2), (-1, 1), (0, -1), (65536, 1)])
def test_printing_beyond_the_memory_prints_that_and_goes_on(start: int, size: int) -> None:
    body = f"(call $debug_print (i32.const {start}) (i32.const {size})) (call $msg_reply)"
    with Canister(module(update(body))) as canister:
        outcome = canister.update("x")
        assert outcome.error is None
        assert outcome.log == ["(debug_print: the text lies beyond the memory)"]


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
    assert 200 < first < 250
    assert later == first + 1000
