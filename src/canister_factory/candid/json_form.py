"""Candid values as JSON, so that nothing is lost: values of one type that differ have JSON that differs.

Owns that form. Does not own: the JSON of models (`binding`), or writing it (callers).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from canister_factory.candid.errors import EncodeError
from canister_factory.candid.text_form import decimal
from canister_factory.candid.types import (
    FLOAT32,
    FLOAT64,
    INT,
    INT64,
    NAT,
    NAT64,
    PRINCIPAL,
    Func,
    Opt,
    Primitive,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    is_blob,
    resolve,
)
from canister_factory.candid.values import Some

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps: those with float64 numbers round beyond it (RFC 8259, 6)."""

_AS_TEXT = frozenset((NAT, INT, NAT64, INT64))
_NUMBERED = re.compile(r"_+[0-9]+_\Z")


def to_json(t: Type, value: Any) -> Any:
    """A value of the codec as what `json.dumps` takes.

    - nat, int, nat64, int64: decimal text; other integers: numbers
    - floats: numbers, or "NaN", "Infinity", "-Infinity"
    - text, principal, service: text; blob: hexadecimal text; null, reserved: null
    - opt: null or the content; where the content may be null itself, a list of it: `opt opt nat` has null, [null] and
      ["5"]
    - vec and tuples: lists; other records: objects; variants: objects with the one case, its content null where it has
      none; func: {"service": ..., "method": ...}
    - a label without a name: its number as `_5_`, as the official JavaScript bindings have it; a name that looks like
      this gets one more underscore in front

    Raises:
        EncodeError: nested too deeply.
    """
    try:
        return _form(t, value)
    except RecursionError:
        raise EncodeError("values are nested too deeply to write") from None


def label_key(label: str | int) -> str:
    """The key of a label in a JSON object; labels that differ have keys that differ."""
    if isinstance(label, int):
        return f"_{label}_"
    return f"_{label}" if _NUMBERED.match(label) else label


def exact(value: Any) -> Any:
    """Plain data for `json.dumps`; integers beyond 2^53 - 1, NaN and infinities, which JSON readers change, are text.

    What isn't plain data stays, for `json.dumps(default=...)`.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return decimal(value) if abs(value) > MAX_SAFE_INTEGER else value
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return value


def _form(t: Type, value: Any) -> Any:
    t = resolve(t)
    match t:
        case Primitive():
            return _primitive(t, value)
        case Opt():
            if value is None:
                return None
            return [_form(t.inner, value.value)] if isinstance(value, Some) else _form(t.inner, value)
        case Vec() if is_blob(t):
            return bytes(value).hex()
        case Vec():
            return [_form(t.inner, item) for item in value]
        case Record():
            given = dict(enumerate(value)) if isinstance(value, tuple) else value
            members = [(f.label, _form(f.type, given.get(f.label))) for f in t.fields]
            return [form for _, form in members] if t.is_tuple else {label_key(label): form for label, form in members}
        case Variant():
            content = next(f.type for f in t.fields if f.label == value.tag)
            return {label_key(value.tag): _form(content, value.value)}
        case Func():
            return {"service": str(value.service), "method": value.method}
        case Service():
            return str(value)
    raise EncodeError(f"values of {t} have no JSON form")


def _primitive(t: Primitive, value: Any) -> Any:
    if t in _AS_TEXT:
        return decimal(value)
    if t is FLOAT32 or t is FLOAT64:
        return _float(float(value))
    return str(value) if t is PRINCIPAL else value


def _float(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
