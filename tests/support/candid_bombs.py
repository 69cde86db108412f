"""Arguments in Candid that are small, or of a given size, and take as much work as possible to decode or to skip."""

from __future__ import annotations

from canister_factory.candid.leb128 import unsigned

_NULL, _NAT8, _TEXT, _VEC, _RECORD, _VARIANT = b"\x7f", b"\x7b", b"\x71", b"\x6d", b"\x6c", b"\x6b"


def _table(constructor: bytes, fields: int, last: bytes) -> bytes:
    """Two types: a vector of a record or variant, and that, whose fields are null but for the last."""
    labels = b"".join(unsigned(label) + _NULL for label in range(fields - 1))
    inner = constructor + unsigned(fields) + labels + unsigned(fields - 1) + last
    return b"DIDL\x02" + _VEC + b"\x01" + inner


def variants(size: int, cases: int, most: int) -> bytes:
    """A vector of the last case of a variant, at most `most` times, and a text up to `size` bytes.

    To find the case's type a decoder looks at all cases, for each value.
    """
    index = unsigned(cases - 1)
    head = _table(_VARIANT, cases, _NULL) + b"\x02\x00" + _TEXT
    count = max(0, min((size - len(head) - 8) // len(index), most))
    return _filled(head + unsigned(count) + index * count, size)


def records(size: int, fields: int) -> bytes:
    """A vector of records of nulls, which take no bytes, and one byte each."""
    head = _table(_RECORD, fields, _NAT8) + b"\x01\x00"
    count = max(0, size - len(head) - 4)
    return head + unsigned(count) + bytes(count)


def nulls(size: int) -> bytes:
    """As many arguments as there are bytes."""
    count = size - 5 - len(unsigned(size))
    head = b"DIDL\x00" + unsigned(count)
    return head + _NULL * count + b"\x00" * (size - len(head) - count)


def _filled(head: bytes, size: int) -> bytes:
    text = max(0, size - len(head) - 4)
    return head + unsigned(text) + b"a" * text
