from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canister_factory.candid import leb128
from canister_factory.candid.decoding import DecodeLimits, decode, decode_untyped
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError, DecodeError, LimitExceededError, MismatchError
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import (
    BLOB,
    BOOL,
    INT,
    NAT,
    NAT8,
    NAT16,
    NAT64,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Named,
    Opt,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    tuple_type,
)
from canister_factory.candid.values import Case, FuncRef, Some
from support.candid_strategies import LIST, TYPES, values_of

STATUS = Variant({"Active": NULL, "Failed": TEXT})
WIDER_STATUS = Variant({"Active": NULL, "Failed": TEXT, "Expired": NAT})


def recode(sub: Type, value: Any, sup: Type) -> Any:
    (result,) = decode(encode([sub], [value]), [sup])
    return result


@pytest.mark.parametrize(
    ("sub", "value", "sup", "expected"),
    [
        (NAT, 5, INT, 5),
        (NAT, 5, Opt(INT), 5),
        (NAT, 5, Opt(Opt(INT)), Some(5)),
        (NULL, None, Opt(NAT), None),
        (Opt(NAT), 5, Opt(TEXT), None),
        (Opt(Opt(NAT)), Some(5), Opt(NAT), None),
        (Opt(Opt(NAT)), Some(5), Opt(Opt(TEXT)), Some(None)),
        (RESERVED, None, Opt(NAT), None),
        (TEXT, "x", RESERVED, None),
        (Vec(NAT), [], Vec(TEXT), []),
        (Vec(NAT), [], BLOB, b""),
        (BLOB, b"ab", Vec(Opt(NAT8)), [97, 98]),
        (Vec(NULL), [None, None], Vec(Opt(NAT)), [None, None]),
        (Record({"a": NAT, "b": TEXT}), {"a": 1, "b": "x"}, Record({"b": TEXT}), {"b": "x"}),
        (
            Record({"a": NAT}),
            {"a": 1},
            Record({"a": INT, "b": Opt(TEXT), "c": RESERVED}),
            {"a": 1, "b": None, "c": None},
        ),
        (tuple_type(NAT, TEXT), (1, "x"), tuple_type(INT), (1,)),
        (tuple_type(NAT), (1,), tuple_type(NAT, Opt(TEXT)), (1, None)),
        (Record({"a": NAT}), {"a": 1}, Record({}), {}),
        (STATUS, Case("Failed", "x"), WIDER_STATUS, Case("Failed", "x")),
        (WIDER_STATUS, Case("Failed", "x"), STATUS, Case("Failed", "x")),
        (WIDER_STATUS, Case("Expired", 5), Opt(STATUS), None),
        (Vec(WIDER_STATUS), [Case("Expired", 5), Case("Active")], Vec(Opt(STATUS)), [None, Case("Active")]),
        (Opt(Vec(WIDER_STATUS)), [Case("Active"), Case("Expired", 5)], Opt(Vec(STATUS)), None),
        (Service({}), Principal(b"x"), PRINCIPAL, Principal(b"x")),
        (Func([], [NAT]), FuncRef(Principal(), "m"), Opt(Func([], [INT])), FuncRef(Principal(), "m")),
        (Func([], [INT]), FuncRef(Principal(), "m"), Opt(Func([], [NAT])), None),
    ],
)
def test_values_are_coerced_to_supertypes(sub: Type, value: Any, sup: Type, expected: Any) -> None:
    assert recode(sub, value, sup) == expected


def test_data_behind_a_mismatching_option_are_still_read() -> None:
    message = encode([Opt(Vec(WIDER_STATUS)), TEXT], [[Case("Failed", "x"), Case("Expired", 5)], "after"])
    assert decode(message, [Opt(Vec(STATUS)), TEXT]) == (None, "after")


def test_numbers_come_as_lists_of_numbers() -> None:
    assert recode(Vec(NAT16), [1, 65535], Vec(NAT16)) == [1, 65535]
    assert recode(Vec(BOOL), [True, False], Vec(BOOL)) == [True, False]


def test_missing_and_extra_arguments() -> None:
    message = encode([NAT, TEXT], [1, "x"])
    assert decode(message, [NAT]) == (1,)
    assert decode(message, [NAT, TEXT, Opt(NAT), NULL, RESERVED]) == (1, "x", None, None, None)
    with pytest.raises(DecodeError, match="argument 2 of type nat is missing"):
        decode(message, [NAT, TEXT, NAT])


