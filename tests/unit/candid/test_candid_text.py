from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError, ParseError
from canister_factory.candid.principal import Principal
from canister_factory.candid.subtyping import is_subtype
from canister_factory.candid.text import parse_args
from canister_factory.candid.text_form import format_args
from canister_factory.candid.types import (
    BLOB,
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    INT,
    NAT,
    NAT8,
    NAT32,
    NAT64,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Opt,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    tuple_type,
)
from canister_factory.candid.values import Case, FuncRef, Some
from support.candid_strategies import TYPES, values_of

CONFIG = Record({"name": Opt(TEXT), "subnet_id": Opt(PRINCIPAL), "limit": NAT64})


def has_infinity(value: Any) -> bool:
    if isinstance(value, float):
        return math.isinf(value)
    if isinstance(value, (Some, Case)):
        return has_infinity(value.value)
    return isinstance(value, (list, tuple, dict)) and any(
        has_infinity(v) for v in (value.values() if isinstance(value, dict) else value)
    )


@settings(deadline=None)
@given(st.data())
def test_what_is_written_is_read_back(data: st.DataObject) -> None:
    types = data.draw(st.lists(TYPES, max_size=3))
    values = [data.draw(values_of(t)) for t in types]
    if has_infinity(values):
        return
    text = format_args(types, values)
    assert parse_args(text, types) == (tuple(types), tuple(values))


@pytest.mark.parametrize(
    ("types", "values", "text"),
    [
        ([NAT, TEXT], [1, "x"], '(1 : nat, "x")'),
        ([INT, FLOAT64, FLOAT32], [-5, 0.5, 0.10000000149011612], "(-5, 0.5, 0.1 : float32)"),
        ([BLOB], [b'\x00\xffA"\\'], '(blob "\\00\\ffA\\22\\5c")'),
        (
            [Opt(NAT8), Opt(Opt(NAT8)), Opt(TEXT)],
            [5, Some(None), "a : nat8"],
            '(opt (5 : nat8), opt null, opt "a : nat8")',
        ),
        ([Vec(INT), Vec(INT)], [[1, 2], []], "(vec { 1; 2 }, vec {})"),
        ([CONFIG], [{"name": None, "limit": 7}], "(record { subnet_id = null; name = null; limit = 7 : nat64 })"),
        ([tuple_type(INT, BOOL)], [(1, True)], "(record { 1; true })"),
        ([Variant({"Ok": NULL, "a b": INT})], [Case("Ok")], "(variant { Ok })"),
        ([Variant({"Ok": NULL, "a b": INT})], [Case("a b", 5)], '(variant { "a b" = 5 })'),
        ([PRINCIPAL, Service({})], [Principal(), Principal()], '(principal "aaaaa-aa", service "aaaaa-aa")'),
        ([Func()], [FuncRef(Principal(), "query")], '(func "aaaaa-aa"."query")'),
        ([NULL, RESERVED], [None, None], "(null, null : reserved)"),
        ([TEXT], ['a"\\\n\t\u200b☃'], '("a\\"\\\\\\n\\t\\u{200b}☃")'),
        ([], [], "()"),
    ],
)
def test_values_read_as_candid(types: list[Type], values: list[Any], text: str) -> None:
    assert format_args(types, values) == text


def test_types_come_from_values_and_annotations() -> None:
    args = parse_args(
        '(1 : nat, "x", record { a = opt principal "aaaaa-aa" }, blob "\\00\\ff", variant { Ok = 5 }, vec {1;2}, 0xf_f)'
    )
    assert args.types == (NAT, TEXT, Record({"a": Opt(PRINCIPAL)}), BLOB, Variant({"Ok": INT}), Vec(INT), INT)
    assert args.values == (1, "x", {"a": Principal()}, b"\x00\xff", Case("Ok", 5), [1, 2], 255)
    assert encode(*args).startswith(b"DIDL")


