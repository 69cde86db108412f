"""Fills and copies of memory in pieces, so that an execution can stop between two.

Owns: putting calls of two added functions in the place of the instructions `memory.fill` and `memory.copy`. Does not
own the other changes to a module (`instrument`).

Wasmtime counts their bytes as instructions, but stops only afterwards, and a gibibyte takes a second. Calls are as long
as the instructions that they replace, so that nothing else moves.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Final

import wasmtime

from canister_factory.candid import leb128

TYPE_SECTION: Final = 1
FUNCTION_SECTION: Final = 3
CODE_SECTION: Final = 10
PIECE_BYTES: Final = 256 * 1024

_FILL: Final = b"\xfc\x0b\x00"
_COPY: Final = b"\xfc\x0a\x00\x00"
_CALL: Final = 0x10
_BR_TABLE: Final = 0x0E
_I32: Final = 0x7F
_I64: Final = 0x7E

_LEB: Final = rb"[\x80-\xff]*+[\x00-\x7f]"
# Runs of instructions other than those that are looked for, and than br_table, whose length depends on its content.
_OTHERS: Final = re.compile(
    rb"(?s:"
    rb"[\x02-\x04\x0c\x0d\x10\x12\x20-\x26\x3f-\x42\xd0\xd2]LEB"  # blocks, branches, calls, variables, tables, consts
    rb"|[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]"  # no immediates
    rb"|[\x11\x13\x28-\x3e]LEBLEB"  # indirect calls, loads, stores
    rb"|\x43.{4}|\x44.{8}|\x1c\x01."  # float consts, typed select
    rb"|\xfc(?:[\x00-\x07]|[\x08\x0c\x0e]LEBLEB|[\x09\x0d\x0f-\x11]LEB)"  # saturating casts, segments, tables
    rb"|\xfd(?:[\x00-\x0b\x5c\x5d]LEBLEB|[\x54-\x5b]LEBLEB.|[\x0c\x0d].{16}|[\x15-\x22]."  # vectors
    rb"|[\x0e-\x14\x23-\x53\x5e-\x7f]|[\x80-\xff]LEB)"
    rb")*+".replace(b"LEB", _LEB)
)

_HELPERS: Final = """(module (memory {memory} 0)
  (func (param $to {type}) (param $byte i32) (param $size {type})
    (loop $next
      (if ({type}.gt_u (local.get $size) ({type}.const {piece}))
        (then
          (memory.fill (local.get $to) (local.get $byte) ({type}.const {piece}))
          (local.set $to ({type}.add (local.get $to) ({type}.const {piece})))
          (local.set $size ({type}.sub (local.get $size) ({type}.const {piece})))
          (br $next))))
    (memory.fill (local.get $to) (local.get $byte) (local.get $size)))
  (func (param $to {type}) (param $from {type}) (param $size {type})
    (if ({type}.le_u (local.get $to) (local.get $from))
      (then
        (loop $next
          (if ({type}.gt_u (local.get $size) ({type}.const {piece}))
            (then
              (memory.copy (local.get $to) (local.get $from) ({type}.const {piece}))
              (local.set $to ({type}.add (local.get $to) ({type}.const {piece})))
              (local.set $from ({type}.add (local.get $from) ({type}.const {piece})))
              (local.set $size ({type}.sub (local.get $size) ({type}.const {piece})))
              (br $next)))))
      (else  ;; from the end, since the places may overlap; what ends beyond the addresses traps below, as a whole
        (if ({type}.ge_u ({type}.add (local.get $to) (local.get $size)) (local.get $to))
          (then
            (loop $before
              (if ({type}.gt_u (local.get $size) ({type}.const {piece}))
                (then
                  (local.set $size ({type}.sub (local.get $size) ({type}.const {piece})))
                  (memory.copy
                    ({type}.add (local.get $to) (local.get $size))
                    ({type}.add (local.get $from) (local.get $size))
                    ({type}.const {piece}))
                  (br $before))))))))
    (memory.copy (local.get $to) (local.get $from) (local.get $size))))"""


def in_pieces(sections: dict[int, bytes], imported_functions: int, *, memory64: bool) -> dict[int, bytes]:
    """The sections of a valid module that are different afterwards; none where it has nothing that can be long.

    Args:
        sections: payloads by id.
        imported_functions: how many; its own follow in the index space.
        memory64: whether addresses have 64 bits.
    """
    code = sections.get(CODE_SECTION, b"\x00")
    if _FILL not in code and _COPY not in code:
        return {}
    types, rest_of_types = _counted(sections[TYPE_SECTION])
    functions, rest_of_functions = _counted(sections[FUNCTION_SECTION])
    first = imported_functions + functions
    replaced = bytearray(code)
    found = 0
    for position, original in _places(code):
        call = _call_of_length(first if original == _FILL else first + 1, len(original))
        if call is not None:
            found += 1
            replaced[position : position + len(original)] = call
    if not found:
        return {}
    _, bodies = _counted(bytes(replaced))
    address = _I64 if memory64 else _I32
    return {
        TYPE_SECTION: leb128.unsigned(types + 2)
        + rest_of_types
        + bytes((0x60, 3, address, _I32, address, 0))
        + bytes((0x60, 3, address, address, address, 0)),
        FUNCTION_SECTION: leb128.unsigned(functions + 2)
        + rest_of_functions
        + leb128.unsigned(types)
        + leb128.unsigned(types + 1),
        CODE_SECTION: leb128.unsigned(functions + 2) + bodies + _helpers(memory64=memory64),
    }


def _counted(payload: bytes) -> tuple[int, bytes]:
    count, start = leb128.read_unsigned(payload, 0)
    return count, payload[start:]


def _call_of_length(function: int, length: int) -> bytes | None:
    """A call in so many bytes; None where the function's number is too large."""
    if function >= 1 << 7 * (length - 1):
        return None
    digits = [function >> 7 * at & 0x7F | 0x80 for at in range(length - 1)]
    digits[-1] &= 0x7F
    return bytes((_CALL, *digits))