@pytest.mark.parametrize(
    ("sub", "value", "sup", "message"),
    [
        (TEXT, "x", NAT, "argument 0: expected nat, the message has text"),
        (
            Record({"a": Vec(INT)}),
            {"a": [1]},
            Record({"a": Vec(NAT)}),
            "argument 0.a[0]: expected nat, the message has int",
        ),
        (Record({}), {}, Record({"a": NAT}), "argument 0: field a of type nat is missing"),
        (WIDER_STATUS, Case("Expired", 1), STATUS, "is not among the expected: "),
        (Service({}), Principal(), Service({"m": Func()}), "argument 0: method m is missing"),
    ],
)
def test_a_mismatch_leads_to_the_value(sub: Type, value: Any, sup: Type, message: str) -> None:
    with pytest.raises(MismatchError) as caught:
        recode(sub, value, sup)
    assert message in str(caught.value)


def test_a_malformed_value_is_refused_even_where_nobody_wants_it() -> None:
    message = bytearray(encode([Record({"a": BOOL, "b": TEXT})], [{"a": True, "b": "x"}]))
    message[-3] = 2
    for wanted in ([], [RESERVED], [Opt(NAT)], [Record({"b": TEXT})]):
        with pytest.raises(DecodeError, match="a bool is 0 or 1"):
            decode(bytes(message), wanted)


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(DecodeError, match=r"2 byte\(s\) follow the last argument"):
        decode(encode([NAT], [1]) + b"xx", [NAT])


def test_a_known_header_does_not_hide_a_longer_one() -> None:
    short = encode([Opt(NAT)], [5])
    long = encode([Opt(NAT), Opt(NAT)], [5, 6])
    for _ in range(3):
        assert decode(short, [Opt(NAT)]) == (5,)
        assert decode(long, [Opt(NAT)]) == (5,)


def test_values_of_later_candid_versions_are_skipped() -> None:
    # One table entry with the unknown opcode -25 and no data; its value: 5 bytes, no references.
    message = b"DIDL\x01\x67\x00\x02\x00\x7e\x05\x00hello\x01"
    assert decode(message, [Opt(NAT), BOOL]) == (None, True)
    assert decode(message, [RESERVED, BOOL]) == (None, True)
    assert decode_untyped(message)[1] == (None, True)
    with pytest.raises(MismatchError):
        decode(message, [NAT, BOOL])


def test_only_bytes_are_decoded() -> None:
    with pytest.raises(TypeError):
        decode(5, [])  # type: ignore[arg-type]


# What a hostile message may cost.


def test_large_ordinary_messages_pass_the_default_limits() -> None:
    memory = Record({"id": TEXT, "status": STATUS, "nothing": NULL, "note": Opt(TEXT), "tags": Vec(TEXT)})
    common: dict[str, Any] = {"status": Case("Active"), "nothing": None, "note": None, "tags": []}
    values = [{"id": f"memory {i:06}", **common} for i in range(100_000)]
    message = encode([Vec(memory)], [values])
    assert len(message) > 1_500_000
    assert decode(message, [Vec(memory)])[0] == values
    assert decode(message, []) == ()
    assert decode(message, [Opt(Vec(Record({"absent": NAT})))]) == (None,)


def test_a_record_more_costs_a_few_steps_more(count_calls: Callable[[Callable[[], object]], int]) -> None:
    t = Vec(Record({"name": TEXT, "size": NAT64, "data": BLOB}))
    message = encode([t], [[{"name": f"name {i}", "size": i, "data": b"x" * 30} for i in range(10_000)]])
    assert count_calls(lambda: decode(message, [t])) < 10_000 * 25


def nested_table(levels: int, opcode: bytes, leaf: bytes) -> bytes:
    """A table in which each entry contains the one before it, and the first one the leaf."""
    entries = [opcode + leaf, *(opcode + leb128.signed(i) for i in range(levels - 1))]
    return b"DIDL" + leb128.unsigned(levels) + b"".join(entries)


@pytest.mark.parametrize("levels", [500, 30_000])
@pytest.mark.parametrize("opcode", [b"\x6e", b"\x6d", b"\x6c\x01\x00"], ids=["opt", "vec", "record"])
def test_deeply_nested_types_never_overflow_the_stack(levels: int, opcode: bytes) -> None:
    message = nested_table(levels, opcode, b"\x7f") + b"\x01" + leb128.signed(levels - 1) + b"\x01" * levels
    for wanted in ([], [RESERVED], [Opt(NAT)], [LIST]):
        with pytest.raises(DecodeError):
            decode(message, wanted)
    with pytest.raises(DecodeError):
        decode_untyped(message)


def test_deeply_nested_values_are_refused_by_the_depth_limit() -> None:
    value: Any = None
    for i in range(200):
        value = {"head": i, "tail": value}
    message = encode([LIST], [value])
    assert decode(message, [LIST]) == (value,)
    with pytest.raises(LimitExceededError, match=r"more than 100 nested values \(DecodeLimits.max_depth\)"):
        decode(message, [LIST], DecodeLimits(max_depth=100))
    # DIDL, table {opt 0}, then a hundred thousand times "present".
    with pytest.raises(LimitExceededError, match="max_depth"):
        decode(b"DIDL\x01\x6e\x00\x01\x00" + b"\x01" * 100_000 + b"\x00", [])


