from __future__ import annotations

import pytest

from canister_factory.candid.errors import InvalidTypeError
from canister_factory.candid.labels import label_hash
from canister_factory.candid.types import (
    BLOB,
    EMPTY,
    INT,
    NAT,
    NAT8,
    NULL,
    TEXT,
    Func,
    Named,
    Opt,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    describe,
    is_blob,
    resolve,
    tuple_type,
)


def test_label_hashes_are_those_of_the_specification() -> None:
    # Known from the official test suite.
    assert label_hash("foo") == 5097222
    assert label_hash("bar") == 4895187
    assert label_hash("☃") == 11272781
    assert label_hash("") == 0


def test_labels_with_the_same_hash_are_refused_and_both_are_named() -> None:
    colliding: dict[str | int, Type] = {"foo": NAT, 5097222: NAT}
    with pytest.raises(InvalidTypeError, match="'foo' and 5097222 have the same number"):
        Record(colliding)
    with pytest.raises(InvalidTypeError, match="variant label"):
        Variant({-1: NULL})


def test_fields_are_ordered_by_number_whatever_the_order_given() -> None:
    assert Record({"foo": NAT, "bar": TEXT}) == Record({"bar": TEXT, "foo": NAT})
    assert [f.label for f in Record({"foo": NAT, "bar": TEXT}).fields] == ["bar", "foo"]


def test_types_are_values() -> None:
    assert Opt(Vec(NAT8)) == Opt(BLOB)
    assert hash(Opt(Vec(NAT8))) == hash(Opt(BLOB))
    assert Opt(NAT) != Vec(NAT)
    assert Record({"a": NAT}) != Record({97: NAT})
    with pytest.raises(AttributeError, match="immutable"):
        NAT.name = "int"


def test_types_read_as_candid() -> None:
    node = Named("Node")
    members: dict[str | int, Type] = {"next": Opt(node), "type": TEXT, 5: BLOB}
    node.define(Record(members))
    assert str(resolve(node)) == 'record { 5 : blob; next : opt Node; "type" : text }'
    assert str(tuple_type(NAT, TEXT)) == "record { nat; text }"
    assert str(Variant({"Ok": NULL, "Err": TEXT})) == "variant { Ok; Err : text }"
    service = Service({"get": Func([TEXT], [Opt(NAT)], ["query"])})
    assert str(service) == "service { get : (text) -> (opt nat) query }"
    assert repr(NAT) == "Primitive(nat)"


def test_descriptions_of_exponential_types_stay_short() -> None:
    t = tuple_type(NAT, NAT)
    for _ in range(60):
        t = tuple_type(t, t)
    assert len(describe(t)) < 500


def test_names_are_defined_once_and_mean_something() -> None:
    a, b = Named("A"), Named("B")
    with pytest.raises(InvalidTypeError, match="type A is not defined"):
        resolve(a)
    a.define(b)
    b.define(a)
    with pytest.raises(InvalidTypeError, match="vacuous"):
        resolve(a)
    with pytest.raises(InvalidTypeError, match="type A is defined twice"):
        a.define(NAT)


def test_blobs_are_known_through_names() -> None:
    byte = Named("Byte")
    byte.define(NAT8)
    assert is_blob(Vec(byte))
    assert not is_blob(Vec(INT))


def test_functions_and_services_are_checked() -> None:
    with pytest.raises(InvalidTypeError, match="unknown function mode 'update'"):
        Func([], [], ["update"])
    with pytest.raises(InvalidTypeError, match="oneway"):
        Func([], [NAT], ["oneway"])
    service = Service({"get": Func([], [], ["composite_query"]), "odd": EMPTY})
    assert service.method("get").is_query
    with pytest.raises(InvalidTypeError, match="odd"):
        service.method("odd")
    with pytest.raises(KeyError):
        service.method("absent")
