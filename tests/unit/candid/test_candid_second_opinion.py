"""A second codec, icp-py-core's, on plain types, where it is known to be right: both directions must agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.candid import types as t
from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.candid_strategies import values_of

other = pytest.importorskip("icp_candid.candid", reason="icp-py-core, the second codec, is not installed")

PRIMITIVES: dict[t.Type, Any] = {
    t.NULL: other.Types.Null,
    t.BOOL: other.Types.Bool,
    t.NAT: other.Types.Nat,
    t.INT: other.Types.Int,
    t.NAT8: other.Types.Nat8,
    t.NAT16: other.Types.Nat16,
    t.NAT32: other.Types.Nat32,
    t.NAT64: other.Types.Nat64,
    t.INT8: other.Types.Int8,
    t.INT16: other.Types.Int16,
    t.INT32: other.Types.Int32,
    t.INT64: other.Types.Int64,
    t.FLOAT64: other.Types.Float64,
    t.TEXT: other.Types.Text,
    t.PRINCIPAL: other.Types.Principal,
}
LABELS = st.sampled_from(["id", "name", "Ok", "created_at", "é"])
PLAIN_TYPES = st.recursive(
    st.sampled_from([*PRIMITIVES, t.BLOB]),
    lambda inner: st.one_of(
        inner.filter(lambda i: not t.is_nullable(i)).map(t.Opt),
        inner.map(t.Vec),
        st.dictionaries(LABELS, inner, min_size=1, max_size=3).map(t.Record),
        st.dictionaries(LABELS, inner, min_size=1, max_size=3).map(t.Variant),
    ),
    max_leaves=5,
)


def their_type(ours: t.Type) -> Any:
    match ours:
        case t.Opt():
            return other.Types.Opt(their_type(ours.inner))
        case t.Vec():
            return other.Types.Vec(their_type(ours.inner))
        case t.Record():
            return other.Types.Record({f.label: their_type(f.type) for f in ours.fields})
        case t.Variant():
            return other.Types.Variant({f.label: their_type(f.type) for f in ours.fields})
    return PRIMITIVES[ours]


def their_value(ours: t.Type, value: Any) -> Any:
    match ours:
        case t.Opt():
            return [] if value is None else [their_value(ours.inner, value)]
        case t.Vec() if ours != t.BLOB:
            return [their_value(ours.inner, v) for v in value]
        case t.Record():
            return {f.label: their_value(f.type, value[f.label]) for f in ours.fields}
        case t.Variant():
            inner = next(f.type for f in ours.fields if f.label == value.tag)
            return {value.tag: their_value(inner, value.value)}
    return str(value) if isinstance(value, Principal) else value


def our_value(ours: t.Type, value: Any) -> Any:
    match ours:
        case t.Opt():
            return our_value(ours.inner, value[0]) if value else None
        case t.Vec():
            return bytes(value) if ours == t.BLOB else [our_value(ours.inner, v) for v in value]
        case t.Record():
            return {f.label: our_value(f.type, value[f.label]) for f in ours.fields}
        case t.Variant():
            ((tag, content),) = value.items()
            return Case(tag, our_value(next(f.type for f in ours.fields if f.label == tag), content))
    return Principal.from_str(str(value)) if ours is t.PRINCIPAL else value


@given(st.data())
@settings(deadline=None)
def test_both_codecs_read_what_the_other_writes(data: st.DataObject) -> None:
    ours = data.draw(PLAIN_TYPES)
    value = data.draw(values_of(ours))
    theirs = their_type(ours)
    from_them = other.encode([{"type": theirs, "value": their_value(ours, value)}])
    assert decode(from_them, [ours]) == (value,)
    (read,) = other.decode(encode([ours], [value]), [theirs])
    assert our_value(ours, read["value"]) == value
