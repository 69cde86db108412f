"""Hypothesis strategies for Candid types, values of a type, and supertypes of a type."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from canister_factory.candid import types as t
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case, FuncRef, Some

LABELS: st.SearchStrategy[str | int] = st.sampled_from(
    ["id", "name", "Ok", "Err", "created_at", "é ☃", "record", 0, 1, 2, 7, 2**32 - 1]
)
INTEGER_RANGES: dict[t.Type, tuple[int, int]] = {
    t.NAT8: (0, 2**8 - 1),
    t.NAT16: (0, 2**16 - 1),
    t.NAT32: (0, 2**32 - 1),
    t.NAT64: (0, 2**64 - 1),
    t.INT8: (-(2**7), 2**7 - 1),
    t.INT16: (-(2**15), 2**15 - 1),
    t.INT32: (-(2**31), 2**31 - 1),
    t.INT64: (-(2**63), 2**63 - 1),
    t.NAT: (0, 2**200),
    t.INT: (-(2**200), 2**200),
}
PRIMITIVES = st.sampled_from([p for p in t.PRIMITIVES.values() if p is not t.EMPTY])
PRINCIPALS = st.binary(max_size=29).map(Principal)
LIST = t.Named("List")
LIST.define(t.Opt(t.Record({"head": t.INT, "tail": LIST})))
TREE = t.Named("Tree")
TREE.define(t.Variant({"leaf": t.NAT8, "node": t.tuple_type(TREE, TREE)}))


def members(inner: st.SearchStrategy[t.Type], at_least: int = 0) -> st.SearchStrategy[dict[str | int, t.Type]]:
    return st.dictionaries(LABELS, inner, min_size=at_least, max_size=4)


def composites(inner: st.SearchStrategy[t.Type]) -> st.SearchStrategy[t.Type]:
    arguments = st.lists(inner, max_size=3)
    functions = st.builds(t.Func, arguments, arguments, st.sampled_from([(), ("query",), ("composite_query",)]))
    return st.one_of(
        inner.map(t.Opt),
        inner.map(t.Vec),
        members(inner).map(t.Record),
        st.lists(inner, min_size=1, max_size=3).map(lambda ts: t.tuple_type(*ts)),
        members(inner, at_least=1).map(t.Variant),
        functions,
        st.dictionaries(st.sampled_from(["get", "put", "é"]), functions, max_size=2).map(t.Service),
    )


TYPES = st.recursive(st.one_of(PRIMITIVES, st.sampled_from([t.BLOB, LIST, TREE])), composites, max_leaves=8)


def values_of(wanted: t.Type, depth: int = 0) -> st.SearchStrategy[Any]:
    wanted = t.resolve(wanted)
    if wanted in INTEGER_RANGES:
        return st.integers(*INTEGER_RANGES[wanted])
    simple = {
        t.NULL: st.none(),
        t.RESERVED: st.none(),
        t.BOOL: st.booleans(),
        t.FLOAT32: st.floats(width=32, allow_nan=False),
        t.FLOAT64: st.floats(allow_nan=False),
        t.TEXT: st.text(max_size=8),
        t.PRINCIPAL: PRINCIPALS,
        t.BLOB: st.binary(max_size=8),
    }
    if wanted in simple:
        return simple[wanted]
    match wanted:
        case t.Opt():
            if depth > 4:
                return st.none()
            content = st.deferred(lambda: values_of(wanted.inner, depth + 1))
            return st.none() | (content.map(Some) if t.is_nullable(wanted.inner) else content)
        case t.Vec():
            return st.lists(values_of(wanted.inner, depth + 1), max_size=3 if depth < 4 else 0)
        case t.Record():
            fields = {f.label: values_of(f.type, depth + 1) for f in wanted.fields}
            return st.tuples(*fields.values()) if wanted.is_tuple else st.fixed_dictionaries(fields)
        case t.Variant():
            cases = wanted.fields[:1] if depth > 4 else wanted.fields
            if wanted is t.resolve(TREE) and depth > 2:
                cases = tuple(f for f in wanted.fields if f.label == "leaf")
            return st.one_of(*(_case_of(f, depth + 1) for f in cases))
        case t.Service():
            return PRINCIPALS
    return st.builds(FuncRef, PRINCIPALS, st.text(max_size=5))


def _case_of(field: t.Field, depth: int) -> st.SearchStrategy[Case]:
    return st.builds(Case, st.just(field.label), st.deferred(lambda: values_of(field.type, depth)))


@st.composite
def supertypes_of(draw: st.DrawFn, sub: t.Type) -> t.Type:
    """A type that, by one or more of the specification's rules, is a supertype."""
    if draw(st.integers(0, 9)) == 0:
        return t.RESERVED
    if draw(st.integers(0, 4)) == 0:
        return t.Opt(draw(supertypes_of(sub) if draw(st.booleans()) else TYPES))
    match sub:
        case t.Primitive() if sub is t.NAT:
            return draw(st.sampled_from([t.NAT, t.INT]))
        case t.Opt():
            return t.Opt(draw(supertypes_of(sub.inner)))
        case t.Vec() if sub.inner is not t.NAT8:
            return t.Vec(draw(supertypes_of(sub.inner)))
        case t.Record():
            kept = [f for f in sub.fields if draw(st.booleans())]
            common = {f.label: draw(supertypes_of(f.type)) for f in kept}
            # A field that the subtype has not may be added where it is optional, a case in any event.
            added = {} if any(f.id == 9 for f in sub.fields) else {9: t.Opt(draw(TYPES))}
            return t.Record(common | added)
        case t.Variant():
            cases = {} if any(f.id == 9 for f in sub.fields) else {9: draw(TYPES)}
            return t.Variant({f.label: draw(supertypes_of(f.type)) for f in sub.fields} | cases)
        case t.Service():
            return draw(st.sampled_from([t.PRINCIPAL, t.Service(dict(sub.methods[:1]))]))
        case t.Func():
            more = [draw(TYPES) for _ in range(draw(st.integers(0, 1)))]
            results = [draw(supertypes_of(r)) for r in sub.results[: draw(st.integers(0, 3))]]
            return t.Func([*sub.args, *more], results, sub.modes)
    return sub
