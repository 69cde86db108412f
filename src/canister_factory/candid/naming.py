"""Names for the numbers that stand for labels on the wire.

Owns collecting the labels of known types and putting them into types that came without names. Does not own: decoding.
"""

from __future__ import annotations

from collections.abc import Iterable

from canister_factory.candid.errors import InvalidTypeError
from canister_factory.candid.types import Func, Named, Opt, Record, Service, Type, Variant, Vec, children


def label_names(types: Iterable[Type]) -> dict[int, str]:
    """The texts of all labels in these types, and in what they refer to, by their numbers on the wire."""
    names: dict[int, str] = {}
    seen: set[int] = set()
    open_types = list(types)
    while open_types:
        t = open_types.pop()
        if id(t) in seen:
            continue
        seen.add(id(t))
        if isinstance(t, Named):
            open_types.append(t.target)
        if isinstance(t, Record | Variant):
            names.update((f.id, f.label) for f in t.fields if isinstance(f.label, str))
        open_types += children(t)
    return names


def with_names(types: Iterable[Type], names: dict[int, str]) -> tuple[Type, ...]:
    """The same types with these texts as labels where they had numbers; nothing changes on the wire.

    Tuples (labels 0, 1, ...) stay as they are.

    Raises:
        InvalidTypeError: types are nested too deeply.
    """
    renamed: dict[int, Type] = {}

    def rename(t: Type) -> Type:
        # Each type once: those met on the wire may share parts so often that walking them as a tree never ends.
        if id(t) not in renamed:
            if isinstance(t, Named):
                name = renamed[id(t)] = Named(t.name)
                name.define(rename(t.target))
            else:
                renamed[id(t)] = rebuild(t)
        return renamed[id(t)]

    def rebuild(t: Type) -> Type:
        match t:
            case Opt():
                return Opt(rename(t.inner))
            case Vec():
                return Vec(rename(t.inner))
            case Record() if t.is_tuple:
                return Record({f.label: rename(f.type) for f in t.fields})
            case Record():
                return Record({names.get(f.id, f.label): rename(f.type) for f in t.fields})
            case Variant():
                return Variant({names.get(f.id, f.label): rename(f.type) for f in t.fields})
            case Func():
                return Func(map(rename, t.args), map(rename, t.results), t.modes)
            case Service():
                return Service({name: rename(method) for name, method in t.methods})
        return t

    try:
        return tuple(rename(t) for t in types)
    except RecursionError:
        raise InvalidTypeError("types are nested too deeply to name") from None
