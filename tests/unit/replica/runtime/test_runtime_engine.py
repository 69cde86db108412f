import errno
import gzip
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import wasmtime

from canister_factory.replica.runtime import engine as engine_module
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import CanisterError, Entry, RejectCode
from canister_factory.replica.runtime.instrument import START_EXPORT, InstrumentedModule, instrument
from support.runtime_harness import COUNTER, assembled, engine


def refusal(wat: str | bytes) -> str:
    with pytest.raises(CanisterError) as caught:
        engine().compile(wat if isinstance(wat, bytes) else assembled(wat))
    assert caught.value.code is RejectCode.CANISTER_ERROR
    assert caught.value.error_code == "IC0505"
    assert caught.value.message.startswith("Canister's Wasm module is not valid: ")
    return caught.value.message


def test_a_module_knows_its_methods_and_entry_points() -> None:
    wat = """(module (func $f) (start $f) (export "canister_init" (func $f)) (export "canister_update a" (func $f))
      (export "canister_query b c" (func $f)) (export "canister_composite_query " (func $f)) (export "x" (func $f)))"""
    module = engine().compile(assembled(wat))
    assert (module.updates, module.queries, module.composite_queries) == (
        frozenset({"a"}),
        frozenset({"b c"}),
        frozenset({""}),
    )
    assert module.has(Entry.INIT)
    assert module.has(Entry.START)
    assert module.has(Entry.UPDATE, "a")
    assert not module.has(Entry.QUERY, "a")
    assert not module.has(Entry.HEARTBEAT)
    assert not module.enhanced_orthogonal_persistence


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (Entry.START, START_EXPORT),
        (Entry.REPLY_CALLBACK, "reply"),
        (Entry.REJECT_CALLBACK, "reject"),
        (Entry.CLEANUP, "cleanup"),
    ],
)
@pytest.mark.parametrize("exported", ["memory 0", "func $f"])
def test_no_export_stands_for_a_callback_or_a_start_function(entry: Entry, name: str, exported: str) -> None:
    module = engine().compile(assembled(f'(module (memory 1) (func $f) (export "{name}" ({exported})))'))
    assert module.export_name(entry) is None
    assert module.has(entry) is (entry is not Entry.START)


def test_the_hash_is_of_the_bytes_as_given() -> None:
    plain = assembled("(module)")
    packed = gzip.compress(plain, mtime=0)
    assert engine().compile(plain).hash == hashlib.sha256(plain).digest()
    assert engine().compile(packed).hash == hashlib.sha256(packed).digest()
    assert engine().compile(packed).wasm == packed


def test_metadata_sections_have_a_visibility() -> None:
    module = engine().compile(
        assembled("""(module (@custom "icp:public candid:service" "service : {}") (@custom "name" "")
          (@custom "icp:private enhanced-orthogonal-persistence" "64-bit"))""")
    )
    assert module.custom_sections == {
        "candid:service": ("public", b"service : {}"),
        "enhanced-orthogonal-persistence": ("private", b"64-bit"),
    }
    assert module.enhanced_orthogonal_persistence


@pytest.mark.parametrize(
    ("wat", "reason"),
    [
        (
            '(module (import "ic0" "msg_repply" (func)))',
            "it imports ic0.msg_repply, which isn't a function of the system",
        ),
        ('(module (import "env" "memory" (memory 1)))', "it imports env.memory"),
        (
            '(module (import "ic0" "time" (func (result i32))))',
            r"as \(\) -> \(i32\), the system API has \(\) -> \(i64\)",
        ),
        ('(module (import "ic0" "time" (global i64)))', "as something else than a function"),
        ('(module (import "ic0" "stable_size" (func (result i32))) (memory i64 1))', "only modules with 32-bit memory"),
        (
            '(module (import "ic0" "msg_caller_size" (func (result i32))) (memory i64 1))',
            r"as \(\) -> \(i32\), the system API has \(\) -> \(i64\)",
        ),
        ('(module (func (export "canister_inti")))', "'canister_inti'; names that start with canister_ are reserved"),
        ('(module (func (export "canister_init") (param i32)))', "must be a function without parameters"),
        ('(module (memory (export "canister_init") 1))', "must be a function"),
        (
            '(module (func (export "canister_update a")) (func (export "canister_query a")))',
            "exports the method 'a' twice",
        ),
        ("(module (memory 1) (memory 1))", "multi"),
        ('(module (@custom "icp:public a" "") (@custom "icp:private a" ""))', "the custom section 'a' twice"),
        ('(module (@custom "icp:public a" "") (@custom "icp:public a" ""))', "the custom section 'a' twice"),
        ('(module (@custom "icp:secret a" ""))', "'icp:secret a'; names that start with icp: are reserved"),
        ('(module (@custom "icp:public" ""))', "'icp:public'; names that start with icp: are reserved"),
        (b"\x7fELF1234", "0x7f454c46, not with the Wasm magic number"),
        (b"", "Wasm magic number"),
        (b"\0asm\1\0\0\0\x63\x01\x00", "section"),
        (gzip.compress(b"\0asm\1\0\0\0", mtime=0)[:-9], "ends too early"),
        (b"\x1f\x8b\x08" + bytes(20), "damaged"),
    ],
)
def test_a_module_that_the_ic_would_refuse_is_refused_with_the_reason(wat: str | bytes, reason: str) -> None:
    assert re.search(reason, refusal(wat))


