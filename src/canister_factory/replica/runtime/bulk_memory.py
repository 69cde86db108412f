"""Fills and copies of memory in pieces, so that an execution can stop between two.

Owns: putting calls of two added functions in the place of the instructions `memory.fill` and `memory.copy`. Does not
own the other changes to a module (`instrument`).

Wasmtime counts their bytes as instructions, but stops only afterwards, and a gibibyte takes a second.
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

_CALL: Final = b"\x10"
_I32: Final = 0x7F
_I64: Final = 0x7E
_BR_TABLE: Final = 0x0E


def _any(*codes: int | range) -> bytes:
    """Matches one of these numbers below 128, in as many bytes as somebody may have chosen to write it with."""
    known = [code for item in codes for code in (item if isinstance(item, range) else (item,))]
    short, long = (b"".join(b"\\x%02x" % (code | more) for code in known) for more in (0, 0x80))
    return rb"(?:[%b]|[%b]\x80*+\x00)" % (short, long)


_FILL_OR_COPY: Final = re.compile(rb"\xfc(?:(%b)|%b%b)%b" % (_any(0x0B), _any(0x0A), _any(0), _any(0)))
_LEB: Final = rb"[\x80-\xff]*+[\x00-\x7f]"
# Runs of instructions other than those that are looked for, and than br_table, whose length depends on its content.
_OTHERS: Final = re.compile(
    rb"(?s:"
    rb"[\x02-\x04\x0c\x0d\x10\x12\x20-\x26\x3f-\x42\xd0\xd2]LEB"  # blocks, branches, calls, variables, tables, consts
    rb"|[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]"  # no immediates
    rb"|[\x11\x13\x28-\x3e]LEBLEB"  # indirect calls, loads, stores
    rb"|\x43.{4}|\x44.{8}|\x1c%b."  # float consts, typed select
    rb"|\xfc(?:%b|%bLEBLEB|%bLEB)"  # saturating casts, segments, tables
    rb"|\xfd(?:%bLEBLEB|%bLEBLEB.|%b.{16}|%b.|%b|[\x80-\xff]LEB)"  # vectors
    rb")*+".replace(b"LEB", _LEB)
    % (
        *(_any(1), _any(range(0x08)), _any(0x08, 0x0C, 0x0E), _any(0x09, 0x0D, range(0x0F, 0x12))),
        *(_any(range(0x0C), 0x5C, 0x5D), _any(range(0x54, 0x5C)), _any(0x0C, 0x0D), _any(range(0x15, 0x23))),
        _any(range(0x0E, 0x15), range(0x23, 0x54), range(0x5E, 0x80)),
    )
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
        (if ({type}.le_u (local.get $size) ({type}.sub ({type}.const 0) (local.get $to)))
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
    if not _FILL_OR_COPY.search(code):
        return {}
    types, rest_of_types = _counted(sections[TYPE_SECTION])
    functions, rest_of_functions = _counted(sections[FUNCTION_SECTION])
    _, original = _counted(code)
    bodies = _with_calls(original, functions, imported_functions + functions)
    if bodies == original:
        return {}
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


def _with_calls(bodies: bytes, count: int, first: int) -> bytes:
    """So many bodies of functions, with calls of `first` in the place of fills, of the next one in that of copies."""
    parts, done, position = [], 0, 0
    for _ in range(count):
        start = position
        size, position = leb128.read_unsigned(bodies, position)
        end = position + size
        if _FILL_OR_COPY.search(bodies, position, end):
            body = _body_with_calls(bodies, position, end, first)
            parts += [bodies[done:start], leb128.unsigned(len(body)), body]
            done = end
        position = end
    return b"".join((*parts, bodies[done:]))


def _body_with_calls(bodies: bytes, position: int, end: int, first: int) -> bytes:
    parts, done = [], position
    for found in _places(bodies, position, end):
        function = first if found[1] else first + 1
        parts += [bodies[done : found.start()], _CALL, leb128.unsigned(function)]
        done = found.end()
    return b"".join((*parts, bodies[done:end]))


def _places(bodies: bytes, position: int, end: int) -> Iterator[re.Match[bytes]]:
    """Where the instructions are. An unknown instruction ends the search in its function."""
    local_groups, position = leb128.read_unsigned(bodies, position)
    for _group in range(local_groups):
        _, position = leb128.read_unsigned(bodies, position)
        position += 1
    while position < end:
        run = _OTHERS.match(bodies, position, end)
        position = run.end() if run else position
        found = _FILL_OR_COPY.match(bodies, position, end)
        if found:
            yield found
            position = found.end()
        elif position < end and bodies[position] == _BR_TABLE:
            targets, position = leb128.read_unsigned(bodies, position + 1)
            for _target in range(targets + 1):
                _, position = leb128.read_unsigned(bodies, position)
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
