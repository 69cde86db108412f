"""Fills and copies of memory in pieces do what the instructions do, and stop in between."""

from __future__ import annotations

from contextlib import closing

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.replica.runtime.bulk_memory import PIECE_BYTES
from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.instrument import MEMORY_EXPORT, instrument
from canister_factory.replica.runtime.slices import SLICE_INSTRUCTIONS
from canister_factory.replica.runtime.stable_memory import StableMemory
from support.runtime_harness import BILLION, Canister, assembled, engine, env, failure

SIZE = 16 << 20
CONSTANT = b"\xfc\x0b\x00\xfc\x0a\x00\x00" + bytes(9)


def module(kind: str) -> bytes:
    """A module with every kind of instruction around the two that are looked for."""
    return bytes(
        wasmtime.wat2wasm(
            f"""(module (memory {kind if kind == "i64" else ""} 256) (table 3 funcref) (elem (i32.const 0) $other)
      (func $other (result i32) (i32.const 0xb0afc))
      (func (export "fill") (param {kind} i32 {kind})
        (block $a (block $b (br_table $a $b (i32.const 1))))
        (drop (f32.const 1e9)) (drop (f64.const -7.5)) (drop (i64.const -1055485955))
        (drop (v128.const i8x16 0xfc 0x0b 0 0xfc 0x0a 0 0 0 0 0 0 0 0 0 0 0))
        (drop (i8x16.extract_lane_u 3 (v128.load ({kind}.const 0))))
        (v128.store ({kind}.const 0) (i32x4.add (v128.const i32x4 0 0 0 0) (v128.load ({kind}.const 0))))
        (drop (call_indirect (result i32) (i32.const 0)))
        (drop (select (i32.const 1) (i32.const 2) (i32.const 3)))
        (memory.fill (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param {kind} {kind} {kind})
        (drop (i32.trunc_sat_f32_s (f32.const 2)))
        (table.fill (i32.const 1) (ref.null func) (i32.const 1))
        (memory.copy (local.get 0) (local.get 1) (local.get 2))))"""
        )
    )


class Machine:
    """A module, perhaps rewritten, with its memory."""

    def __init__(self, wasm: bytes) -> None:
        self._store = wasmtime.Store()
        native = wasmtime.Module(self._store.engine, wasm)
        self._exports = wasmtime.Instance(self._store, native, []).exports(self._store)

    def call(self, name: str, *arguments: int) -> bool:
        """Whether it didn't trap."""
        function = self._exports[name]
        assert isinstance(function, wasmtime.Func)
        try:
            function(self._store, *arguments)
        except wasmtime.Trap:
            return False
        return True

    def memory(self) -> bytes:
        memory = self._exports[MEMORY_EXPORT]
        assert isinstance(memory, wasmtime.Memory)
        return bytes(memory.read(self._store, 0, SIZE))


def exported(wasm: bytes) -> bytes:
    """The module with its memory exported, but nothing else changed."""
    text = b"\x0f" + MEMORY_EXPORT.encode() + b"\x02\x00"
    assert len(MEMORY_EXPORT) == 15
    position = wasm.index(b"\x04fill\x00")
    section = position - 3
    assert wasm[section] == 7
    size, count = wasm[section + 1], wasm[section + 2]
    return (
        wasm[: section + 1]
        + bytes((size + len(text), count + 1))
        + wasm[position : section + 2 + size]
        + text
        + wasm[section + 2 + size :]
    )


PLACES = st.one_of(st.integers(0, 3 * PIECE_BYTES), st.integers(SIZE - 3 * PIECE_BYTES, SIZE + 1))
SIZES = st.one_of(st.integers(0, 5 * PIECE_BYTES), st.sampled_from([0, PIECE_BYTES, PIECE_BYTES + 1, (1 << 32) - 1]))


