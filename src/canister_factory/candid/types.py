"""Candid types as immutable Python values.

Owns: the types, their textual form. Does not own: labels (`labels`), encoding, subtyping, models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, NoReturn, TypeAlias

from canister_factory.candid.errors import InvalidTypeError
from canister_factory.candid.labels import MAX_LABEL, label_hash, label_text

MODES = ("query", "oneway", "composite_query")


class Type:
    """Base of all Candid types. Types are immutable, hashable and compare by structure and labels.

    Named references compare by identity, so that comparison ends; `subtyping.types_equal` compares what they mean.
    """

    __slots__ = ("_hash",)
    _hash: int

    def _set(self, **attributes: object) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_hash", hash((type(self).__name__, *attributes.values())))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Candid types are immutable, cannot set {name}")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not isinstance(other, Type) or self._hash != other._hash:
            return False
        return all(getattr(self, name) == getattr(other, name) for name in type(self).__slots__)

    def __copy__(self) -> Type:
        return self

    def __deepcopy__(self, memo: object) -> Type:
        return self

    def __str__(self) -> str:
        return describe(self, 20_000)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({describe(self, 60)})"


class Primitive(Type):
    """A primitive type; the instances are the module's constants. `opcode` is its number on the wire."""

    __slots__ = ("name", "opcode")
    name: str
    opcode: int

    def __init__(self, name: str, opcode: int) -> None:
        self._set(name=name, opcode=opcode)


class Opt(Type):
    """`opt inner`."""

    __slots__ = ("inner",)
    inner: Type

    def __init__(self, inner: Type) -> None:
        self._set(inner=inner)


class Vec(Type):
    """`vec inner`; `vec nat8` is a blob."""

    __slots__ = ("inner",)
    inner: Type

    def __init__(self, inner: Type) -> None:
        self._set(inner=inner)


# Mapping is invariant in its key: spelled out so that plain dict[str, Type] and dict[int, Type] are accepted.
Members: TypeAlias = Mapping[str | int, Type] | Mapping[str, Type] | Mapping[int, Type]


class Field(NamedTuple):
    """One field of a record or one case of a variant; `label` is a number where no name is known."""

    id: int
    label: str | int
    type: Type


def _fields(kind: str, members: Members) -> tuple[Field, ...]:
    by_id: dict[int, Field] = {}
    for label, member in members.items():
        number = label_hash(label) if isinstance(label, str) else label
        if not 0 <= number <= MAX_LABEL:
            raise InvalidTypeError(f"{kind} label {number} is outside 0..{MAX_LABEL}")
        if number in by_id:
            raise InvalidTypeError(
                f"{kind} labels {by_id[number].label!r} and {label!r} have the same number {number}; rename one of them"
            )
        by_id[number] = Field(number, label, member)
    return tuple(by_id[number] for number in sorted(by_id))


class Record(Type):
    """`record { label : type; ... }`, fields in the order of their numbers.

    Raises:
        InvalidTypeError: two labels with the same number.
    """

    __slots__ = ("fields",)
    fields: tuple[Field, ...]

    def __init__(self, fields: Members) -> None:
        self._set(fields=_fields("record", fields))

    @property
    def is_tuple(self) -> bool:
        """Whether the labels are the numbers 0..n-1 (n > 0), so that the value is a Python tuple."""
        return bool(self.fields) and all(f.label == i for i, f in enumerate(self.fields))


class Variant(Type):
    """`variant { label : type; ... }`, cases in the order of their numbers.

    Raises:
        InvalidTypeError: two labels with the same number.
    """

    __slots__ = ("fields",)
    fields: tuple[Field, ...]

    def __init__(self, fields: Members) -> None:
        self._set(fields=_fields("variant", fields))


class Func(Type):
    """`func (args) -> (results) modes`.

    Raises:
        InvalidTypeError: an unknown mode, or a oneway function with results.
    """

    __slots__ = ("args", "modes", "results")
    args: tuple[Type, ...]
    results: tuple[Type, ...]
    modes: frozenset[str]

    def __init__(self, args: Iterable[Type] = (), results: Iterable[Type] = (), modes: Iterable[str] = ()) -> None:
        self._set(args=tuple(args), results=tuple(results), modes=frozenset(modes))
        if unknown := self.modes.difference(MODES):
            raise InvalidTypeError(f"unknown function mode {min(unknown)!r}; Candid has {', '.join(MODES)}")
        if "oneway" in self.modes and self.results:
            raise InvalidTypeError("a oneway function has no results")

    @property
    def is_query(self) -> bool:
        """Whether it can be called as a query (`query` or `composite_query`)."""
        return "query" in self.modes or "composite_query" in self.modes


class Service(Type):
    """`service { name : func; ... }`, methods in the order of their names' UTF-8 bytes."""

    __slots__ = ("methods",)
    methods: tuple[tuple[str, Type], ...]

    def __init__(self, methods: Mapping[str, Type]) -> None:
        self._set(methods=tuple(sorted(methods.items(), key=lambda item: item[0].encode("utf-8"))))

    def method(self, name: str) -> Func:
        """The type of one method.

        Raises:
            KeyError: no such method.
            InvalidTypeError: the method's type is not a function.
        """
        method = resolve(dict(self.methods)[name])
        if not isinstance(method, Func):
            raise InvalidTypeError(f"method {name!r} has type {describe(method)}, expected a function")
        return method


