"""The subtype relation and structural equality of types (Candid specification, "Upgrading and Subtyping").

Owns: deciding both, coinductively, for recursive types. Does not own: coercing values (`decoding`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from canister_factory.candid.labels import label_text
from canister_factory.candid.types import (
    EMPTY,
    INT,
    NAT,
    PRINCIPAL,
    RESERVED,
    Func,
    Future,
    Opt,
    Primitive,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    describe,
    is_nullable,
    resolve,
)

# One claim that has to hold: sub <: sup, and the way from the types that were asked about.
_Claim = tuple[Type, Type, str]


def is_subtype(sub: Type, sup: Type) -> bool:
    """Whether every value of `sub` can be used where `sup` is expected."""
    return explain_mismatch(sub, sup) is None


def explain_mismatch(sub: Type, sup: Type) -> str | None:
    """Why `sub` is not a subtype of `sup`, with the way to the place; None where it is one.

    Every rule is a conjunction (an option is a supertype of anything), so one failed claim decides, and a claim met
    again may be assumed: that makes it terminate on recursive types, in time bounded by the pairs of their parts.
    """
    return _walk(sub, sup, _subtype_step)


def types_equal(a: Type, b: Type) -> bool:
    """Whether two types mean the same: same structure and field numbers; names of types play no role."""
    return _walk(a, b, _equal_step) is None


def _walk(a: Type, b: Type, step: Callable[[Type, Type, str], list[_Claim] | str]) -> str | None:
    claims: list[_Claim] = [(a, b, "")]
    # Ids are safe as keys: every type here is held by the two roots.
    assumed: set[tuple[int, int]] = set()
    while claims:
        left, right, path = claims.pop()
        left, right = resolve(left), resolve(right)
        key = (id(left), id(right))
        if left is right or key in assumed:
            continue
        assumed.add(key)
        step_result = step(left, right, path)
        if isinstance(step_result, str):
            return f"{path.lstrip('.')}: {step_result}" if path else step_result
        claims += step_result
    return None


def _subtype_step(sub: Type, sup: Type, path: str) -> list[_Claim] | str:
    if sup is RESERVED or sub is EMPTY or isinstance(sup, Opt):
        return []
    match sub, sup:
        case Primitive(), Primitive() if sub is NAT and sup is INT:
            return []
        case Service(), Primitive() if sup is PRINCIPAL:
            return []
        case Vec(), Vec():
            return [(sub.inner, sup.inner, path + "[]")]
        case Record(), Record():
            have = {f.id: f.type for f in sub.fields}
            return _members([(f.label, have.get(f.id), f.type) for f in sup.fields], path)
        case Variant(), Variant():
            allowed = {f.id: f.type for f in sup.fields}
            for field in sub.fields:
                if field.id not in allowed:
                    return f"variant case {label_text(field.label)} is unknown to {describe(sup)}"
            return [(f.type, allowed[f.id], f"{path}.{label_text(f.label)}") for f in sub.fields]
        case Func(), Func():
            if sub.modes != sup.modes:
                return f"{describe(sub)} and {describe(sup)} are different kinds of functions"
            args = _members(_positions(sup.args, sub.args), path + ".argument ")
            results = _members(_positions(sub.results, sup.results), path + ".result ")
            if isinstance(args, str) or isinstance(results, str):
                return args if isinstance(args, str) else results
            return args + results
        case Service(), Service():
            methods = dict(sub.methods)
            for name, _ in sup.methods:
                if name not in methods:
                    return f"method {label_text(name)} is missing"
            return [(methods[name], wanted, f"{path}.{label_text(name)}") for name, wanted in sup.methods]
    return f"{describe(sub)} is not a subtype of {describe(sup)}"


def _positions(have: Sequence[Type], wanted: Sequence[Type]) -> list[tuple[str | int, Type | None, Type]]:
    """Argument lists compare like tuple-like records: extra ones are ignored."""
    return [(i, h, w) for i, (h, w) in enumerate(zip_longest(have, wanted)) if w is not None]


def _members(members: list[tuple[str | int, Type | None, Type]], path: str) -> list[_Claim] | str:
    claims = []
    for label, have, wanted in members:
        if have is not None:
            dot = "" if path.endswith(" ") else "."
            claims.append((have, wanted, f"{path}{dot}{label_text(label)}"))
        elif not is_nullable(wanted):
            what = path.rpartition(".")[2] + label_text(label) if path.endswith(" ") else f"field {label_text(label)}"
            return f"{what} of type {describe(wanted)} is missing, and only opt, null or reserved may be"
    return claims


def _equal_step(a: Type, b: Type, path: str) -> list[_Claim] | str:
    differ = f"{describe(a)} differs from {describe(b)}"
    match a, b:
        case Opt(), Opt():
            return [(a.inner, b.inner, path)]
        case Vec(), Vec():
            return [(a.inner, b.inner, path)]
        case Record() | Variant(), Record() | Variant():
            if type(a) is type(b) and [f.id for f in a.fields] == [f.id for f in b.fields]:
                return [
                    (f.type, g.type, f"{path}.{label_text(f.label)}") for f, g in zip(a.fields, b.fields, strict=True)
                ]
        case Func(), Func():
            if a.modes == b.modes and (len(a.args), len(a.results)) == (len(b.args), len(b.results)):
                return [(x, y, path) for x, y in zip(a.args + a.results, b.args + b.results, strict=True)]
        case Service(), Service():
            if [n for n, _ in a.methods] == [n for n, _ in b.methods]:
                return [(f, g, f"{path}.{n}") for (n, f), (_, g) in zip(a.methods, b.methods, strict=True)]
        case Future(), Future() if a == b:
            return []
    return differ
