"""Compiles decoders: one closure for each pair of a wire type and an expected type.

Owns: reading values and coercing them (Candid specification, "Coercion"). Does not own: headers, skipping (`skipping`),
limits (`reader`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from canister_factory.candid import leb128
from canister_factory.candid.errors import DecodeError, MismatchError
from canister_factory.candid.fixed_numbers import FIXED_SIZES, STRUCT_CODES
from canister_factory.candid.labels import label_text
from canister_factory.candid.principal import Principal
from canister_factory.candid.reader import Reader, check_bools, no_value, read_case, read_tag
from canister_factory.candid.skipping import SkipCompiler, Skipper
from canister_factory.candid.subtyping import explain_mismatch
from canister_factory.candid.types import (
    BOOL,
    EMPTY,
    INT,
    NAT,
    NAT8,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Future,
    Opt,
    Primitive,
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

Decoder = Callable[[Reader], Any]


class Compiler:
    """Compiles and keeps the decoders for one message header and one list of expected types."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[int, int], Decoder] = {}
        self._skips = SkipCompiler()

    def argument(self, wire: Type, expected: Type) -> Decoder:
        """A decoder of a whole argument of type `wire` at type `expected`."""
        return self._charged(wire, self._decoder(wire, expected), threshold=0)

    def skipped_argument(self, wire: Type) -> Skipper:
        """A function that checks and drops a whole argument."""
        return self._charged(wire, self._skips.skipper(wire), threshold=0)

    def _charged(self, wire: Type, decoder: Decoder, threshold: int = 1) -> Decoder:
        """Pay for content without bytes first; a weight up to the threshold is paid by the byte before it."""
        weight = self._skips.weight(wire)
        if weight <= threshold:
            return decoder

        def charged(reader: Reader) -> Any:
            reader.charge_zero_sized(weight)
            return decoder(reader)

        return charged

    def _decoder(self, wire: Type, expected: Type) -> Decoder:
        wire, expected = resolve(wire), resolve(expected)
        key = (id(wire), id(expected))
        decoder = self._decoders.get(key)
        if decoder is None:
            target: list[Decoder] = []

            def again(reader: Reader) -> Any:
                reader.descend()
                value = target[0](reader)
                reader.depth += 1
                return value

            # Met again while it's being built: a recursive type. Each turn through it counts as one level.
            self._decoders[key] = again
            decoder = self._decoders[key] = self._build(wire, expected)
            target.append(decoder)
        return decoder

    def _build(self, wire: Type, expected: Type) -> Decoder:
        if expected is RESERVED:
            return self._dropped(wire)
        if wire is EMPTY:
            return no_value
        if isinstance(expected, Opt):
            return self._opt(wire, expected)
        match wire, expected:
            case Primitive(), Primitive() if wire is expected or (wire is NAT and expected is INT):
                return _primitive(wire)
            case Service(), Primitive() if expected is PRINCIPAL:
                return _principal
            case Future(), Future():
                return self._dropped(wire)
            case Vec(), Vec():
                return self._vec(wire, expected)
            case Record(), Record():
                return self._record(wire, expected)
            case Variant(), Variant():
                return self._variant(wire, expected)
            case (Service(), Service()) | (Func(), Func()):
                why = explain_mismatch(wire, expected)
                if why is not None:
                    return _mismatch(why)
                return _principal if isinstance(wire, Service) else _func
        return _mismatch(f"expected {describe(expected)}, the message has {describe(wire)}")

    def _dropped(self, wire: Type) -> Decoder:
        skip = self._skips.skipper(wire)

        def drop(reader: Reader) -> None:
            skip(reader)

        return drop

    def _opt(self, wire: Type, expected: Opt) -> Decoder:
        if wire is NULL or wire is RESERVED:
            return lambda reader: None
        tagged = isinstance(wire, Opt)
        content_type = wire.inner if isinstance(wire, Opt) else wire
        content = self._decoder(content_type, expected.inner)
        skip = self._skips.skipper(content_type)
        weight = self._skips.weight(content_type) if tagged else 0
        wrap = is_nullable(expected.inner)

        def decode_opt(reader: Reader) -> Any:
            if tagged:
                data, pos = reader.data, reader.pos
                if pos >= len(data) or data[pos] > 1:
                    read_tag(reader)
                reader.pos = pos + 1
                if not data[pos]:
                    return None
                if weight > 1:
                    reader.charge_zero_sized(weight)
            start, depth = reader.pos, reader.depth
            try:
                value = content(reader)
            except MismatchError:
                # Well formed so far, but not of the expected type: null, and read again only to check and skip.
                reader.pos, reader.depth = start, depth
                reader.charge_skipped(1)
                skip(reader)
                return None
            return Some(value) if wrap else value

        return decode_opt

    def _vec(self, wire: Vec, expected: Vec) -> Decoder:
        wire_inner, inner = resolve(wire.inner), resolve(expected.inner)
        if wire_inner is inner:
            if inner is NAT8:
                return Reader.blob
            if inner is BOOL:
                return _bools
            if inner in STRUCT_CODES:
                return _numbers(inner)
        element = self._decoder(wire_inner, inner)
        weight = self._skips.weight(wire_inner)
        blob = is_blob(expected)

        def decode_vec(reader: Reader) -> Any:
            if weight:
                count = reader.unsigned()
                reader.charge_zero_sized(weight * count)
            else:
                count = reader.count()
            reader.charge_values(count)
            values: list[Any] = []
            append = values.append
            try:
                for _ in range(count):
                    append(element(reader))
            except DecodeError as error:
                error.within(f"[{len(values)}]")
                raise
            return bytes(values) if blob else values

        return decode_vec

    def _record(self, wire: Record, expected: Record) -> Decoder:
        wanted = {f.id: f for f in expected.fields}
        have = {f.id for f in wire.fields}
        for field in expected.fields:
            if field.id not in have and not is_nullable(field.type):
                return _mismatch(f"field {label_text(field.label)} of type {describe(field.type)} is missing")
        empty: dict[str | int, Any] = {f.label: None for f in expected.fields}
        whole_weight = self._skips.weight(wire)
        weight = 0 if whole_weight else sum(self._skips.weight(f.type) for f in wire.fields)
        steps: list[tuple[str | int | None, Decoder]] = []
        for field in wire.fields:
            target = wanted.get(field.id)
            if target is None:
                if not self._skips.weight(field.type):
                    steps.append((None, self._skips.skipper(field.type)))
            else:
                steps.append((target.label, self._decoder(field.type, target.type)))
        plan = tuple(steps)
        cost = 1 + len(empty.keys() - {label for label, _ in plan})
        is_tuple = expected.is_tuple

        def decode_record(reader: Reader) -> Any:
            # Records may nest without taking bytes, so each one is paid for, as are the fields that it gets for free.
            reader.values -= cost
            if weight or reader.values < 0:
                reader.charge_values(0)
                reader.charge_zero_sized(weight)
            values = empty.copy()
            label: str | int | None = None
            try:
                for label, decoder in plan:
                    if label is None:
                        decoder(reader)
                    else:
                        values[label] = decoder(reader)
            except DecodeError as error:
                error.within(".(skipped field)" if label is None else f".{label_text(label)}")
                raise
            return tuple(values.values()) if is_tuple else values

        return decode_record

    def _variant(self, wire: Variant, expected: Variant) -> Decoder:
        wanted = {f.id: f for f in expected.fields}
        cases: list[tuple[str | int, Decoder]] = []
        for field in wire.fields:
            target = wanted.get(field.id)
            if target is None:
                known = ", ".join(label_text(f.label) for f in expected.fields[:20])
                decoder = _mismatch(f"variant case {label_text(field.label)} is not among the expected: {known}")
                cases.append((field.label, decoder))
            else:
                decoder = self._charged(field.type, self._decoder(field.type, target.type))
                cases.append((target.label, decoder))
        count = len(cases)

        def decode_variant(reader: Reader) -> Case:
            label, decoder = cases[read_case(reader, count)]
            try:
                return Case(label, decoder(reader))
            except DecodeError as error:
                error.within(f".{label_text(label)}")
                raise

        return decode_variant


