"""Skipping values on the wire, with all the checks that decoding them would do.

Owns: that. Does not own: the reader and its limits (`reader`), building Python values (`coercion`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from canister_factory.candid.errors import DecodeError
from canister_factory.candid.fixed_numbers import FIXED_SIZES
from canister_factory.candid.reader import Reader, check_bools, no_value, read_case, read_tag
from canister_factory.candid.types import (
    BOOL,
    EMPTY,
    INT,
    NAT,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Future,
    Opt,
    Record,
    Service,
    Type,
    Variant,
    Vec,
    resolve,
)

Skipper = Callable[[Reader], Any]


def zero_weight(t: Type, memo: dict[int, int | None]) -> int | None:
    """How many values a type's values consist of where these never take any bytes; None for all other types.

    A record that contains itself has no values at all, so treating it as not zero-sized is right.
    """
    t = resolve(t)
    if t is NULL or t is RESERVED:
        return 1
    if not isinstance(t, Record):
        return None
    if id(t) not in memo:
        memo[id(t)] = None
        weights = [zero_weight(f.type, memo) for f in t.fields]
        memo[id(t)] = None if None in weights else 1 + sum(w for w in weights if w is not None)
    return memo[id(t)]


class SkipCompiler:
    """Compiles skipping functions, one for each wire type, kept for one message header."""

    def __init__(self) -> None:
        self._skippers: dict[int, Skipper] = {}
        self._weights: dict[int, int | None] = {}

    def weight(self, t: Type) -> int:
        """What a value of this type costs where it is met: 0 for types that take bytes."""
        return zero_weight(t, self._weights) or 0

    def skipper(self, t: Type) -> Skipper:
        """A function that moves the reader behind a value of the wire type `t`, or raises DecodeError."""
        t = resolve(t)
        skipper = self._skippers.get(id(t))
        if skipper is None:
            target: list[Skipper] = []

            def again(reader: Reader) -> None:
                reader.descend()
                target[0](reader)
                reader.depth += 1

            self._skippers[id(t)] = again
            skipper = self._skippers[id(t)] = self._build(t)
            target.append(skipper)
        return skipper

    def _build(self, t: Type) -> Skipper:
        if t in FIXED_SIZES:
            size = FIXED_SIZES[t]
            return lambda reader: reader.take(size)
        match t:
            case Opt():
                return self._opt(t)
            case Vec():
                return self._vec(t)
            case Record():
                return self._record(t)
            case Variant():
                return self._variant(t)
            case Service():
                return Reader.principal
            case Func():
                return _skip_func
            case Future():
                return _skip_future
        return _PRIMITIVES[t]

    def _opt(self, t: Opt) -> Skipper:
        inner, weight = self.skipper(t.inner), self.weight(t.inner)

        def skip_opt(reader: Reader) -> None:
            if read_tag(reader):
                if weight > 1:
                    reader.charge_zero_sized(weight)
                inner(reader)

        return skip_opt

    def _vec(self, t: Vec) -> Skipper:
        weight = self.weight(t.inner)
        inner_type = resolve(t.inner)
        inner = self.skipper(t.inner)
        size = FIXED_SIZES.get(inner_type)

        def skip_zero_sized(reader: Reader) -> None:
            reader.charge_zero_sized(weight * reader.unsigned())

        def skip_fixed(reader: Reader) -> None:
            assert size is not None
            count = reader.count(size)
            reader.pos += count * size

        def skip_bools(reader: Reader) -> None:
            check_bools(reader.blob())

        def skip_each(reader: Reader) -> None:
            count = reader.count()
            reader.charge_skipped(count)
            for _ in range(count):
                inner(reader)

        if weight:
            return skip_zero_sized
        if size is not None:
            return skip_fixed
        return skip_bools if inner_type is BOOL else skip_each

    def _record(self, t: Record) -> Skipper:
        if self.weight(t):
            return _skip_nothing
        fields = [(self.skipper(f.type), self.weight(f.type)) for f in t.fields]
        weight = sum(w for _, w in fields)
        members = tuple(skip for skip, w in fields if not w)

        def skip_record(reader: Reader) -> None:
            # Records may nest without taking bytes, so each one is paid for.
            reader.charge_skipped(1)
            if weight:
                reader.charge_zero_sized(weight)
            for skip in members:
                skip(reader)

        return skip_record

    def _variant(self, t: Variant) -> Skipper:
        cases = tuple((self.skipper(f.type), self.weight(f.type)) for f in t.fields)

        def skip_variant(reader: Reader) -> None:
            skip, weight = cases[read_case(reader, len(cases))]
            if weight > 1:
                reader.charge_zero_sized(weight)
            skip(reader)

        return skip_variant


def _skip_nothing(reader: Reader) -> None:
    pass


def _skip_bool(reader: Reader) -> None:
    check_bools(reader.take(1))


def _skip_text(reader: Reader) -> None:
    start = reader.pos
    reader.text()
    reader.charge_skipped((reader.pos - start) >> 6)


def _skip_number(reader: Reader) -> None:
    start = reader.pos
    reader.unsigned()
    reader.charge_skipped((reader.pos - start) >> 6)


def _skip_func(reader: Reader) -> None:
    if reader.take(1) != b"\x01":
        raise DecodeError("an opaque function reference cannot be decoded")
    reader.principal()
    reader.text()


def _skip_future(reader: Reader) -> None:
    size = reader.unsigned()
    reader.unsigned()  # the number of references, which travel outside the message
    if size > len(reader.data) - reader.pos:
        raise reader.too_short(size)
    reader.pos += size


_PRIMITIVES: dict[Type, Skipper] = {
    NULL: _skip_nothing,
    RESERVED: _skip_nothing,
    EMPTY: no_value,
    BOOL: _skip_bool,
    NAT: _skip_number,
    INT: _skip_number,
    TEXT: _skip_text,
    PRINCIPAL: Reader.principal,
}
