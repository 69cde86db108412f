"""Python values to Candid messages (Candid specification, "Binary Format").

Owns: the minimal type table and checking values against types. Does not own: reading messages, or pydantic models.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from canister_factory.candid import leb128
from canister_factory.candid.errors import EncodeError, PrincipalError
from canister_factory.candid.fixed_numbers import STRUCT_CODES, integer_range
from canister_factory.candid.ic_py import IcPyPrincipal
from canister_factory.candid.labels import label_text
from canister_factory.candid.numerals import shown
from canister_factory.candid.principal import Principal
from canister_factory.candid.type_table import encode_header
from canister_factory.candid.types import (
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    INT,
    NAT,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Opt,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    describe,
    is_blob,
    is_nullable,
    resolve,
)
from canister_factory.candid.values import Case, FuncRef, Some

# Appends the parts of one encoded value. A blob is appended as it is, so that it's copied once, by the final join.
_Encoder = Callable[[Any, Callable[[Any], None]], None]


def encode(types: Sequence[Type], values: Iterable[Any]) -> bytes:
    """Encode argument values (see docs/architecture.md for the Python value of each type) as one message.

    The type table is minimal and deterministic: equal types share an entry, in the order of first use. Blobs may be
    bytes, bytearray or memoryview, and are copied once.

    Raises:
        EncodeError: a value does not fit its type; the message leads to it, e.g. `argument 0.owner.peers[2]`.
        InvalidTypeError: a named type is not defined.
    """
    header, encoders = _compiled(tuple(types))
    values = tuple(values)
    if len(values) != len(encoders):
        raise EncodeError(f"expected {len(encoders)} argument(s), got {len(values)}")
    parts: list[Any] = [header]
    index = 0
    try:
        for index, encoder in enumerate(encoders):
            encoder(values[index], parts.append)
    except EncodeError as error:
        error.within(f"argument {index}")
        raise
    except RecursionError:
        raise EncodeError(f"argument {index}: nested too deeply to encode (or it contains itself)") from None
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _compiled(types: tuple[Type, ...]) -> tuple[bytes, tuple[_Encoder, ...]]:
    memo: dict[int, _Encoder] = {}
    return encode_header(types), tuple(_encoder(t, memo) for t in types)


def _wrong(expected: str, value: object) -> NoReturn:
    raise EncodeError(f"expected {expected}, got {_shown(value)}")


def _shown(value: object) -> str:
    """The kind of a value, never its content: it may be secret, or megabytes."""
    if value is None:
        return "None"
    if isinstance(value, Case):
        return f"Case {value.tag!r}"
    return type(value).__name__


def _encoder(t: Type, memo: dict[int, _Encoder]) -> _Encoder:
    t = resolve(t)
    if id(t) in memo:
        return memo[id(t)]
    target: list[_Encoder] = []
    # Met again while it's being built: a recursive type, which looks its encoder up when it runs.
    memo[id(t)] = lambda value, put: target[0](value, put)
    built = _build(t, memo)
    target.append(built)
    memo[id(t)] = built
    return built


def _build(t: Type, memo: dict[int, _Encoder]) -> _Encoder:
    match t:
        case Opt():
            return _opt(t, memo)
        case Vec():
            return _blob if is_blob(t) else _vec(t, _encoder(t.inner, memo))
        case Record():
            return _record(t, memo)
        case Variant():
            return _variant(t, memo)
        case Service():
            return _principal_encoder("principal of a service")
        case Func():
            return _func
    if bounds := integer_range(t):
        return _fixed_integer(t, *bounds)
    primitive = _PRIMITIVES.get(t)
    if primitive is None:
        raise EncodeError(f"values of {describe(t)} cannot be encoded")
    return primitive


def _null(value: Any, put: Callable[[Any], None]) -> None:
    if value is not None:
        _wrong("None (type null)", value)


def _reserved(value: Any, put: Callable[[Any], None]) -> None:
    pass


def _empty(value: Any, put: Callable[[Any], None]) -> None:
    raise EncodeError("type empty has no values")


def _bool(value: Any, put: Callable[[Any], None]) -> None:
    if value is True:
        put(b"\x01")
    elif value is False:
        put(b"\x00")
    else:
        _wrong("bool", value)


def _is_int(value: Any) -> bool:
    return type(value) is int or (isinstance(value, int) and not isinstance(value, bool))


def _nat(value: Any, put: Callable[[Any], None]) -> None:
    if not _is_int(value):
        _wrong("int (type nat)", value)
    if value < 0:
        raise EncodeError("a nat is at least 0, got a negative number")
    put(leb128.unsigned(value))


def _int(value: Any, put: Callable[[Any], None]) -> None:
    if not _is_int(value):
        _wrong("int", value)
    put(leb128.signed(value))


def _fixed_integer(t: Type, low: int, high: int) -> _Encoder:
    pack = struct.Struct("<" + STRUCT_CODES[t]).pack
    name = str(t)

    def encode_integer(value: Any, put: Callable[[Any], None]) -> None:
        if not _is_int(value):
            _wrong(f"int (type {name})", value)
        if not low <= value <= high:
            raise EncodeError(f"{name} ranges from {low} to {high}, got {shown(value)}")
        put(pack(value))

    return encode_integer


def _float(code: str, name: str) -> _Encoder:
    pack = struct.Struct(code).pack

    def encode_float(value: Any, put: Callable[[Any], None]) -> None:
        if not isinstance(value, float) and not _is_int(value):
            _wrong(f"float (type {name})", value)
        try:
            put(pack(value))
        except (OverflowError, struct.error):
            raise EncodeError(f"the number is too large for {name}") from None

    return encode_float


def _text(value: Any, put: Callable[[Any], None]) -> None:
    if not isinstance(value, str):
        _wrong("str (type text)", value)
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodeError(f"text contains a lone surrogate at position {error.start}") from None
    put(leb128.unsigned(len(raw)))
    put(raw)


def _blob(value: Any, put: Callable[[Any], None]) -> None:
    if isinstance(value, (bytes, bytearray)):
        put(leb128.unsigned(len(value)))
        put(value)
    elif isinstance(value, memoryview):
        put(leb128.unsigned(value.nbytes))
        put(value if value.c_contiguous else value.tobytes())
    elif isinstance(value, (list, tuple)):
        for i, byte in enumerate(value):
            if not _is_int(byte) or not 0 <= byte <= 255:
                raise EncodeError(f"expected bytes (type blob), element {i} of the {_shown(value)} is no nat8")
        put(leb128.unsigned(len(value)))
        put(bytes(value))
    else:
        _wrong("bytes, bytearray or memoryview (type blob)", value)


def _principal_encoder(expected: str) -> _Encoder:
    def encode_principal(value: Any, put: Callable[[Any], None]) -> None:
        if isinstance(value, str):
            raw = _bytes_of_text(value)
        elif isinstance(value, IcPyPrincipal):
            raw = value.bytes
        else:
            _wrong(expected, value)
        put(b"\x01" + leb128.unsigned(len(raw)) + raw)

    return encode_principal


def _bytes_of_text(text: str) -> bytes:
    try:
        return Principal.from_str(text).bytes
    except PrincipalError as error:
        raise EncodeError(str(error)) from None


_principal = _principal_encoder("principal")


def _func(value: Any, put: Callable[[Any], None]) -> None:
    if not isinstance(value, FuncRef):
        _wrong("FuncRef (type func)", value)
    put(b"\x01")
    _principal(value.service, put)
    _text(value.method, put)


def _opt(t: Opt, memo: dict[int, _Encoder]) -> _Encoder:
    inner = _encoder(t.inner, memo)
    ambiguous = is_nullable(t.inner)

    def encode_opt(value: Any, put: Callable[[Any], None]) -> None:
        if value is None:
            put(b"\x00")
            return
        if type(value) is Some:
            value = value.value
        elif ambiguous:
            _wrong(f"None or Some(...) (type opt {describe(t.inner)})", value)
        put(b"\x01")
        inner(value, put)

    return encode_opt


def _vec(t: Vec, inner: _Encoder) -> _Encoder:
    def encode_vec(value: Any, put: Callable[[Any], None]) -> None:
        if not isinstance(value, (list, tuple)):
            _wrong(f"list (type {describe(t)})", value)
        put(leb128.unsigned(len(value)))
        index = 0
        try:
            for index, element in enumerate(value):  # noqa: B007 - the error names it
                inner(element, put)
        except EncodeError as error:
            error.within(f"[{index}]")
            raise

    return encode_vec


def _record(t: Record, memo: dict[int, _Encoder]) -> _Encoder:
    fields = tuple((f.label, _encoder(f.type, memo), is_nullable(f.type)) for f in t.fields)
    labels = {f.label for f in t.fields}
    is_tuple, count = t.is_tuple or not t.fields, len(t.fields)

    def encode_record(value: Any, put: Callable[[Any], None]) -> None:
        if isinstance(value, tuple) and is_tuple:
            if len(value) != count:
                raise EncodeError(f"expected a tuple of {count} elements, got {len(value)}")
            value = dict(enumerate(value))
        elif not isinstance(value, Mapping):
            _wrong(f"{'tuple' if t.is_tuple else 'dict'} (type {describe(t)})", value)
        elif len(value) > count or not labels.issuperset(value):
            unknown = next(key for key in value if key not in labels)
            known = ", ".join(label_text(label) for label in list(labels)[:20])
            raise EncodeError(f"unknown field {unknown!r}; the record has {known or 'no fields'}")
        label: str | int = ""
        try:
            for label, encoder, nullable in fields:
                if label in value:
                    encoder(value[label], put)
                elif nullable:
                    encoder(None, put)
                else:
                    raise EncodeError("the field is missing")
        except EncodeError as error:
            error.within(f".{label_text(label)}")
            raise

    return encode_record


def _variant(t: Variant, memo: dict[int, _Encoder]) -> _Encoder:
    cases = {f.label: (leb128.unsigned(i), _encoder(f.type, memo)) for i, f in enumerate(t.fields)}

    def encode_variant(value: Any, put: Callable[[Any], None]) -> None:
        if not isinstance(value, Case):
            _wrong(f"Case (type {describe(t)})", value)
        case = cases.get(value.tag)
        if case is None:
            known = ", ".join(label_text(f.label) for f in t.fields[:20])
            raise EncodeError(f"unknown case {value.tag!r}; the variant has {known or 'no cases'}")
        put(case[0])
        try:
            case[1](value.value, put)
        except EncodeError as error:
            error.within(f".{label_text(value.tag)}")
            raise

    return encode_variant


_PRIMITIVES: dict[Type, _Encoder] = {
    NULL: _null,
    BOOL: _bool,
    NAT: _nat,
    INT: _int,
    FLOAT32: _float("<f", "float32"),
    FLOAT64: _float("<d", "float64"),
    TEXT: _text,
    RESERVED: _reserved,
    EMPTY: _empty,
    PRINCIPAL: _principal,
}
