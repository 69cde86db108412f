"""Candid values as JSON: nothing is lost, so every value can be read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError
from canister_factory.candid.json_form import MAX_SAFE_INTEGER, exact, label_key, to_json
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import (
    BLOB,
    FLOAT32,
    FLOAT64,
    INT,
    INT64,
    NAT,
    NAT8,
    NAT32,
    NAT64,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Named,
    Opt,
    Primitive,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    is_blob,
    is_nullable,
    resolve,
    tuple_type,
)
from canister_factory.candid.values import Case, FuncRef, Some
from support.candid_strategies import TYPES, values_of


def read(t: Type, form: Any) -> Any:
    """The value that a JSON form is of: the inverse of `to_json`."""
    t = resolve(t)
    match t:
        case Primitive() if t is PRINCIPAL:
            return Principal.from_str(form)
        case Primitive() if t in (FLOAT32, FLOAT64):
            return float(form)
        case Primitive():
            return int(form) if t in (NAT, INT, NAT64, INT64) else form
        case Opt() if form is None:
            return None
        case Opt():
            return Some(read(t.inner, form[0])) if is_nullable(t.inner) else read(t.inner, form)
        case Vec():
            return bytes.fromhex(form) if is_blob(t) else [read(t.inner, item) for item in form]
        case Record() if t.is_tuple:
            return tuple(read(f.type, item) for f, item in zip(t.fields, form, strict=True))
        case Record():
            assert len(form) == len(t.fields)
            return {f.label: read(f.type, form[label_key(f.label)]) for f in t.fields}
        case Variant():
            ((key, content),) = form.items()
            (case,) = (f for f in t.fields if label_key(f.label) == key)
            return Case(case.label, read(case.type, content))
        case Service():
            return Principal.from_str(form)
    return FuncRef(Principal.from_str(form["service"]), form["method"])


@settings(deadline=None)
@given(st.data())
def test_every_value_can_be_read_back_from_its_json(data: st.DataObject) -> None:
    t = data.draw(TYPES)
    value = data.draw(values_of(t))
    text = json.dumps(exact(to_json(t, value)), allow_nan=False)
    again = read(t, json.loads(text))
    assert again == value
    assert encode([t], [again]) == encode([t], [value])  # tells -0.0 from 0.0 as well


@pytest.mark.parametrize(
    ("t", "value", "form"),
    [
        (NAT, 2**64, "18446744073709551616"),
        (NAT64, 5, "5"),
        (INT, -1, "-1"),
        (INT64, 0, "0"),
        (NAT32, 2**32 - 1, 4294967295),
        (FLOAT64, 0.5, 0.5),
        (FLOAT64, float("nan"), "NaN"),
        (FLOAT64, float("-inf"), "-Infinity"),
        (FLOAT32, float("inf"), "Infinity"),
        (TEXT, "5", "5"),
        (BLOB, b"\x00\xff", "00ff"),
        (Vec(NAT), [1], ["1"]),
        (NULL, None, None),
        (RESERVED, None, None),
        (Opt(NAT8), None, None),
        (Opt(NAT8), 5, 5),
        (Opt(Opt(NAT8)), Some(None), [None]),
        (Opt(Opt(NAT8)), Some(5), [5]),
        (Opt(Vec(NAT8)), b"", ""),
        (tuple_type(NAT8, TEXT), (1, "x"), [1, "x"]),
        (Variant({"Ok": NULL, "Err": TEXT}), Case("Ok"), {"Ok": None}),
        (Variant({7: TEXT}), Case(7, "x"), {"_7_": "x"}),
        (Service({}), Principal(), "aaaaa-aa"),
        (Func(), FuncRef(Principal(), "m"), {"service": "aaaaa-aa", "method": "m"}),
    ],
)
def test_values_read_as_documented(t: Type, value: Any, form: Any) -> None:
    assert to_json(t, value) == form


def test_labels_that_collide_as_text_are_both_there() -> None:
    labels: list[str | int] = [1, "1", "_1_", "__1_", "_1", "a"]
    form = to_json(Record(dict.fromkeys(labels, TEXT)), {label: f"of {label!r}" for label in labels})
    assert form == {
        "_1_": "of 1",
        "1": "of '1'",
        "__1_": "of '_1_'",
        "___1_": "of '__1_'",
        "_1": "of '_1'",
        "a": "of 'a'",
    }


@given(st.lists(st.integers(0, 2**32 - 1) | st.from_regex(r"_{0,3}[0-9]{0,2}_{0,2}", fullmatch=True), unique=True))
@example([1, "_1_"])
def test_labels_that_differ_have_keys_that_differ(labels: list[str | int]) -> None:
    assert len({label_key(label) for label in labels}) == len(labels)


def test_integers_beyond_what_float64_holds_are_text_wherever_they_are() -> None:
    plain = {"safe": MAX_SAFE_INTEGER, "more": [2**53, {"deep": -(2**53)}], "yes": True, "far": 10**5000, "nan": 1e999}
    assert exact(plain) == {
        "safe": 9007199254740991,
        "more": ["9007199254740992", {"deep": "-9007199254740992"}],
        "yes": True,
        "far": "1" + "0" * 5000,
        "nan": "Infinity",
    }


def test_values_nested_too_deeply_are_an_error_that_callers_can_show_otherwise() -> None:
    chain = Named("Chain")
    chain.define(Opt(chain))
    value: Any = None
    for _ in range(5000):
        value = Some(value)
    with pytest.raises(EncodeError, match="nested too deeply"):
        to_json(chain, value)
