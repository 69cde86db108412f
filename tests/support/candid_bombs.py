"""Arguments in Candid that are small, or of a given size, and take as much work as possible to decode or to skip."""

from __future__ import annotations

from collections.abc import Iterator

from canister_factory.candid.leb128 import unsigned

_NULL, _NAT8, _NAT, _TEXT, _VEC, _RECORD, _VARIANT, _OPT = (
    bytes([code]) for code in (0x7F, 0x7B, 0x7D, 0x71, 0x6D, 0x6C, 0x6B, 0x6E)
)


def _table(constructor: bytes, fields: int, last: bytes) -> bytes:
    """Two types: a vector of a record or variant, and that, whose fields are null but for the last."""
    labels = b"".join(unsigned(label) + _NULL for label in range(fields - 1))
    inner = constructor + unsigned(fields) + labels + unsigned(fields - 1) + last
    return b"DIDL\x02" + _VEC + b"\x01" + inner


def variants(size: int, cases: int, most: int) -> bytes:
    """A vector of the last case of a variant, at most `most` times, and nulls as arguments up to `size` bytes.

    To find the case's type a decoder looks at all cases, for each value.
    """
    index = unsigned(cases - 1)
    head = _table(_VARIANT, cases, _NULL)
    room = max(0, size - len(head) - 12)
    count = min(room // len(index), most)
    vector = unsigned(count) + index * count
    filling = max(0, room - len(vector))
    return head + unsigned(1 + filling) + b"\x00" + _NULL * filling + vector


def records(size: int, fields: int, most: int | None = None) -> bytes:
    """A vector of records of nulls, which take no bytes, and one byte each."""
    head = _table(_RECORD, fields, _NAT8) + b"\x01\x00"
    count = max(0, size - len(head) - 4)
    count = count if most is None else min(count, most)
    return head + unsigned(count) + bytes(count)


def nulls(size: int) -> bytes:
    """As many arguments as there are bytes."""
    count = size - 5 - len(unsigned(size))
    head = b"DIDL\x00" + unsigned(count)
    return head + _NULL * count + b"\x00" * (size - len(head) - count)


def nested(size: int, constructor: bytes) -> bytes:
    """A value in a value in a value, one for each byte."""
    return b"DIDL\x01" + constructor + b"\x00\x01\x00" + b"\x01" * (size - 10) + b"\x00"


def text(size: int) -> bytes:
    """One text, whose characters have two bytes."""
    return b"DIDL\x00\x01" + _TEXT + unsigned(size // 2 - 8) + "é".encode() * (size // 4 - 4)


def number(size: int) -> bytes:
    """One number of as many bytes as there are."""
    return b"DIDL\x00\x01" + _NAT + b"\xff" * (size - 9) + b"\x01"


def bombs(size: int, values: int) -> list[bytes]:
    """All of these that fit `size` bytes, with as many values as a decoder that takes `values` goes through."""
    return [bomb for bomb in _bombs(size, values) if len(bomb) <= size]


def _bombs(size: int, values: int) -> Iterator[bytes]:
    yield nulls(size)
    yield text(size)
    yield number(size)
    for constructor in (_OPT, _VEC):
        yield nested(size, constructor)
    for fields in (5, 30):
        yield records(size, fields, values // (fields + 1))
    for cases in (30, 45, 64, 90, 120, 150, 180, 200, 208, 216, 224):
        yield variants(size, cases, values // 2)
    yield variants(size, 30, values)
