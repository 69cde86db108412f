"""CBOR as the HTTP interface uses it: a one-copy encoder, a decoder whose failures are typed, checks of shapes.

Owns the bytes' form only. Does not own: what the messages mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from typing import Any

import cbor2

from canister_factory.ic.errors import MalformedCborError
from canister_factory.ic.foreign_text import quoted

SELF_DESCRIBE = b"\xd9\xd9\xf7"
"""Tag 55799, which opens every message (interface specification, "CBOR encoding of requests and responses")."""
_LONGEST_REMEMBERED = 64  # characters of a string
_LARGE_BYTES = 1 << 16
_DEPTH, _ENTRIES = 8, 100  # of what is decoded here


def head(major: int, value: int) -> bytes:
    """The initial bytes of a data item: major type 0..7 and its argument below 2**64, in the shortest form."""
    if value < 24:
        return bytes((major << 5 | value,))
    if value < 1 << 8:
        return bytes((major << 5 | 24, value))
    if value < 1 << 16:
        return bytes((major << 5 | 25,)) + value.to_bytes(2, "big")
    if value < 1 << 32:
        return bytes((major << 5 | 26,)) + value.to_bytes(4, "big")
    return bytes((major << 5 | 27,)) + value.to_bytes(8, "big")


def dumps(value: Any) -> bytes:
    """Encodes `value` (dict, list, tuple, str, bytes, int below 2**64, bool, None) behind the self-describe tag.

    Parts are joined once, so a large blob is copied once.

    Raises:
        TypeError, OverflowError: another value.
    """
    parts = [SELF_DESCRIBE]
    _encode(value, parts)
    return b"".join(parts)


@lru_cache(maxsize=256)
def _short_text(text: str) -> bytes:
    """The item of a string such as the name of a field."""
    encoded = text.encode()
    return head(3, len(encoded)) + encoded


def _encode(value: Any, parts: list[bytes]) -> None:
    kind = type(value)  # exact types first: they are nearly all
    if kind is bytes:
        parts += (head(2, len(value)), value)
    elif kind is str and len(value) <= _LONGEST_REMEMBERED:
        parts.append(_short_text(value))
    elif kind is dict:
        parts.append(head(5, len(value)))
        for key, item in value.items():
            _encode(key, parts)
            _encode(item, parts)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        parts.append(head(2, len(value)))
        parts.append(value if isinstance(value, bytes) else bytes(value))
    elif isinstance(value, str):
        text = value.encode()
        parts.append(head(3, len(text)) + text)
    elif value is None:
        parts.append(b"\xf6")
    elif isinstance(value, bool):
        parts.append(b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        parts.append(head(0, value) if value >= 0 else head(1, -1 - value))
    elif isinstance(value, Mapping):
        parts.append(head(5, len(value)))
        for key, item in value.items():
            _encode(key, parts)
            _encode(item, parts)
    elif isinstance(value, (list, tuple)):
        parts.append(head(4, len(value)))
        for item in value:
            _encode(item, parts)
    else:
        raise TypeError(f"no CBOR form for a {type(value).__name__}")


def loads(data: bytes, what: str = "message") -> Any:
    """Decodes exactly one data item; a leading self-describe tag is optional. `what` names it in errors.

    Values may share structure (CBOR tag 29), so whoever walks them must bound the walk.

    Raises:
        MalformedCborError: it isn't exactly one item.
    """
    if len(data) >= _LARGE_BYTES:
        with suppress(_UnusualError, LookupError, ValueError):
            return _large(data)
    decoder = cbor2.CBORDecoder(BytesIO(data))
    try:
        value = decoder.decode()
    except RecursionError:
        raise MalformedCborError(f"{what}: CBOR nested too deeply") from None
    except Exception as error:  # its optional tags raise whatever their Python types raise
        raise MalformedCborError(f"{what}: not valid CBOR: {quoted(str(error), 100)}") from None
    try:
        decoder.read(1)
    except EOFError:
        return value
    raise MalformedCborError(f"{what}: bytes after the CBOR value")


class _UnusualError(Exception):
    """Something that is for the library to decode, or to refuse."""


def _large(data: bytes) -> Any:
    """What the library makes of the usual items; it copies a long byte string twice, in pieces of 64 KiB."""
    value, end = _item(data, len(SELF_DESCRIBE) if data.startswith(SELF_DESCRIBE) else 0, _DEPTH)
    if end != len(data):
        raise _UnusualError
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The item at an offset, and where the next one begins."""
    major, value = data[at] >> 5, data[at] & 31
    at += 1
    if value >= 28 or not depth:
        raise _UnusualError
    if value >= 24:
        size = 1 << value - 24
        value, at = int.from_bytes(data[at : at + size]), at + size
    if major == 0:
        return value, at
    end = at + value
    if major in (2, 3) and end <= len(data):
        return (data[at:end] if major == 2 else data[at:end].decode()), end
    if major not in (4, 5) or value > _ENTRIES:
        raise _UnusualError
    items = []
    for _ in range(value * (major - 3)):
        item, at = _item(data, at, depth - 1)
        items.append(item)
    return (items if major == 4 else _map(items)), at


def _map(items: list[Any]) -> dict[str, Any]:
    names = items[::2]
    if not all(type(name) is str for name in names):
        raise _UnusualError
    return dict(zip(names, items[1::2], strict=True))


def loads_map(data: bytes, what: str = "message") -> dict[str, Any]:
    """Like `loads`, for a map with text keys."""
    value = loads(data, what)
    if not isinstance(value, dict) or not all(type(key) is str for key in value):
        raise MalformedCborError(f"{what}: expected a CBOR map with text keys")
    return value
