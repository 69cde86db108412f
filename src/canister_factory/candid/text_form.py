"""Values written in Candid's textual form (Candid specification, "Values").

Owns: that. Does not own: reading it (`text`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import EncodeError
from canister_factory.candid.labels import label_text, quote
from canister_factory.candid.types import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Opt,
    Primitive,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    describe,
    is_blob,
    resolve,
)
from canister_factory.candid.values import Some


def format_args(types: Sequence[Type], values: Sequence[Any]) -> str:
    """Write an argument list on one line; `parse_args` reads it back, without types as well.

    Numbers carry an annotation where their type is neither int nor float64. Infinities and NaN are written `inf` and
    `nan`, which Candid's textual form cannot read back.

    Raises:
        EncodeError: a value does not fit its type.
    """
    encode(types, values)
    try:
        return f"({', '.join(_show(resolve(t), v) for t, v in zip(types, values, strict=True))})"
    except RecursionError:
        raise EncodeError("values are nested too deeply to write") from None


def _show(t: Type, value: Any) -> str:
    match t:
        case Primitive():
            return _show_primitive(t, value)
        case Opt():
            return _show_opt(t, value)
        case Vec() if is_blob(t):
            return f'blob "{bytes(value).decode("latin-1").translate(_BLOB_ESCAPES)}"'
        case Vec():
            inner = resolve(t.inner)
            return _braces("vec", [_show(inner, v) for v in value])
        case Record():
            given = dict(enumerate(value)) if isinstance(value, tuple) else value
            shown = [(f.label, _show(resolve(f.type), given.get(f.label))) for f in t.fields]
            return _braces("record", [s if t.is_tuple else f"{label_text(label)} = {s}" for label, s in shown])
        case Variant():
            content = next(resolve(f.type) for f in t.fields if f.label == value.tag)
            label = label_text(value.tag)
            return _braces("variant", [label if content is NULL else f"{label} = {_show(content, value.value)}"])
        case Service():
            return f'service "{value}"'
        case Func():
            return f'func "{value.service}".{label_text(value.method)}'
    raise EncodeError(f"values of {describe(t)} cannot be written")


def _show_primitive(t: Primitive, value: Any) -> str:
    if t is TEXT:
        return quote(value)
    if t is PRINCIPAL:
        return f'principal "{value}"'
    if t is BOOL:
        return "true" if value else "false"
    if t is NULL:
        return "null"
    if t is RESERVED:
        return "null : reserved"
    if t is FLOAT64:
        return repr(float(value))
    if t is FLOAT32:
        return f"{_shortest_float32(value)} : float32"
    return decimal(value) if t is INT else f"{decimal(value)} : {t.name}"


def _show_opt(t: Opt, value: Any) -> str:
    if value is None:
        return "null"
    inner = resolve(t.inner)
    shown = _show(inner, value.value if isinstance(value, Some) else value)
    annotated = isinstance(inner, Primitive) and shown.endswith(f" : {inner.name}") and inner is not TEXT
    return f"opt ({shown})" if annotated else f"opt {shown}"


def _braces(kind: str, items: list[str]) -> str:
    return f"{kind} {{ {'; '.join(items)} }}" if items else f"{kind} {{}}"


def _shortest_float32(value: float) -> str:
    wanted = struct.pack("<f", value)
    for digits in range(1, 10):
        shown = repr(float(f"{value:.{digits}g}"))
        try:
            if struct.pack("<f", float(shown)) == wanted:
                return shown
        except OverflowError:
            continue
    return repr(float(value))


def decimal(number: int) -> str:
    """Decimal digits; in pieces, since Python refuses to convert very long numbers at once."""
    if number.bit_length() < 8192:
        return str(number)
    sign, number = ("-", -number) if number < 0 else ("", number)
    pieces = []
    while number:
        number, piece = divmod(number, 10**2000)
        pieces.append(f"{piece:02000d}")
    return sign + "".join(reversed(pieces)).lstrip("0")


_BLOB_ESCAPES = {byte: f"\\{byte:02x}" for byte in range(256) if not 0x20 <= byte < 0x7F or byte in (0x22, 0x5C)}
