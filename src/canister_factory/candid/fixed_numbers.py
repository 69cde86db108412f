"""Numbers of a fixed size on the wire: how `struct` names them, how long they are, what they range over.

Owns: that table. Does not own: reading and writing them.
"""

from __future__ import annotations

import struct

from canister_factory.candid.types import (
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    NAT8,
    NAT16,
    NAT32,
    NAT64,
    Type,
)

STRUCT_CODES: dict[Type, str] = {
    NAT8: "B",
    NAT16: "H",
    NAT32: "I",
    NAT64: "Q",
    INT8: "b",
    INT16: "h",
    INT32: "i",
    INT64: "q",
    FLOAT32: "f",
    FLOAT64: "d",
}
"""Little-endian throughout, so `<` goes before them."""

FIXED_SIZES: dict[Type, int] = {t: struct.calcsize("<" + code) for t, code in STRUCT_CODES.items()}
"""Bytes."""


def integer_range(t: Type) -> tuple[int, int] | None:
    """The lowest and the highest value of an integer type of fixed size; `None` for other types."""
    if t not in FIXED_SIZES or t in (FLOAT32, FLOAT64):
        return None
    bits = 8 * FIXED_SIZES[t]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if STRUCT_CODES[t].islower() else (0, (1 << bits) - 1)