def _mismatch(problem: str) -> Decoder:
    def refuse(reader: Reader) -> Any:
        raise MismatchError(problem)

    return refuse


def _primitive(t: Type) -> Decoder:
    if t in FIXED_SIZES:
        size = FIXED_SIZES[t]
        unpack = struct.Struct("<" + STRUCT_CODES[t]).unpack_from

        def decode_number(reader: Reader) -> Any:
            pos = reader.pos
            try:
                (value,) = unpack(reader.data, pos)
            except struct.error:
                raise reader.too_short(size) from None
            reader.pos = pos + size
            return value

        return decode_number
    return _PRIMITIVES[t]


def _numbers(t: Type) -> Decoder:
    size, code = FIXED_SIZES[t], STRUCT_CODES[t]

    def decode_numbers(reader: Reader) -> list[Any]:
        count = reader.count(size)
        pos = reader.pos
        reader.pos = pos + count * size
        return list(struct.unpack_from(f"<{count}{code}", reader.data, pos))

    return decode_numbers


def _bools(reader: Reader) -> list[bool]:
    raw = reader.blob()
    check_bools(raw)
    return [byte == 1 for byte in raw]


def _bool(reader: Reader) -> bool:
    raw = reader.take(1)
    check_bools(raw)
    return raw == b"\x01"


def _int(reader: Reader) -> int:
    number, reader.pos = leb128.read_signed(reader.data, reader.pos)
    return number


def _nothing(reader: Reader) -> None:
    return None


def _principal(reader: Reader) -> Principal:
    return Principal(reader.principal())


def _func(reader: Reader) -> FuncRef:
    if reader.take(1) != b"\x01":
        raise DecodeError("an opaque function reference cannot be decoded")
    return FuncRef(_principal(reader), reader.text())


_PRIMITIVES: dict[Type, Decoder] = {
    NULL: _nothing,
    BOOL: _bool,
    NAT: Reader.unsigned,
    INT: _int,
    TEXT: Reader.text,
    PRINCIPAL: _principal,
}