def _places(code: bytes) -> Iterator[tuple[int, bytes]]:
    """Where the instructions are. An unknown instruction ends the search in its function."""
    count, position = leb128.read_unsigned(code, 0)
    for _ in range(count):
        size, position = leb128.read_unsigned(code, position)
        end = position + size
        if code.find(_FILL, position, end) >= 0 or code.find(_COPY, position, end) >= 0:
            yield from _places_in(code, position, end)
        position = end


def _places_in(code: bytes, position: int, end: int) -> Iterator[tuple[int, bytes]]:
    local_groups, position = leb128.read_unsigned(code, position)
    for _group in range(local_groups):
        _, position = leb128.read_unsigned(code, position)
        position += 1
    while position < end:
        run = _OTHERS.match(code, position, end)
        position = run.end() if run else position
        original = next((known for known in (_FILL, _COPY) if code.startswith(known, position, end)), None)
        if original is not None:
            yield position, original
            position += len(original)
        elif position < end and code[position] == _BR_TABLE:
            targets, position = leb128.read_unsigned(code, position + 1)
            for _target in range(targets + 1):
                _, position = leb128.read_unsigned(code, position)
        else:
            return


@functools.cache
def _helpers(*, memory64: bool) -> bytes:
    """The bodies of the two functions."""
    wat = _HELPERS.format(memory="i64" if memory64 else "", type="i64" if memory64 else "i32", piece=PIECE_BYTES)
    wasm = bytes(wasmtime.wat2wasm(wat))
    position = 8
    while wasm[position] != CODE_SECTION:
        size, position = leb128.read_unsigned(wasm, position + 1)
        position += size
    size, position = leb128.read_unsigned(wasm, position + 1)
    _, bodies = _counted(wasm[position : position + size])
    return bodies
