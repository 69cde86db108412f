"""Reads and rewrites a Wasm binary so that the runtime can drive it.

Owns: parsing sections, moving the start function to an export, exporting what must be rolled back (memory, tables,
mutable globals), custom sections. Does not own: large fills and copies (`bulk_memory`), validation (wasmtime has done
it before) or compiling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid import leb128
from canister_factory.candid.errors import DecodeError
from canister_factory.replica.runtime.bulk_memory import in_pieces

START_EXPORT = "embedded start"
MEMORY_EXPORT = "embedded memory"
TABLE_EXPORT = "embedded table"
_GLOBAL_EXPORT = "embedded global "

_CUSTOM, _IMPORT, _FUNCTION, _TABLE, _MEMORY, _GLOBAL, _EXPORT, _START, _CODE = 0, 2, 3, 4, 5, 6, 7, 8, 10
_TAG = 13
# Where sections stand in a binary; the tag section (13) comes between memory and global, data count (12) before code.
_ORDER = (1, 2, _FUNCTION, _TABLE, _MEMORY, _TAG, _GLOBAL, _EXPORT, _START, 9, 12, _CODE, 11)
_FUNCTION_KIND, _TABLE_KIND, _MEMORY_KIND, _GLOBAL_KIND, _TAG_KIND = range(5)
_FIRST_NUMERIC_TYPE, _LAST_NUMERIC_TYPE = 0x7C, 0x7F  # f64, f32, i64, i32
_V128_TYPE = 0x7B
_LIMITS_HAVE_MAXIMUM, _LIMITS_ARE_64_BIT = 1, 4
_BR_TABLE = 0x0E

_LEB = rb"[\x80-\xff]*+[\x00-\x7f]"
# Runs of instructions that change nothing but the stack, locals, globals and the memory. It stops at br_table, whose
# length a regular expression can't count, and at everything else: table.set/grow/fill/copy/init, elem.drop, data.drop,
# SIMD. One pass over 250 KB of code takes 5 ms this way, a loop in Python 100 ms.
_HARMLESS = re.compile(
    rb"(?s:"
    rb"[\x02-\x04\x0c\x0d\x10\x12\x20-\x25\x3f-\x42\xd0\xd2]LEB"  # blocks, branches, calls, locals, globals, consts
    rb"|[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]"  # no immediates
    rb"|[\x11\x13\x28-\x3e]LEBLEB"  # indirect calls, loads, stores
    rb"|\x43.{4}|\x44.{8}|\x1c\x01."  # float consts, typed select
    rb"|\xfc(?:[\x00-\x07]|[\x08\x0a]LEBLEB|[\x0b\x10]LEB)"  # saturating casts; memory.init/copy/fill, table.size
    rb")*+".replace(b"LEB", _LEB)
)


class MalformedModuleError(CanisterFactoryError, ValueError):
    """The bytes aren't a Wasm module that this reader understands; the message says which part."""


class GlobalKind(Enum):
    """The types of numeric globals; the values are their encodings."""

    I32 = 0x7F
    I64 = 0x7E
    F32 = 0x7D
    F64 = 0x7C
    V128 = _V128_TYPE

    @property
    def bit_width(self) -> int:
        return {GlobalKind.I32: 32, GlobalKind.F32: 32, GlobalKind.V128: 128}.get(self, 64)


@dataclass(frozen=True, slots=True)
class VisibleGlobal:
    """A global that is exported or mutable. `export`: the name under which the rewritten module exports it."""

    kind: GlobalKind
    mutable: bool
    export: str


@dataclass(frozen=True, slots=True)
class InstrumentedModule:
    """A rewritten module and what was found in it."""

    wasm: bytes
    has_start: bool
    memory64: bool
    has_table: bool
    global_exports: tuple[str, ...]  # names under which the mutable numeric globals are exported
    custom_sections: dict[str, bytes]
    custom_section_names: tuple[str, ...]  # in order, repeated ones too
    function_count: int  # defined by the module, without imports
    global_count: int
    exports: tuple[str, ...]  # names of the module's own exports, in order
    visible_globals: tuple[VisibleGlobal, ...]  # what snapshots have: exported ones in order, then other mutable ones
    # True where code changes tables, drops segments, or keeps references in globals: state that can't be rolled back
    # in place, and that the IC doesn't keep between executions either.
    needs_fresh_instance: bool


def instrument(wasm: bytes) -> InstrumentedModule:
    """Rewrites a valid Wasm binary.

    A start function becomes an export, else each new instance would run it again. A module without memory gets an empty
    one, so that the runtime has one case to handle.

    Raises:
        MalformedModuleError: a section can't be read.
    """
    with _readable():
        return _instrument(wasm)


def custom_sections(wasm: bytes) -> dict[str, bytes]:
    """The custom sections of a plain module, by their names.

    Raises:
        MalformedModuleError: a section can't be read.
    """
    with _readable():
        return _custom_sections(list(_sections(wasm)))


