import pytest
import wasmtime

from canister_factory.replica.runtime.instrument import (
    MEMORY_EXPORT,
    START_EXPORT,
    InstrumentedModule,
    MalformedModuleError,
    instrument,
)
from support.runtime_harness import assembled


def instrumented(wat: str) -> InstrumentedModule:
    module = instrument(assembled(wat))
    wasmtime.Module.validate(wasmtime.Engine(), module.wasm)
    return module


def exports(module: InstrumentedModule) -> dict[str, object]:
    return {export.name: export.type for export in wasmtime.Module(wasmtime.Engine(), module.wasm).exports}


def test_a_start_function_becomes_an_export_that_does_not_run_by_itself() -> None:
    module = instrumented("""(module (memory 1) (global $g (mut i32) (i32.const 0))
      (func $init (global.set $g (i32.const 7))) (start $init))""")
    assert module.has_start
    store = wasmtime.Store()
    exports = wasmtime.Instance(store, wasmtime.Module(store.engine, module.wasm), []).exports(store)
    variable, start = exports[module.global_exports[0]], exports[START_EXPORT]
    assert isinstance(variable, wasmtime.Global)
    assert isinstance(start, wasmtime.Func)
    assert variable.value(store) == 0
    start(store)
    assert variable.value(store) == 7


def test_only_mutable_globals_are_exported_and_imported_ones_count() -> None:
    module = instrumented("""(module (import "x" "g" (global i64))
      (global i32 (i32.const 5)) (global (mut f64) (f64.const 1.5)) (global (mut f32) (f32.const 2)))""")
    assert [name.rsplit(" ", 1)[1] for name in module.global_exports] == ["2", "3"]


def test_a_module_without_memory_gets_an_empty_one() -> None:
    memory = exports(instrumented("(module (func))"))[MEMORY_EXPORT]
    assert isinstance(memory, wasmtime.MemoryType)
    assert memory.limits.min == 0


def test_the_modules_own_exports_stay_and_are_listed() -> None:
    module = instrumented('(module (memory (export "mem") 1) (func (export "canister_update x")))')
    assert module.exports == ("mem", "canister_update x")
    assert set(module.exports) < set(exports(module))


def test_a_64_bit_memory_is_told_from_a_32_bit_one() -> None:
    assert instrumented("(module (memory i64 1))").memory64
    assert not instrumented("(module (memory 1))").memory64


def test_custom_sections_are_found() -> None:
    module = instrumented('(module (@custom "icp:public candid:service" "service : {}") (@custom "other" "\\00\\ff"))')
    assert module.custom_sections == {"icp:public candid:service": b"service : {}", "other": b"\x00\xff"}


EVERYTHING_HARMLESS = """(module (memory 1) (table 4 funcref) (data $d "abc") (type $t (func))
  (global $g (mut i64) (i64.const -9000000000))
  (func $f (param i32 f32 f64) (result i64) (local i32 i64 v128)
    (block (block (block (br_table 0 1 2 0 1 (local.get 0))))) (loop (br_if 0 (local.get 0)))
    (drop (f64.const 1e300)) (drop (f32.const 1.5)) (drop (i64.const 0x0b26fc0cfc0f0b)) (drop (i32.const 38))
    (drop (select (result i64) (i64.const 1) (i64.const 2) (local.get 0)))
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3))
    (memory.copy (i32.const 0) (i32.const 9) (i32.const 3)) (memory.fill (i32.const 0) (i32.const 9) (i32.const 3))
    (drop (memory.grow (i32.const 1))) (drop (table.size)) (drop (table.get (i32.const 0)))
    (drop (i32.trunc_sat_f64_u (local.get 2))) (drop (ref.is_null (ref.null func)))
    (call_indirect (type $t) (i32.const 0)) (i64.store offset=70000 align=1 (i32.const 0) (i64.const 1))
    (if (local.get 0) (then nop) (else (unreachable)))
    (return (global.get $g))))"""


def test_ordinary_code_needs_no_fresh_instances() -> None:
    assert not instrumented(EVERYTHING_HARMLESS).needs_fresh_instance


@pytest.mark.parametrize(
    "instruction",
    [
        "(table.set (i32.const 0) (ref.null func))",
        "(drop (table.grow (ref.null func) (i32.const 1)))",
        "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
        "(table.copy (i32.const 0) (i32.const 0) (i32.const 1))",
        "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))",
        "(elem.drop $e)",
        "(data.drop $d)",
        "(drop (v128.const i64x2 1 2))",  # SIMD isn't read, so it counts as possibly harmful
    ],
)
def test_code_that_changes_tables_or_segments_needs_fresh_instances(instruction: str) -> None:
    wat = f"""(module (memory 1) (table 4 8 funcref) (data $d "abc") (elem $e func $f)
      (func $f (drop (i32.const 1)) (block (br_table 0 (i32.const 0))) {instruction}))"""
    assert instrumented(wat).needs_fresh_instance


def test_a_global_that_holds_a_reference_needs_fresh_instances() -> None:
    module = instrumented("(module (global (mut funcref) (ref.null func)))")
    assert module.needs_fresh_instance
    assert module.global_exports == ()


@pytest.mark.parametrize("cut", [9, 12, 30])
def test_a_cut_binary_is_refused(cut: int) -> None:
    wasm = assembled('(module (memory 1) (global i32 (i32.const 1)) (func (export "f")))')
    with pytest.raises(MalformedModuleError, match=r"section|ends"):
        instrument(wasm[:cut])
