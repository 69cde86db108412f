"""Skipping values on the wire, with all the checks that decoding them would do.

Owns: the limits and the reader that all decoders share, and skipping. Does not own: building Python values
(`_decoders`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from canister_factory.candid import leb128
from canister_factory.candid.errors import DecodeError, LimitExceededError
from canister_factory.candid.types import (
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    INT,
    INT8,
    INT16,
    INT32,
    INT64,
    NAT,
    NAT8,
    NAT16,
    NAT32,
    NAT64,
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

FIXED_SIZES: dict[Type, int] = {
    NAT8: 1,
    INT8: 1,
    NAT16: 2,
    INT16: 2,
    NAT32: 4,
    INT32: 4,
    FLOAT32: 4,
    NAT64: 8,
    INT64: 8,
    FLOAT64: 8,
}


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a message may cost.

    Memory for the decoded values is bounded by the message's own length (blobs and texts), 40 bytes for each number
    in a vector of fixed-size numbers, and about 250 bytes for each of `max_values` and `max_zero_sized_values`.

    Attributes:
        max_type_bytes: length of the header (type table and argument types), bytes.
        max_depth: how often a value may pass through a recursive type.
        max_values: vector elements that are decoded one by one, records, and fields that are filled in with null
            because the message lacks them.
        max_zero_sized_values: values that take no bytes in the message (null, reserved, empty records), decoded or
            skipped; what "space bombs" consist of.
        max_skipped_values: vector elements, records and pieces of 64 bytes of text that the expected types don't
            want; data under a mismatching option are read twice and count here.
    """

    max_type_bytes: int = 256 * 1024
    max_depth: int = 256
    max_values: int = 2_000_000
    max_zero_sized_values: int = 1_000_000
    max_skipped_values: int = 2_000_000


class Reader:
    """A message being read: position, and what is left of the limits."""

    __slots__ = ("data", "depth", "limits", "pos", "skippable", "values", "zero_sized")

    def __init__(self, data: bytes, pos: int, limits: DecodeLimits) -> None:
        self.data = data
        self.pos = pos
        self.limits = limits
        self.depth = limits.max_depth
        self.values = limits.max_values
        self.zero_sized = limits.max_zero_sized_values
        self.skippable = limits.max_skipped_values

    def unsigned(self) -> int:
        """A LEB128 number."""
        data = self.data
        if self.pos < len(data) and (byte := data[self.pos]) < 128:
            self.pos += 1
            return byte
        number, self.pos = leb128.read_unsigned(data, self.pos)
        return number

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.pos
        end = start + count
        if end > len(self.data):
            raise self.too_short(count)
        self.pos = end
        return self.data[start:end]

    def count(self, element_size: int = 1) -> int:
        """The length of a sequence whose elements take at least `element_size` bytes each."""
        count = self.unsigned()
        if count * element_size > len(self.data) - self.pos:
            raise self.too_short(count * element_size)
        return count

    def too_short(self, wanted: int) -> DecodeError:
        """The error where data are missing."""
        left = len(self.data) - self.pos
        much = str(wanted) if wanted < 10**18 else "far more"
        return DecodeError(f"the message is too short: {much} byte(s) expected at byte {self.pos}, {left} left")

    def descend(self) -> None:
        """Enter a recursive type; the caller adds 1 to `depth` when it leaves."""
        if self.depth == 0:
            raise LimitExceededError(f"more than {self.limits.max_depth} nested values (DecodeLimits.max_depth)")
        self.depth -= 1

    def charge_zero_sized(self, count: int) -> None:
        """Pay for values that take no bytes."""
        self.zero_sized -= count
        if self.zero_sized < 0:
            raise LimitExceededError(
                f"more than {self.limits.max_zero_sized_values} values that take no bytes (null, reserved, empty"
                " records) (DecodeLimits.max_zero_sized_values)"
            )

    def charge_values(self, count: int) -> None:
        """Pay for Python values."""
        self.values -= count
        if self.values < 0:
            raise LimitExceededError(
                f"more than {self.limits.max_values} vector elements, records and filled-in fields"
                " (DecodeLimits.max_values)"
            )

    def charge_skipped(self, count: int) -> None:
        """Pay for skipping."""
        self.skippable -= count
        if self.skippable < 0:
            raise LimitExceededError(
                f"more than {self.limits.max_skipped_values} unwanted values to skip (DecodeLimits.max_skipped_values)"
            )

    def blob(self) -> bytes:
        """A length and as many bytes."""
        return self.take(self.unsigned())

    def text(self) -> str:
        """A length and UTF-8."""
        raw = self.take(self.unsigned())
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError(f"text is not UTF-8 at its byte {error.start}") from None

    def principal(self) -> bytes:
        """The raw bytes of a principal or service reference."""
        if self.take(1) != b"\x01":
            raise DecodeError("an opaque reference cannot be decoded; expected a principal's bytes")
        raw = self.blob()
        if len(raw) > 29:
            raise DecodeError(f"a principal has at most 29 bytes, got {len(raw)}")
        return raw


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
        found = self._skippers.get(id(t))
        if found is None:
            target: list[Skipper] = []

            def again(reader: Reader) -> None:
                reader.descend()
                target[0](reader)
                reader.depth += 1

            self._skippers[id(t)] = again
            found = self._skippers[id(t)] = self._build(t)
            target.append(found)
        return found

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


def read_tag(reader: Reader) -> bool:
    """Whether an option is present."""
    tag = reader.take(1)[0]
    if tag > 1:
        raise DecodeError(f"an option starts with 0 or 1, got {tag}")
    return tag == 1


def read_case(reader: Reader, cases: int) -> int:
    """The index of a variant's case."""
    index = reader.unsigned()
    if index >= cases:
        raise DecodeError(f"variant case out of range: the message's type has {cases} case(s)")
    return index


def check_bools(raw: bytes) -> None:
    """Refuse bytes other than 0 and 1."""
    if raw.strip(b"\x00\x01"):
        raise DecodeError("a bool is 0 or 1, got another byte")


def no_value(reader: Reader) -> None:
    """Refuse a value of type empty."""
    raise DecodeError("the message claims to hold a value of type empty, which has none")


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