def canister_metadata(sections: dict[str, bytes]) -> dict[str, tuple[str, bytes]]:
    """Of custom sections those that are a canister's metadata: `public` or `private`, and the content, by their names.

    Source: interface specification, "Canister module format".
    """
    metadata = {}
    for full_name, content in sections.items():
        prefix, _, name = full_name.partition(" ")
        if prefix in ("icp:public", "icp:private"):
            metadata[name] = (prefix.removeprefix("icp:"), content)
    return metadata


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (IndexError, DecodeError, UnicodeDecodeError) as error:
        raise MalformedModuleError(f"a section of the Wasm module ends too early or holds bad text: {error}") from error


def _instrument(wasm: bytes) -> InstrumentedModule:
    sections = list(_sections(wasm))
    by_id = {section_id: payload for section_id, payload in sections if section_id != _CUSTOM}
    imported = _imported_counts(by_id.get(_IMPORT, b"\x00"))
    table_count = imported[_TABLE_KIND] + leb128.read_unsigned(by_id.get(_TABLE, b"\x00"), 0)[0]

    added: list[bytes] = []
    if _START in by_id:
        added.append(_export(START_EXPORT, _FUNCTION_KIND, leb128.read_unsigned(by_id[_START], 0)[0]))
    globals_found = list(_globals(by_id.get(_GLOBAL, b"\x00")))
    own_exports = list(_exports(by_id.get(_EXPORT, b"\x00")))
    global_exports: list[str] = []
    for position, (value_type, mutable) in enumerate(globals_found):
        if mutable and _FIRST_NUMERIC_TYPE <= value_type <= _LAST_NUMERIC_TYPE:
            index = imported[_GLOBAL_KIND] + position
            global_exports.append(f"{_GLOBAL_EXPORT}{index}")
            added.append(_export(global_exports[-1], _GLOBAL_KIND, index))
    added.append(_export(MEMORY_EXPORT, _MEMORY_KIND, 0))
    if table_count:
        added.append(_export(TABLE_EXPORT, _TABLE_KIND, 0))

    memory = by_id.get(_MEMORY, b"\x00")
    if leb128.read_unsigned(memory, 0)[0] == 0 and not imported[_MEMORY_KIND]:
        memory = b"\x01\x00\x00"  # one memory of no pages
    count, start = leb128.read_unsigned(by_id.get(_EXPORT, b"\x00"), 0)
    exports = leb128.unsigned(count + len(added)) + by_id.get(_EXPORT, b"\x00")[start:] + b"".join(added)
    keeps_references = any(
        mutable and not _FIRST_NUMERIC_TYPE <= value_type <= _LAST_NUMERIC_TYPE for value_type, mutable in globals_found
    )
    memory64 = bool(memory[1:2] and memory[1] & _LIMITS_ARE_64_BIT)
    changed = in_pieces(by_id, imported[_FUNCTION_KIND], memory64=memory64)
    return InstrumentedModule(
        wasm=_assemble(wasm[:8], sections, {**changed, _MEMORY: memory, _EXPORT: exports}),
        has_start=_START in by_id,
        memory64=memory64,
        has_table=table_count > 0,
        global_exports=tuple(global_exports),
        custom_sections=_custom_sections(sections),
        custom_section_names=tuple(name for name, _ in _named_sections(sections)),
        function_count=leb128.read_unsigned(by_id.get(_FUNCTION, b"\x00"), 0)[0],
        global_count=len(globals_found),
        exports=tuple(name for name, _, _ in own_exports),
        visible_globals=tuple(_visible_globals(own_exports, globals_found, imported[_GLOBAL_KIND])),
        needs_fresh_instance=keeps_references or not _is_harmless(by_id.get(_CODE, b"\x00")),
    )


def _assemble(header: bytes, sections: list[tuple[int, bytes]], replacements: dict[int, bytes]) -> bytes:
    """The binary again, with some sections replaced or put where they belong, and without the start section."""
    out = [header]
    pending = dict(replacements)
    for section_id, payload in sections:
        if section_id == _START:
            continue
        if section_id != _CUSTOM:
            rank = _ORDER.index(section_id)
            for new_id in [new_id for new_id in pending if _ORDER.index(new_id) < rank]:
                out.append(_section(new_id, pending.pop(new_id)))
            payload = pending.pop(section_id, payload)
        out.append(_section(section_id, payload))
    out += [_section(new_id, payload) for new_id, payload in pending.items()]
    return b"".join(out)


def _section(section_id: int, payload: bytes) -> bytes:
    return bytes((section_id,)) + leb128.unsigned(len(payload)) + payload


def _export(name: str, kind: int, index: int) -> bytes:
    return leb128.unsigned(len(name)) + name.encode("ascii") + bytes((kind,)) + leb128.unsigned(index)