@pytest.mark.parametrize("kind", ["i32", "i64"])
@given(steps=st.lists(st.tuples(st.sampled_from(["fill", "copy"]), PLACES, PLACES, SIZES), max_size=5))
@settings(max_examples=25, deadline=None)
def test_memory_is_the_same_and_the_same_traps(kind: str, steps: list[tuple[str, int, int, int]]) -> None:
    plain, rewritten = Machine(exported(module(kind))), Machine(instrument(module(kind)).wasm)
    for machine in (plain, rewritten):
        for number in range(1, 9):  # something to copy
            machine.call("fill", number * 1000, number, 700 + number)
    for name, first, second, size in steps:
        given_ones = (first, second & 0xFF if name == "fill" else second, size)
        arguments = [value - (1 << 32) if value >= 1 << 31 and kind == "i32" else value for value in given_ones]
        done = plain.call(name, *arguments)
        assert rewritten.call(name, *arguments) is done
        if not done:
            return  # what was written before the trap is rolled back as a whole
    assert rewritten.memory() == plain.memory()


@pytest.mark.parametrize("kind", ["i32", "i64"])
def test_both_instructions_are_found_wherever_they_stand(kind: str) -> None:
    rewritten = instrument(module(kind)).wasm
    assert rewritten.count(b"\xfc\x0a\x00\x00") == 3 + 1, "those of the added function, and in a constant"
    assert rewritten.count(b"\xfc\x0b\x00") == 2 + 1


@pytest.mark.parametrize(
    ("work", "pages", "functions"),
    [
        ("(memory.fill (i32.const 0) (i32.const 7) (i32.const 16777216))", 256, 1),
        ("(memory.fill (i32.const 0) (i32.const 7) (i32.const 16777216))", 256, 20_000),
        ("(memory.copy (i32.const 1) (i32.const 0) (i32.const 16777215))", 256, 1),
        ("(memory.copy (i32.const 0) (i32.const 1) (i32.const 16777215))", 256, 1),
        ("(memory.copy (i32.const -16777216) (i32.const -16777217) (i32.const 16777216))", 65536, 1),
    ],
)
def test_an_execution_stops_within_a_large_one(work: str, pages: int, functions: int) -> None:
    wat = f'(module (memory {pages}) {"(func)" * (functions - 1)} (func (export "canister_update go") {work}))'
    with Canister(wat) as canister:
        steps = canister.instance.execution(Entry.UPDATE, env("go"), instruction_limit=BILLION)
        slices = sum(1 for _ in steps)
        assert slices >= SIZE // (2 * SLICE_INSTRUCTIONS)
        assert failure(canister.update("go", limit=SIZE // 2)).error_code == "IC0522"


@pytest.mark.parametrize(
    ("usual", "longer"),
    [
        (b"\xfc\x0b\x00\x01", b"\xfc\x8b\x00\x00"),
        (b"\xfc\x0b\x00\x01\x01\x01", b"\xfc\x8b\x80\x00\x80\x00"),
        (b"\xfc\x0a\x00\x00\x01\x01\x01", b"\xfc\x8a\x00\x80\x00\x80\x00"),
        (b"\xfc\x00\x01", b"\xfc\x80\x00"),
        (b"\xfd\x0c" + CONSTANT + b"\x01", b"\xfd\x8c\x00" + CONSTANT),
        (b"\xfd\x00\x04\x00\x01", b"\xfd\x80\x00\x04\x00"),
        (b"\x1c\x01\x7f\x01", b"\x1c\x81\x00\x7f"),
    ],
)
def test_numbers_of_instructions_may_be_written_in_more_bytes_than_they_need(usual: bytes, longer: bytes) -> None:
    wat = f"""(module (memory 256) (func (export "canister_update go")
        (v128.const i8x16 {" ".join(map(str, CONSTANT))}) (nop) (drop)
        (i32.trunc_sat_f32_s (f32.const 2)) (nop) (drop)
        (v128.load align=16 (i32.const 0)) (nop) (drop)
        (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)) (nop) (drop)
        (i32.const 0) (i32.const 7) (i32.const {SIZE}) (memory.fill) (nop) (nop) (nop)
        (i32.const 1) (i32.const 0) (i32.const {SIZE - 1}) (memory.copy) (nop) (nop) (nop)))"""
    wasm = assembled(wat)
    assert wasm.count(usual) == 1
    wasm = wasm.replace(usual, longer)
    assert instrument(wasm).wasm.count(CONSTANT) == 1
    with closing(Instance(engine(), engine().compile(wasm), StableMemory())) as instance:
        slices = sum(1 for _ in instance.execution(Entry.UPDATE, env("go"), instruction_limit=BILLION))
        assert slices >= 2 * SIZE // (2 * SLICE_INSTRUCTIONS)