@pytest.mark.parametrize(
    ("text", "t", "value"),
    [
        ("1_000_000", NAT64, 1_000_000),
        ("-1_0", INT, -10),
        ("0xFF_ff", NAT32, 65535),
        ("5", FLOAT64, 5.0),
        ("1.5e-3", FLOAT64, 0.0015),
        ("1.", FLOAT64, 1.0),
        ("0x1.8p1", FLOAT64, 3.0),
        ("0.1", FLOAT32, 0.10000000149011612),
        ("5", Opt(NAT), 5),
        ("opt 5", Opt(NAT), 5),
        ("null", Opt(NAT), None),
        ("5", Opt(Opt(NAT)), Some(5)),
        ("opt null", Opt(Opt(NAT)), Some(None)),
        ("(5 : nat)", INT, 5),
        ("((5))", NAT, 5),
        ("vec { 1; 255 }", BLOB, b"\x01\xff"),
        ("vec {}", Vec(TEXT), []),
        ("record { limit = 5 }", CONFIG, {"name": None, "subnet_id": None, "limit": 5}),
        ('record { 1; "x" }', tuple_type(NAT, TEXT), (1, "x")),
        ('record { 1 = "x"; 0 = 1; }', tuple_type(NAT, TEXT), (1, "x")),
        ('variant { 17724 = "x" }', Variant({"Ok": TEXT}), Case("Ok", "x")),
        ("variant { Ok }", Variant({"Ok": Opt(TEXT)}), Case("Ok", None)),
        ('service "aaaaa-aa"', PRINCIPAL, Principal()),
        ('"a\\u{2603}\\e2\\98\\83\\n\\\'"', TEXT, "a☃☃\n'"),
        ("record { anything = 1 }", RESERVED, None),
        ('"new\nline"', TEXT, "new\nline"),
    ],
)
def test_values_are_read_at_an_expected_type(text: str, t: Type, value: Any) -> None:
    assert parse_args(f"({text})", [t]).values == (value,)


@pytest.mark.parametrize(
    ("text", "t"),
    [
        ("vec { 1; null; opt 2 }", Vec(Opt(INT))),
        ("vec { variant { a }; variant { b = 1 } }", Vec(Variant({"a": NULL, "b": INT}))),
        ("vec { record { a = null }; record { a = 1 } }", Vec(Record({"a": Opt(INT)}))),
        ('vec { vec {}; vec { "x" } }', Vec(Vec(TEXT))),
        ("vec {}", Vec(EMPTY)),
        ("vec { null; null }", Vec(NULL)),
        ('func "aaaaa-aa".m', Func()),
        ("true", BOOL),
    ],
)
def test_elements_of_a_vector_get_one_type(text: str, t: Type) -> None:
    args = parse_args(f"({text})")
    assert args.types == (t,)
    encode(*args)