def _sections(wasm: bytes) -> Iterator[tuple[int, bytes]]:
    position = 8
    while position < len(wasm):
        section_id = wasm[position]
        if section_id != _CUSTOM and section_id not in _ORDER:
            raise MalformedModuleError(f"the Wasm module has a section of unknown kind {section_id}")
        size, position = leb128.read_unsigned(wasm, position + 1)
        if position + size > len(wasm):
            raise MalformedModuleError(f"section {section_id} of {size} bytes ends beyond the module's {len(wasm)}")
        yield section_id, wasm[position : position + size]
        position += size


def _custom_sections(sections: list[tuple[int, bytes]]) -> dict[str, bytes]:
    return dict(_named_sections(sections))


def _named_sections(sections: list[tuple[int, bytes]]) -> Iterator[tuple[str, bytes]]:
    for section_id, payload in sections:
        if section_id == _CUSTOM:
            size, start = leb128.read_unsigned(payload, 0)
            yield payload[start : start + size].decode(), payload[start + size :]


def _imported_counts(payload: bytes) -> list[int]:
    """How many functions, tables, memories, globals and tags are imported."""
    counts = [0] * 5
    count, position = leb128.read_unsigned(payload, 0)
    for _ in range(count):
        for _name in range(2):
            size, position = leb128.read_unsigned(payload, position)
            position += size
        kind = payload[position]
        position += 1
        if kind == _FUNCTION_KIND:
            _, position = leb128.read_unsigned(payload, position)
        elif kind == _TABLE_KIND:
            position = _skip_limits(payload, position + 1)
        elif kind == _MEMORY_KIND:
            position = _skip_limits(payload, position)
        elif kind == _GLOBAL_KIND:
            position += 2
        elif kind == _TAG_KIND:
            _, position = leb128.read_unsigned(payload, position + 1)
        else:
            raise MalformedModuleError(f"the Wasm module imports something of unknown kind {kind}")
        counts[kind] += 1
    return counts


def _skip_limits(payload: bytes, position: int) -> int:
    flags = payload[position]
    _, position = leb128.read_unsigned(payload, position + 1)
    if flags & _LIMITS_HAVE_MAXIMUM:
        _, position = leb128.read_unsigned(payload, position)
    return position


def _globals(payload: bytes) -> Iterator[tuple[int, bool]]:
    """Value type and mutability of each global that the module defines."""
    count, position = leb128.read_unsigned(payload, 0)
    for _ in range(count):
        value_type, mutable = payload[position], payload[position + 1] == 1
        position = _end_of_constant(payload, position + 2)
        yield value_type, mutable


def _end_of_constant(payload: bytes, position: int) -> int:
    while True:
        opcode = payload[position]
        position += 1
        if opcode == 0x0B:
            return position
        if opcode in (0x23, 0x41, 0x42, 0xD0, 0xD2):  # global.get, i32.const, i64.const, ref.null, ref.func
            _, position = leb128.read_unsigned(payload, position)
        elif opcode == 0x43:
            position += 4
        elif opcode == 0x44:
            position += 8
        elif opcode == 0xFD:
            position += 17
        elif opcode not in (0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E):  # integer add, sub, mul
            raise MalformedModuleError(f"a global's initial value has the instruction 0x{opcode:02x}, unknown here")


def _exports(payload: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, kind and index of each export."""
    count, position = leb128.read_unsigned(payload, 0)
    for _ in range(count):
        size, position = leb128.read_unsigned(payload, position)
        name = payload[position : position + size].decode()
        kind = payload[position + size]
        index, position = leb128.read_unsigned(payload, position + size + 1)
        yield name, kind, index


def _visible_globals(
    exports: list[tuple[str, int, int]], defined: list[tuple[int, bool]], first: int
) -> Iterator[VisibleGlobal]:
    """The globals that snapshots have, in the order in which the official replica has them.

    `defined`: value type and mutability of each global that the module defines, the first of which has index `first`.
    """
    numeric = {kind.value: kind for kind in GlobalKind}
    exported = set()
    for name, kind, index in exports:
        if kind == _GLOBAL_KIND and index >= first and defined[index - first][0] in numeric:
            value_type, mutable = defined[index - first]
            exported.add(index)
            yield VisibleGlobal(numeric[value_type], mutable, f"{_GLOBAL_EXPORT}{index}" if mutable else name)
    for index, (value_type, mutable) in enumerate(defined, first):
        if mutable and value_type in numeric and index not in exported:
            yield VisibleGlobal(numeric[value_type], mutable, f"{_GLOBAL_EXPORT}{index}")


def _is_harmless(code: bytes) -> bool:
    count, position = leb128.read_unsigned(code, 0)
    for _ in range(count):
        size, position = leb128.read_unsigned(code, position)
        end = position + size
        local_groups, position = leb128.read_unsigned(code, position)
        for _group in range(local_groups):
            _, position = leb128.read_unsigned(code, position)
            position += 1
        while True:
            run = _HARMLESS.match(code, position, end)
            position = run.end() if run else position
            if position == end:
                break
            if code[position] != _BR_TABLE:
                return False
            targets, position = leb128.read_unsigned(code, position + 1)
            for _target in range(targets + 1):
                _, position = leb128.read_unsigned(code, position)
    return True