def test_a_compressed_module_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_WASM_BYTES", 10_000)
    assert "more than 10000 bytes" in refusal(gzip.compress(b"\0asm\1\0\0\0" + bytes(10_000)))


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ("".join(f'(@custom "icp:public {i}" "")' for i in range(17)), "exports 17 custom sections, at most 16"),
        ('(@custom "icp:private a" "' + "x" * (1 << 20) + '")', "have 1048577 bytes, at most 1048576"),
        ("(func)" * 50_001, "declares 50001 functions, at most 50000"),
        ("(global i32 (i32.const 0))" * 1001, "declares 1001 globals, at most 1000"),
    ],
    ids=["sections", "their size", "functions", "globals"],
)
def test_sections_functions_and_globals_are_limited(section: str, reason: str) -> None:
    assert reason in refusal(f"(module {section})")


def test_as_many_custom_sections_as_allowed_are_taken_and_others_dont_count() -> None:
    sections = "".join(f'(@custom "icp:public {i}" "") (@custom "other {i}" "")' for i in range(16))
    assert len(engine().compile(assembled(f"(module {sections})")).custom_sections) == 16


def test_memory_is_kept_in_upgrades_only_for_what_is_marked_by_a_private_section() -> None:
    public = engine().compile(assembled('(module (@custom "icp:public enhanced-orthogonal-persistence" ""))'))
    assert not public.enhanced_orthogonal_persistence


def test_the_number_of_methods_is_limited() -> None:
    exports = "".join(f'(export "canister_update m{i}" (func 0))' for i in range(1001))
    assert "exports 1001 methods, at most 1000" in refusal(f"(module (func) {exports})")


def test_a_module_is_compiled_once() -> None:
    assert engine().compile(assembled(COUNTER)) is engine().compile(assembled(COUNTER))


def cached_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.cwasm"))


def test_a_second_process_takes_compiled_code_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    Engine(cache).compile(assembled(COUNTER))
    assert len(cached_files(cache)) == 1
    assert cache.stat().st_mode & 0o077 == 0
    known = {"deserialize": wasmtime.Module.deserialize, "validate": wasmtime.Module.validate}
    monkeypatch.setattr(wasmtime, "Module", type("NoCompiler", (), known))
    assert Engine(cache).compile(assembled(COUNTER)).updates >= {"bump"}
    assert Engine(cache).compile(gzip.compress(assembled(COUNTER))).updates >= {"bump"}


def test_a_module_that_another_version_rewrote_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rewritten_otherwise(wasm: bytes) -> InstrumentedModule:
        module = instrument(wasm)
        return replace(module, wasm=module.wasm + b"\x00\x02\x01v")  # a custom section

    Engine(tmp_path).compile(assembled(COUNTER))
    monkeypatch.setattr(engine_module, "instrument", rewritten_otherwise)
    Engine(tmp_path).compile(assembled(COUNTER))
    assert len(cached_files(tmp_path)) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: data[:-1] + b"\0", lambda data: b""])
def test_a_damaged_cache_file_is_compiled_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    Engine(tmp_path).compile(assembled(COUNTER))
    (file,) = cached_files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert Engine(tmp_path).compile(assembled(COUNTER)).updates >= {"bump"}
    assert hashlib.sha256(file.read_bytes()[32:]).digest() == file.read_bytes()[:32]


def test_a_refused_module_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    with pytest.raises(CanisterError):
        Engine(tmp_path).compile(assembled('(module (import "ic0" "nothing" (func)))'))
    assert os.listdir(tmp_path) == []


def test_a_cache_that_can_not_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert Engine(tmp_path / "file" / "cache").compile(assembled(COUNTER)).updates >= {"bump"}


def test_a_cache_on_a_full_disk_keeps_no_half_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert Engine(tmp_path).compile(assembled(COUNTER)).updates >= {"bump"}
    assert list(tmp_path.iterdir()) == []
