from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.candid.decoding import decode, decode_untyped
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError
from canister_factory.candid.principal import Principal
from canister_factory.candid.subtyping import types_equal
from canister_factory.candid.types import (
    BLOB,
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    INT,
    INT8,
    NAT,
    NAT8,
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
from support.candid_strategies import TYPES, values_of


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[list[Type], list[Any]]:
    types = draw(st.lists(TYPES, max_size=3))
    return types, [draw(values_of(t)) for t in types]


@settings(deadline=None)
@given(typed_values())
def test_every_value_comes_back_as_it_was(case: tuple[list[Type], list[Any]]) -> None:
    types, values = case
    message = encode(types, values)
    assert decode(message, types) == tuple(values)
    assert decode(memoryview(message), types) == tuple(values)


@settings(deadline=None)
@given(typed_values())
def test_messages_describe_themselves(case: tuple[list[Type], list[Any]]) -> None:
    types, values = case
    message = encode(types, values)
    wire_types, wire_values = decode_untyped(message)
    assert all(types_equal(w, t) for w, t in zip(wire_types, types, strict=True))
    assert encode(wire_types, wire_values) == message


def test_a_known_message() -> None:
    message = encode([Record({"foo": INT, "bar": BOOL})], [{"foo": 42, "bar": True}])
    assert message.hex() == "4449444c016c02d3e3aa027e868eb7027c0100012a"


def test_equal_types_share_one_entry_also_when_recursive() -> None:
    first, second = Named("A"), Named("B")
    first.define(Opt(Record({"head": INT, "tail": first})))
    second.define(Opt(Record({"head": INT, "tail": Opt(Record({"head": INT, "tail": second}))})))
    alone = encode([first], [None])
    both = encode([first, second, Opt(Record({"head": INT, "tail": second}))], [None, None, None])
    assert alone[4] == both[4] == 2


def test_blobs_may_be_any_kind_of_bytes() -> None:
    expected = encode([BLOB], [b"abcd"])
    for value in (bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"a_b_c_d_")[::2], [97, 98, 99, 100]):
        assert encode([BLOB], [value]) == expected


@pytest.mark.parametrize(
    ("t", "value"),
    [(BLOB, bytes(1_900_000)), (Opt(BLOB), bytes(1_900_000)), (Record({"a": BLOB}), {"a": bytes(1_900_000)})],
    ids=["blob", "opt blob", "record"],
)
def test_big_blobs_take_no_more_steps_than_small_ones(
    t: Type, value: Any, count_calls: Callable[[Callable[[], object]], int]
) -> None:
    message = encode([t], [value])
    assert len(message) > 1_900_000
    assert decode(message, [t]) == (value,)
    assert count_calls(lambda: encode([t], [value])) < 200
    assert count_calls(lambda: decode(message, [t])) < 200


def test_missing_optional_fields_are_null() -> None:
    t = Record({"a": Opt(NAT), "b": NULL, "c": RESERVED, "d": NAT})
    assert decode(encode([t], [{"d": 1}]), [t]) == ({"a": None, "b": None, "c": None, "d": 1},)


def test_options_of_options_are_told_apart() -> None:
    t = Opt(Opt(NAT))
    for value in (None, Some(None), Some(5)):
        assert decode(encode([t], [value]), [t]) == (value,)
    assert decode(encode([Opt(NAT)], [Some(5)]), [Opt(NAT)]) == (5,)
    with pytest.raises(EncodeError, match=r"expected None or Some\(...\) \(type opt opt nat\), got int"):
        encode([t], [5])


PERSON = Record({"owner": Record({"controllers": Vec(PRINCIPAL)})})
REF = Variant({"Principal": PRINCIPAL, "Opaque": TEXT})


@pytest.mark.parametrize(
    ("t", "value", "message"),
    [
        (
            PERSON,
            {"owner": {"controllers": [Principal(), Principal(), b"\4"]}},
            "argument 0.owner.controllers[2]: expected principal, got bytes",
        ),
        (PERSON, {"owner": {}}, "argument 0.owner.controllers: the field is missing"),
        (
            PERSON,
            {"owner": {"control": []}},
            "argument 0.owner: unknown field 'control'; the record has controllers",
        ),
        (REF, Case("Opaque", 5), "argument 0.Opaque: expected str (type text), got int"),
        (REF, Case("Other"), "argument 0: unknown case 'Other'; the variant has"),
        (REF, "Opaque", "argument 0: expected Case (type variant"),
        (NAT8, 256, "argument 0: nat8 ranges from 0 to 255, got 256"),
        (NAT8, 10**4000, "argument 0: nat8 ranges from 0 to 255, got a number of 13288 bits"),
        (INT8, -129, "argument 0: int8 ranges from -128 to 127, got -129"),
        (NAT64, -1, "nat64 ranges from 0 to 18446744073709551615, got -1"),
        (NAT, -1, "a nat is at least 0"),
        (NAT, True, "expected int (type nat), got bool"),
        (NAT64, 1.0, "expected int (type nat64), got float"),
        (INT, "1", "expected int, got str"),
        (BOOL, 1, "expected bool, got int"),
        (NULL, 0, "expected None (type null), got int"),
        (EMPTY, None, "type empty has no values"),
        (FLOAT64, "1", "expected float (type float64), got str"),
        (FLOAT32, 1e300, "the number is too large for float32"),
        (FLOAT64, 10**400, "the number is too large for float64"),
        (TEXT, b"x", "expected str (type text), got bytes"),
        (TEXT, "a\ud800", "lone surrogate at position 1"),
        (BLOB, "x", "expected bytes, bytearray or memoryview (type blob), got str"),
        (BLOB, [1, 256], "element 1 of the list is no nat8"),
        (Vec(NAT), b"x", "expected list (type vec nat), got bytes"),
        (Vec(NAT), [1, None], "argument 0[1]: expected int (type nat), got None"),
        (tuple_type(NAT, NAT), (1,), "expected a tuple of 2 elements, got 1"),
        (tuple_type(NAT, NAT), [1, 2], "expected tuple (type record { nat; nat }), got list"),
        (Service({}), b"\4", "expected principal of a service, got bytes"),
        (Func(), Principal(), "expected FuncRef (type func), got Principal"),
    ],
)
def test_a_wrong_value_is_refused_with_the_way_to_it(t: Type, value: Any, message: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode([t], [value])
    assert message in str(caught.value)


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(EncodeError, match=r"expected 2 argument\(s\), got 1"):
        encode([NAT, NAT], [1])


def test_errors_do_not_show_the_value() -> None:
    with pytest.raises(EncodeError) as caught:
        encode([NAT], ["a secret"])
    assert "secret" not in str(caught.value)


def test_values_that_contain_themselves_are_refused() -> None:
    tree = Named("Tree")
    tree.define(Vec(tree))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EncodeError, match="nested too deeply"):
        encode([tree], [endless])


def test_references_come_back() -> None:
    func = FuncRef(Principal(b"\x01"), "méthode")
    assert decode(encode([Func()], [func]), [Func()]) == (func,)
