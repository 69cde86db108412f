"""Candid messages to Python values at expected types (Candid specification, "Deserialisation" and "Coercion").

Owns: the public functions and the cache of compiled decoders. Does not own: how one value is read
(`coercion`) or the type table (`type_table`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from canister_factory.candid.coercion import Compiler, Decoder
from canister_factory.candid.errors import DecodeError, LimitExceededError
from canister_factory.candid.reader import DecodeLimits, Reader
from canister_factory.candid.type_table import decode_header
from canister_factory.candid.types import Type, describe, is_nullable

__all__ = ["DEFAULT_LIMITS", "DecodeLimits", "decode", "decode_untyped"]

DEFAULT_LIMITS = DecodeLimits()
_CACHED_HEADERS = 8
_MAX_CACHED_HEADER_BYTES = 16 * 1024


def decode(
    data: bytes | bytearray | memoryview, types: Sequence[Type], limits: DecodeLimits = DEFAULT_LIMITS
) -> tuple[Any, ...]:
    """Decode a message at expected types, with full subtyping; one Python value for each type.

    Missing arguments are None where the type is opt, null or reserved; further arguments are checked and dropped;
    an option whose content doesn't fit is None. Blobs are sliced out in one copy.

    Raises:
        MismatchError: a well-formed message with a value that does not fit; the message leads to it.
        LimitExceededError: the message costs more than `limits` allow.
        DecodeError: not a well-formed message (also the base of the other two).
    """
    raw = data if type(data) is bytes else bytes(memoryview(data))
    cache = _programs(tuple(types))
    for header, program in cache.entries:
        if raw.startswith(header) and len(header) <= limits.max_type_bytes:
            return _run(program, raw, len(header), limits)
    wire, start = decode_header(raw, limits.max_type_bytes)
    program = _compile(wire, cache.types)
    if start <= _MAX_CACHED_HEADER_BYTES:
        # Replaced as a whole, so that threads always see a consistent tuple. A header is self-delimiting: a message
        # that starts with a known one has exactly this one.
        cache.entries = ((raw[:start], program), *cache.entries[: _CACHED_HEADERS - 1])
    return _run(program, raw, start, limits)


def decode_untyped(
    data: bytes | bytearray | memoryview, limits: DecodeLimits = DEFAULT_LIMITS
) -> tuple[tuple[Type, ...], tuple[Any, ...]]:
    """Decode a message at its own types: (types, values). Labels are numbers, as names don't travel.

    Raises:
        DecodeError: not a well-formed message, or (LimitExceededError) more costly than `limits` allow.
    """
    raw = data if type(data) is bytes else bytes(memoryview(data))
    wire, start = decode_header(raw, limits.max_type_bytes)
    return wire, _run(_compile(wire, wire), raw, start, limits)


class _Programs:
    """The compiled decoders of one list of expected types, by the headers that were met last."""

    __slots__ = ("entries", "types")

    def __init__(self, types: tuple[Type, ...]) -> None:
        self.types = types
        self.entries: tuple[tuple[bytes, _Program], ...] = ()


@dataclass(frozen=True, slots=True)
class _Program:
    arguments: tuple[Decoder, ...]
    missing: int
    extra: tuple[Decoder, ...]


@lru_cache(maxsize=512)
def _programs(types: tuple[Type, ...]) -> _Programs:
    return _Programs(types)


def _compile(wire: tuple[Type, ...], types: tuple[Type, ...]) -> _Program:
    for index in range(len(wire), len(types)):
        if not is_nullable(types[index]):
            raise DecodeError(f"argument {index} of type {describe(types[index])} is missing")
    compiler = Compiler()
    try:
        arguments = tuple(compiler.argument(w, t) for w, t in zip(wire, types, strict=False))
        extra = tuple(compiler.skipped_argument(w) for w in wire[len(types) :])
    except RecursionError:
        raise LimitExceededError("types are nested too deeply to decode") from None
    return _Program(arguments, max(len(types) - len(wire), 0), extra)


def _run(program: _Program, data: bytes, start: int, limits: DecodeLimits) -> tuple[Any, ...]:
    reader = Reader(data, start, limits)
    values: list[Any] = []
    index = 0
    try:
        for decoder in program.arguments:
            values.append(decoder(reader))
        for index, skip in enumerate(program.extra):  # noqa: B007 - the error names it
            skip(reader)
    except DecodeError as error:
        error.within(f"argument {len(values) + index}")
        raise
    except RecursionError:
        raise LimitExceededError(f"argument {len(values) + index}: nested too deeply to decode") from None
    if reader.pos != len(data):
        raise DecodeError(f"{len(data) - reader.pos} byte(s) follow the last argument")
    values.extend([None] * program.missing)
    return tuple(values)
