"""The type table that opens every Candid message (Candid specification, "Types" under "Serialisation").

Owns: writing the minimal table of some types, and reading and validating one. Does not own: values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from canister_factory.candid import leb128
from canister_factory.candid.errors import DecodeError, InvalidTypeError, LimitExceededError
from canister_factory.candid.types import (
    MODES,
    PRIMITIVES,
    Func,
    Future,
    Named,
    Opt,
    Primitive,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    children,
    resolve,
)

MAGIC = b"DIDL"
_OPT, _VEC, _RECORD, _VARIANT, _FUNC, _SERVICE = -18, -19, -20, -21, -22, -23
_LOWEST_KNOWN = -24
_BY_OPCODE = {t.opcode: t for t in PRIMITIVES.values()}
_MODE_NUMBERS = {"query": 1, "oneway": 2, "composite_query": 3}
_T = TypeVar("_T")


def encode_header(types: Sequence[Type]) -> bytes:
    """Magic bytes, type table and argument types.

    The table is minimal also for recursive types: parts that mean the same share one entry. Entries are numbered in
    the order in which a walk from the arguments first meets them.
    """
    classes = _classes(types)
    numbers: dict[int, int] = {}
    entries: list[Type] = []
    pending = list(reversed(types))
    while pending:
        t = resolve(pending.pop())
        if not isinstance(t, Primitive) and classes[id(t)] not in numbers:
            numbers[classes[id(t)]] = len(entries)
            entries.append(t)
            pending.extend(reversed(children(t)))

    def ref(t: Type) -> bytes:
        t = resolve(t)
        return leb128.signed(t.opcode if isinstance(t, Primitive) else numbers[classes[id(t)]])

    table = b"".join(_entry(t, ref) for t in entries)
    arguments = b"".join(ref(t) for t in types)
    return b"".join((MAGIC, leb128.unsigned(len(entries)), table, leb128.unsigned(len(types)), arguments))


def _classes(types: Sequence[Type]) -> dict[int, int]:
    """Partition the composite types below some types by what they mean: refine by shape until nothing splits."""
    found: dict[int, Type] = {}
    pending = list(types)
    while pending:
        t = resolve(pending.pop())
        if id(t) not in found:
            found[id(t)] = t
            pending.extend(children(t))
    classes: dict[int, int] = {}
    keys: dict[int, object] = {i: _shape(t) for i, t in found.items()}
    members = {i: tuple(id(resolve(c)) for c in children(t)) for i, t in found.items()}
    while True:
        numbering: dict[object, int] = {}
        refined = {i: numbering.setdefault(key, len(numbering)) for i, key in keys.items()}
        if len(numbering) == len(set(classes.values())):
            return refined
        classes = refined
        keys = {i: (classes[i], *(classes[c] for c in members[i])) for i in found}


def _shape(t: Type) -> object:
    match t:
        case Primitive():
            return t.opcode
        case Record() | Variant():
            return type(t).__name__, *(f.id for f in t.fields)
        case Func():
            return "Func", t.modes, len(t.args), len(t.results)
        case Service():
            return "Service", *(name for name, _ in t.methods)
        case Future():
            raise InvalidTypeError("a type of a later Candid version cannot be encoded")
    return type(t).__name__


def _entry(t: Type, ref: Callable[[Type], bytes]) -> bytes:
    def several(items: Sequence[bytes]) -> bytes:
        return leb128.unsigned(len(items)) + b"".join(items)

    match t:
        case Opt():
            return leb128.signed(_OPT) + ref(t.inner)
        case Vec():
            return leb128.signed(_VEC) + ref(t.inner)
        case Record() | Variant():
            opcode = _RECORD if isinstance(t, Record) else _VARIANT
            return leb128.signed(opcode) + several([leb128.unsigned(f.id) + ref(f.type) for f in t.fields])
        case Func():
            modes = [bytes((_MODE_NUMBERS[m],)) for m in MODES if m in t.modes]
            args, results = several([ref(a) for a in t.args]), several([ref(r) for r in t.results])
            return leb128.signed(_FUNC) + args + results + several(modes)
        case Service():
            methods = []
            for name, func in t.methods:
                raw = name.encode("utf-8")
                methods.append(leb128.unsigned(len(raw)) + raw + ref(func))
            return leb128.signed(_SERVICE) + several(methods)
    raise InvalidTypeError(f"{t} has no place in a type table")


def decode_header(data: bytes, max_bytes: int) -> tuple[tuple[Type, ...], int]:
    """The argument types of a message and the position of its first value.

    Types that contain themselves do so through `Named` references; labels are numbers.

    Raises:
        DecodeError: not a Candid header.
        LimitExceededError: longer than `max_bytes`, or nested too deeply.
    """
    return _HeaderReader(data, max_bytes).read()


class _HeaderReader:
    """Reads the raw entries first (they may refer forward), then builds each type with everything below it."""

    def __init__(self, data: bytes, max_bytes: int) -> None:
        self._data = data[:max_bytes]
        self._truncated = len(data) > max_bytes
        self._pos = 0
        self._raw: list[tuple[int, Any]] = []
        self._built: dict[int, Type] = {}
        self._open: dict[int, Named | None] = {}

    def read(self) -> tuple[tuple[Type, ...], int]:
        if not self._data.startswith(MAGIC):
            raise DecodeError("not a Candid message: it does not start with DIDL")
        self._pos = len(MAGIC)
        try:
            self._size = self._count("type table")
            self._raw = [self._read_entry() for _ in range(self._size)]
            refs = self._several("argument list", self._ref)
        except DecodeError as error:
            if self._truncated and not isinstance(error, LimitExceededError):
                raise LimitExceededError(
                    f"the type table is broken, or longer than the limit of {len(self._data)} bytes ({error.problem})"
                ) from None
            raise
        try:
            for index in range(self._size):
                self._build(index)
            return tuple(self._type(ref) for ref in refs), self._pos
        except RecursionError:
            raise LimitExceededError("types in the type table are nested too deeply") from None
        except InvalidTypeError as error:
            raise DecodeError(f"the type table is invalid: {error}") from None

    def _unsigned(self) -> int:
        number, self._pos = leb128.read_unsigned(self._data, self._pos)
        return number

    def _count(self, what: str) -> int:
        """A number of things that each take a byte or more, so a count beyond what is left is refused at once."""
        count = self._unsigned()
        if count > len(self._data) - self._pos:
            left = len(self._data) - self._pos
            raise DecodeError(f"the {what} is longer than the {left} byte(s) that are left")
        return count

    def _several(self, what: str, read: Callable[[], _T]) -> list[_T]:
        return [read() for _ in range(self._count(what))]

    def _bytes(self, what: str) -> bytes:
        count = self._count(what)
        self._pos += count
        return self._data[self._pos - count : self._pos]

    def _ref(self) -> int:
        ref, self._pos = leb128.read_signed(self._data, self._pos)
        if ref.bit_length() > 32:
            raise DecodeError("a type reference in the type table is out of range")
        if ref >= self._size:
            raise DecodeError(f"reference to type {ref}, but the type table has {self._size} entries")
        if ref < 0 and ref not in _BY_OPCODE:
            raise DecodeError(f"{ref} is no primitive type")
        return ref

    def _field(self) -> tuple[int, int]:
        number = self._unsigned()
        if number > 0xFFFF_FFFF:
            raise DecodeError("a field number is larger than 32 bits")
        return number, self._ref()

    def _method(self) -> tuple[bytes, int]:
        return self._bytes("method name"), self._ref()

    def _mode(self) -> str:
        number = self._data[self._pos] if self._pos < len(self._data) else 0
        self._pos += 1
        for name, known in _MODE_NUMBERS.items():
            if number == known:
                return name
        raise DecodeError(f"unknown function annotation {number}")

    def _read_entry(self) -> tuple[int, Any]:
        opcode, self._pos = leb128.read_signed(self._data, self._pos)
        if opcode in (_OPT, _VEC):
            return opcode, self._ref()
        if opcode in (_RECORD, _VARIANT):
            fields = self._several("list of fields", self._field)
            if any(a[0] >= b[0] for a, b in pairwise(fields)):
                raise DecodeError("field numbers in the type table are not strictly increasing")
            return opcode, fields
        if opcode == _FUNC:
            args = self._several("argument list of a function", self._ref)
            results = self._several("result list of a function", self._ref)
            return opcode, (args, results, self._several("annotations of a function", self._mode))
        if opcode == _SERVICE:
            methods = self._several("list of methods", self._method)
            if any(a[0] >= b[0] for a, b in pairwise(methods)):
                raise DecodeError("method names in the type table are not strictly increasing")
            return opcode, methods
        if opcode.bit_length() > 32:
            raise DecodeError("an opcode in the type table is out of range")
        if opcode < _LOWEST_KNOWN:
            self._bytes("future type")
            return opcode, None
        raise DecodeError(f"type table entry with opcode {opcode}: only composite types belong there")

    def _type(self, ref: int) -> Type:
        return _BY_OPCODE[ref] if ref < 0 else self._build(ref)

    def _build(self, index: int) -> Type:
        built = self._built.get(index)
        if built is not None:
            return built
        if index in self._open:
            # Met below itself: the type is recursive.
            name = self._open[index]
            if name is None:
                name = self._open[index] = Named(f"table{index}")
            return name
        self._open[index] = None
        built = self._built[index] = self._construct(*self._raw[index])
        name = self._open.pop(index)
        if name is not None:
            name.define(built)
        return built

    def _construct(self, opcode: int, raw: Any) -> Type:
        match opcode, raw:
            case (-18, int(inner)):
                return Opt(self._type(inner))
            case (-19, int(inner)):
                return Vec(self._type(inner))
            case (-20, list(fields)):
                return Record({number: self._type(ref) for number, ref in fields})
            case (-21, list(fields)):
                return Variant({number: self._type(ref) for number, ref in fields})
            case (-22, (args, results, modes)):
                return Func([self._type(a) for a in args], [self._type(r) for r in results], modes)
            case (-23, list(methods)):
                return Service({_utf8(name): self._func(ref) for name, ref in methods})
        return Future(opcode)

    def _func(self, ref: int) -> Type:
        if ref < 0 or self._raw[ref][0] != _FUNC:
            raise DecodeError("a method in the type table is not a function")
        return self._type(ref)


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError("a method name in the type table is not UTF-8") from None
