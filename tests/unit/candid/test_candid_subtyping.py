from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.candid.decoding import decode, decode_untyped
from canister_factory.candid.encoding import encode
from canister_factory.candid.subtyping import explain_mismatch, is_subtype, types_equal
from canister_factory.candid.types import (
    EMPTY,
    INT,
    NAT,
    NAT8,
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
)
from support.candid_strategies import TYPES, supertypes_of, values_of


@settings(deadline=None)
@given(TYPES)
def test_every_type_is_a_subtype_of_itself(t: Type) -> None:
    assert is_subtype(t, t)
    assert types_equal(t, t)
    assert is_subtype(EMPTY, t)
    assert is_subtype(t, RESERVED)
    assert is_subtype(t, Opt(EMPTY))


@settings(deadline=None)
@given(st.data())
def test_subtyping_is_transitive_and_values_can_be_used_at_supertypes(data: st.DataObject) -> None:
    low = data.draw(TYPES)
    middle = data.draw(supertypes_of(low))
    high = data.draw(supertypes_of(middle))
    assert explain_mismatch(low, middle) is None
    assert explain_mismatch(middle, high) is None
    assert explain_mismatch(low, high) is None
    message = encode([low], [data.draw(values_of(low))])
    decode(message, [middle])
    decode(message, [high])


@settings(deadline=None)
@given(TYPES, st.data())
def test_equal_types_are_subtypes_both_ways(a: Type, data: st.DataObject) -> None:
    (b,), _ = decode_untyped(encode([a], [data.draw(values_of(a))]))
    assert types_equal(a, b), "the same type, read from a message that describes itself"
    assert is_subtype(a, b)
    assert is_subtype(b, a)


@pytest.mark.parametrize(
    ("sub", "sup"),
    [
        (INT, NAT),
        (NAT8, NAT),
        (NULL, NAT),
        (RESERVED, NULL),
        (Opt(NAT), NAT),
        (Vec(INT), Vec(NAT)),
        (Record({}), Record({"a": NAT})),
        (Record({"a": TEXT}), Record({"a": NAT})),
        (Variant({"a": NULL}), Variant({"b": NULL})),
        (Func([NAT], []), Func([INT], [])),
        (Func([], [INT]), Func([], [NAT])),
        (Func([], []), Func([], [NAT])),
        (Func([NAT], []), Func([], [])),
        (Func([], [], ["query"]), Func([], [])),
        (PRINCIPAL, Service({})),
        (Service({}), Service({"m": Func()})),
        (Variant({"a": NULL}), EMPTY),
    ],
)
def test_these_are_no_subtypes_and_it_is_said_why(sub: Type, sup: Type) -> None:
    assert not is_subtype(sub, sup)
    assert explain_mismatch(sub, sup)


def test_the_explanation_leads_to_the_difference() -> None:
    old = Service({"get": Func([], [Record({"owner": Opt(NAT), "name": TEXT})])})
    new = Service({"get": Func([], [Record({"owner": Opt(NAT), "name": NAT})])})
    assert explain_mismatch(new, old) == "get.result 0.name: nat is not a subtype of text"
    assert explain_mismatch(Service({}), old) == "method get is missing"


def make_list(name: str, element: Type, unrolled: bool) -> Type:
    named = Named(name)
    tail: Type = Opt(Record({"head": element, "tail": named})) if unrolled else named
    named.define(Opt(Record({"head": element, "tail": tail})))
    return named


def test_recursive_types_compare_by_meaning() -> None:
    plain, unrolled = make_list("A", INT, False), make_list("B", INT, True)
    assert types_equal(plain, unrolled)
    assert not types_equal(plain, make_list("C", NAT, True))
    tree, wider = Named("Tree"), Named("Wider")
    tree.define(Variant({"leaf": NAT, "node": Vec(tree)}))
    wider.define(Variant({"leaf": INT, "node": Vec(wider), "empty": NULL}))
    assert is_subtype(tree, wider)
    assert not is_subtype(wider, tree)


def test_very_deep_types_do_not_overflow_the_stack() -> None:
    a: Type = INT
    b: Type = NAT
    for _ in range(20_000):
        a, b = Vec(a), Vec(b)
    assert is_subtype(b, a)
    assert not is_subtype(a, b)
    assert not types_equal(a, b)


def test_labels_play_no_role_in_what_a_type_means() -> None:
    assert types_equal(Record({"a": NAT}), Record({97: NAT}))
    assert not types_equal(Record({"a": NAT}), Variant({"a": NAT}))