@pytest.mark.parametrize(
    ("text", "types", "message"),
    [
        ("(1, 2", None, "1:6: the text ends too early"),
        ("1", None, "1:1: unexpected '1'"),
        ("(\n  vec { 1;\n  true })", None, "3:3: vector elements of types int and bool; annotate them"),
        ("(256)", [NAT8], "1:2: nat8 ranges from 0 to 255, got 256"),
        ("(-1)", [NAT], "1:2: a nat is at least 0"),
        ("(1.5)", [NAT], "1:2: expected nat, got a float"),
        ("(1e400)", [FLOAT64], "1:2: the number is too large for float64"),
        ("(1e39)", [FLOAT32], "1:2: the number is too large for float32"),
        ("(1 : text)", None, "1:2: expected text, got an integer"),
        ("(5 : nat8)", [NAT], "1:2: expected nat, got a value annotated as nat8"),
        ("(5 : Memory)", None, "1:6: type Memory is not defined"),
        ("(record { limitt = 1; limit = 2 })", [CONFIG], "1:2: unknown field limitt; expected record"),
        ("(record {})", [CONFIG], "1:2: field limit of type nat64 is missing"),
        ("(record { a = 1; a = 2 })", None, "1:18: label a is used twice"),
        ("(variant { Maybe })", [Variant({"Yes": NULL})], "1:2: unknown case Maybe; expected variant { Yes }"),
        ("(variant { Yes })", [Variant({"Yes": NAT})], "1:2: case Yes needs a value of type nat"),
        ("(variant {})", None, "1:11: unexpected '}'"),
        ("(1, 2)", [NAT], "1:5: expected 1 argument(s), got 2"),
        ("()", [NAT], "argument 0 of type nat is missing"),
        ('(principal "aaaaa-ab")', None, "1:12: 'aaaaa-ab' is not the canonical form"),
        ('("\\q")', None, "1:2: wrong escape"),
        ('("\\u{110000}")', None, "1:2: wrong escape"),
        ('("\\ff")', None, "1:2: the string is not UTF-8"),
        ("(" + "9" * 5000 + ")", [NAT], "a number of 5000 digits is too long; write it in hexadecimal"),
        ("(" + "opt " * 5000 + "1)", None, "values are nested too deeply"),
    ],
)
def test_mistakes_are_reported_with_line_and_column(text: str, types: list[Type] | None, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_args(text, types)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(record { opt = 1 })", '1:11: opt is a word of the language; as a name it is quoted: "opt"'),
        ("(record { a = 1; vec = 2 })", "1:18: vec is a word of the language"),
        ("(record { null = 1 })", "1:11: null is a word of the language"),
        ("(record { principal = 1 })", "1:11: principal is a word of the language"),
        ("(record {\n\ttype = 1 })", "2:2: type is a word of the language"),
        ("(variant { service = 1 })", "1:12: service is a word of the language"),
        ('(func "aaaaa-aa".query)', '1:18: query is a word of the language; as a name it is quoted: "query"'),
        ("(hello)", "1:2: unexpected 'hello'; a text is quoted: \"hello\""),
        ("(vec { a; b })", "1:8: unexpected 'a'; a text is quoted: \"a\""),
        ("(record { hello })", "1:11: after the name hello comes '='; a text is quoted: \"hello\""),
        ("(record { /* opt = */ hello /* opt */ })", "1:23: after the name hello comes '='"),
    ],
)
def test_words_that_the_official_parser_refuses_are_refused_with_a_hint(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_args(text)
    assert message in str(caught.value)


def test_names_of_types_are_names_of_fields_as_in_the_official_parser() -> None:
    named = parse_args('(record { text = "x"; nat = 1; bool = true; empty = 2; reserved = 3; "opt" = 4; option = 5 })')
    assert named.values[0] == {"text": "x", "nat": 1, "bool": True, "empty": 2, "reserved": 3, "opt": 4, "option": 5}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5", (5,)),
        ('"a", true', ("a", True)),
        (" ( 5 ) ", (5,)),
        ("/* why */ (5)", (5,)),
        ("// why\n5", (5,)),
        ("", ()),
        (" \n", ()),
    ],
)
def test_parentheses_may_be_left_out_where_the_caller_says_so(text: str, values: tuple[Any, ...]) -> None:
    assert parse_args(text, bare=True).values == values


@pytest.mark.parametrize(
    ("text", "place"),
    [("hello", (1, 1)), ("  hello", (1, 3)), ("\n\thello", (2, 2)), ("\n (1,\n  hello)", (3, 3)), ("1,\t x", (1, 5))],
)
def test_columns_count_the_characters_that_were_typed(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(ParseError) as caught:
        parse_args(text, bare=True)
    assert (caught.value.line, caught.value.column) == place


def test_missing_optional_arguments_are_null_and_unknown_fields_can_be_dropped() -> None:
    assert parse_args("()", [Opt(NAT), NULL]).values == (None, None)
    args = parse_args("(record { limit = 5; other = vec { 1 } })", [CONFIG], ignore_unknown_fields=True)
    assert args.values[0]["limit"] == 5


def test_very_long_numbers_are_written_in_full() -> None:
    number = 10**6000 + 7
    assert format_args([INT], [number]) == f"(1{'0' * 5999}7)"
    assert format_args([INT], [-number]) == f"(-1{'0' * 5999}7)"


def test_only_fitting_values_are_written() -> None:
    with pytest.raises(EncodeError, match="argument 0: expected int"):
        format_args([NAT], ["5"])


@settings(deadline=None)
@given(st.text(alphabet='(){}=;:,"\\0129-.xe optvecrdianulbs\n', max_size=60))
@example("(0x)")
@example('("\\u{}")')
def test_any_text_is_read_or_refused_with_a_parse_error(text: str) -> None:
    try:
        args = parse_args(text)
    except ParseError:
        return
    encode(*args)
    assert all(is_subtype(t, t) for t in args.types)
