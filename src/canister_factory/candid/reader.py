"""A message that is being read: where, and what is left of the limits.

Owns: the limits, the reader that all decoders share, and the checks that decoding and skipping have in common. Does not
own: what is made of the values (`coercion`, `skipping`).
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.candid import leb128
from canister_factory.candid.errors import DecodeError, LimitExceededError


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
            raise self._exceeded("max_depth", "nested values")
        self.depth -= 1

    def charge_zero_sized(self, count: int) -> None:
        """Pay for values that take no bytes."""
        self.zero_sized -= count
        if self.zero_sized < 0:
            what = "values that take no bytes (null, reserved, empty records)"
            raise self._exceeded("max_zero_sized_values", what)

    def charge_values(self, count: int) -> None:
        """Pay for Python values."""
        self.values -= count
        if self.values < 0:
            raise self._exceeded("max_values", "vector elements, records and filled-in fields")

    def charge_skipped(self, count: int) -> None:
        """Pay for skipping."""
        self.skippable -= count
        if self.skippable < 0:
            raise self._exceeded("max_skipped_values", "unwanted values to skip")

    def _exceeded(self, limit: str, what: str) -> LimitExceededError:
        return LimitExceededError(f"more than {getattr(self.limits, limit)} {what} (DecodeLimits.{limit})")

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