def test_records_that_nest_without_bytes_are_paid_for() -> None:
    # A vector of records, 200 levels deep, with one byte at the bottom.
    levels = 200
    table = nested_table(levels, b"\x6c\x01\x00", b"\x7e")[4 + 2 :]
    head = b"DIDL" + leb128.unsigned(levels + 1) + table + b"\x6d" + leb128.signed(levels - 1)
    message = head + b"\x01" + leb128.signed(levels) + leb128.unsigned(1_000_000) + bytes(1_000_000)
    decoders: list[Callable[[], object]] = [lambda: decode(message, []), lambda: decode_untyped(message)]
    for decoder in decoders:
        with pytest.raises(LimitExceededError, match=r"max_skipped_values|max_values"):
            decoder()


def test_fields_that_the_message_lacks_are_paid_for() -> None:
    wide = Record({f"field{i}": Opt(NAT) for i in range(100)})
    message = encode([Vec(Record({"a": NAT8}))], [[{"a": 1}] * 50_000])
    with pytest.raises(LimitExceededError, match="max_values"):
        decode(message, [Vec(wide)])


def test_limits_can_be_raised_for_one_call() -> None:
    message = encode([Vec(NULL)], [[None] * 1000])
    assert len(decode(message, [Vec(NULL)])[0]) == 1000
    with pytest.raises(LimitExceededError, match="more than 999 values that take no bytes"):
        decode(message, [Vec(NULL)], DecodeLimits(max_zero_sized_values=999))
    with pytest.raises(LimitExceededError, match="limit of 5 bytes"):
        decode(message, [Vec(NULL)], DecodeLimits(max_type_bytes=5))


def test_a_huge_number_in_a_message_is_read_and_refused_without_being_printed() -> None:
    huge = leb128.unsigned(1 << 100_000)
    assert decode(b"DIDL\x00\x01\x7d" + huge, [NAT]) == (1 << 100_000,)
    for message in (b"DIDL" + huge, b"DIDL\x01" + huge, b"DIDL\x01\x6e" + huge, b"DIDL\x00\x01\x71" + huge):
        with pytest.raises(DecodeError):
            decode(message, [TEXT])


def test_messages_are_decoded_in_several_threads_at_once() -> None:
    types = [Record({f"field{i}": NAT for i in range(n)}) for n in range(40)]
    messages = [encode([t], [{f.label: f.id for f in t.fields}]) for t in types]

    def work(start: int) -> bool:
        return all(
            decode(messages[i], [types[i]])[0] == {f.label: f.id for f in types[i].fields}
            for i in [(start + k) % 40 for k in range(200)]
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


WANTED = [
    [],
    [RESERVED],
    [LIST],
    [Opt(Record({"id": TEXT, "tail": LIST}))],
    [Vec(Opt(WIDER_STATUS)), BLOB],
    [tuple_type(NAT, INT), Func(), Service({"get": Func([LIST], [TEXT])})],
]


def refuses_cleanly(message: bytes, types: list[Type]) -> None:
    with suppress(CandidError):
        decode(message, types)


@settings(deadline=None)
@given(st.binary(max_size=80), st.sampled_from(WANTED))
@example(b"\x01\x6d\x00\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", [])
def test_any_bytes_are_decoded_or_refused_with_a_candid_error(tail: bytes, types: list[Type]) -> None:
    refuses_cleanly(b"DIDL" + tail, types)
    refuses_cleanly(tail, types)
    with suppress(CandidError):
        decode_untyped(b"DIDL" + tail)


@st.composite
def mutated_messages(draw: st.DrawFn) -> tuple[bytes, list[Type]]:
    types = draw(st.lists(TYPES, min_size=1, max_size=2))
    message = bytearray(encode(types, [draw(values_of(t)) for t in types]))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(4, len(message)))
        how = draw(st.sampled_from(["set", "insert", "delete"]))
        if how == "insert" or at == len(message):
            message.insert(at, draw(st.integers(0, 255)))
        elif how == "set":
            message[at] = draw(st.integers(0, 255))
        else:
            del message[at]
    return bytes(message), types


@given(mutated_messages(), st.sampled_from(WANTED))
@settings(max_examples=300, deadline=None)
def test_damaged_messages_are_decoded_or_refused_with_a_candid_error(
    case: tuple[bytes, list[Type]], others: list[Type]
) -> None:
    message, types = case
    refuses_cleanly(message, types)
    refuses_cleanly(message, others)


def test_a_named_reference_works_as_expected_type() -> None:
    name = Named("Status")
    name.define(STATUS)
    assert recode(STATUS, Case("Active"), name) == Case("Active")