class Named(Type):
    """A reference to a type by name; how recursive types are written. Define it exactly once before use.

    Example: `tree = Named("Tree"); tree.define(Record({"children": Vec(tree)}))`.
    """

    __slots__ = ("_target", "name")
    name: str
    _target: Type | None

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_target", None)
        object.__setattr__(self, "_hash", id(self))

    def define(self, target: Type) -> None:
        """Say what the name means.

        Raises:
            InvalidTypeError: it's defined already.
        """
        if self._target is not None:
            raise InvalidTypeError(f"type {self.name} is defined twice")
        object.__setattr__(self, "_target", target)

    @property
    def target(self) -> Type:
        """What the name means (perhaps another name).

        Raises:
            InvalidTypeError: not defined yet.
        """
        if self._target is None:
            raise InvalidTypeError(f"type {self.name} is not defined")
        return self._target

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Type.__hash__


class Future(Type):
    """A type of a later Candid version, met on the wire; its values can be skipped, not understood."""

    __slots__ = ("opcode",)
    opcode: int

    def __init__(self, opcode: int) -> None:
        self._set(opcode=opcode)


NULL = Primitive("null", -1)
BOOL = Primitive("bool", -2)
NAT = Primitive("nat", -3)
INT = Primitive("int", -4)
NAT8 = Primitive("nat8", -5)
NAT16 = Primitive("nat16", -6)
NAT32 = Primitive("nat32", -7)
NAT64 = Primitive("nat64", -8)
INT8 = Primitive("int8", -9)
INT16 = Primitive("int16", -10)
INT32 = Primitive("int32", -11)
INT64 = Primitive("int64", -12)
FLOAT32 = Primitive("float32", -13)
FLOAT64 = Primitive("float64", -14)
TEXT = Primitive("text", -15)
RESERVED = Primitive("reserved", -16)
EMPTY = Primitive("empty", -17)
PRINCIPAL = Primitive("principal", -24)
PRIMITIVES: Mapping[str, Primitive] = {
    t.name: t
    for t in (
        *(NULL, BOOL, NAT, INT, NAT8, NAT16, NAT32, NAT64, INT8, INT16, INT32, INT64),
        *(FLOAT32, FLOAT64, TEXT, RESERVED, EMPTY, PRINCIPAL),
    )
}
BLOB = Vec(NAT8)


def tuple_type(*members: Type) -> Record:
    """A record with the labels 0..n-1; its Python value is a tuple."""
    return Record(dict(enumerate(members)))


def resolve(t: Type) -> Type:
    """Follow named references to a type that says something.

    Raises:
        InvalidTypeError: a name without a definition, or one that only means itself.
    """
    seen: set[int] = set()
    while isinstance(t, Named):
        if id(t) in seen:
            raise InvalidTypeError(f"type {t.name} is vacuous: it is only defined as itself")
        seen.add(id(t))
        t = t.target
    return t


def is_nullable(t: Type) -> bool:
    """Whether `null <: t`: null, reserved and options, which a message may leave out."""
    t = resolve(t)
    return t is NULL or t is RESERVED or isinstance(t, Opt)


def is_blob(t: Type) -> bool:
    """Whether the type is `vec nat8`, whose Python value is `bytes`."""
    t = resolve(t)
    return isinstance(t, Vec) and resolve(t.inner) is NAT8


def children(t: Type) -> tuple[Type, ...]:
    """The types directly inside a type; none for a name, which stands for itself."""
    match t:
        case Opt() | Vec():
            return (t.inner,)
        case Record() | Variant():
            return tuple(f.type for f in t.fields)
        case Func():
            return t.args + t.results
        case Service():
            return tuple(f for _, f in t.methods)
    return ()


def describe(t: Type, max_nodes: int = 24) -> str:
    """The type in Candid syntax, cut with `...` after `max_nodes` parts (types met on the wire can be exponential)."""
    left = max_nodes

    def tuple_text(members: tuple[Type, ...]) -> str:
        return "(" + ", ".join(render(m) for m in members) + ")"

    def func_text(f: Func) -> str:
        modes = "".join(f" {m}" for m in MODES if m in f.modes)
        return f"{tuple_text(f.args)} -> {tuple_text(f.results)}{modes}"

    def method_text(name: str, t: Type) -> str:
        return f"{label_text(name)} : {func_text(t) if isinstance(t, Func) else render(t)}"

    def braces(items: list[str]) -> str:
        return "{ " + "; ".join(items) + " }" if items else "{}"

    def render(t: Type) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            return "..."
        match t:
            case Primitive() | Named():
                return t.name
            case Opt():
                return f"opt {render(t.inner)}"
            case Vec():
                return "blob" if t.inner is NAT8 else f"vec {render(t.inner)}"
            case Record():
                if t.is_tuple:
                    return "record " + braces([render(f.type) for f in _shown(t.fields)])
                return "record " + braces([f"{label_text(f.label)} : {render(f.type)}" for f in _shown(t.fields)])
            case Variant():
                return "variant " + braces(
                    [
                        label_text(f.label) if f.type is NULL else f"{label_text(f.label)} : {render(f.type)}"
                        for f in _shown(t.fields)
                    ]
                )
            case Func():
                return f"func {func_text(t)}"
            case Service():
                return "service " + braces([method_text(name, f) for name, f in t.methods])
        return f"future type {t.opcode}" if isinstance(t, Future) else type(t).__name__

    def _shown(fields: tuple[Field, ...]) -> tuple[Field, ...]:
        return fields[: max(left + 1, 1)]

    return render(t)
