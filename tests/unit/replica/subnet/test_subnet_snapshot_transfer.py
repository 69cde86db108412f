"""Downloading snapshots and uploading them: pieces, their limits, what doesn't fit, and the way from one to another."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import CanisterError
from canister_factory.replica.subnet.snapshot_transfer import MAX_SLICE_BYTES
from support.management_calls import manage_through
from support.replica_bench import SECOND_NS, STRANGER, Bench, CallRejectedError
from support.replica_puppet import puppet

GLOBALS = """
  (global $turns (mut i64) (i64.const -100)) (global (export "limit") i32 (i32.const -3))
  (global $ratio (mut f64) (f64.const 1.5)) (global (export "half") (mut f32) (f32.const 0.5))
  (func (export "canister_update turn") (global.set $turns (i64.add (global.get $turns) (i64.const 1)))
    (i64.store (i32.const 4096) (global.get $turns)) (call $append (i32.const 4096) (i32.const 8)) (call $reply))
"""
MODULE = puppet(GLOBALS)
PAGE = 65536


@pytest.fixture
def bench() -> Bench:
    return Bench()


def metadata(bench: Bench, canister: bytes, snapshot_id: bytes) -> dict[str, Any]:
    read: dict[str, Any] = bench.on("read_canister_snapshot_metadata", canister, snapshot_id=snapshot_id)
    return read


def read(bench: Bench, canister: bytes, snapshot_id: bytes, kind: str, **piece: Any) -> bytes:
    reply = bench.on("read_canister_snapshot_data", canister, snapshot_id=snapshot_id, kind=Case(kind, piece))
    chunk: bytes = reply["chunk"]
    return chunk


def upload(bench: Bench, canister: bytes, snapshot_id: bytes, kind: str, chunk: bytes, offset: int = 0) -> None:
    place = None if kind == "wasm_chunk" else {"offset": offset}
    bench.on("upload_canister_snapshot_data", canister, snapshot_id=snapshot_id, kind=Case(kind, place), chunk=chunk)


def prepared(bench: Bench, canister: bytes, **fields: Any) -> bytes:
    """An uploaded snapshot's metadata: by default of the test's module, with its memory of two pages."""
    given: dict[str, Any] = {
        "wasm_module_size": len(MODULE),
        "wasm_memory_size": 2 * PAGE,
        "stable_memory_size": PAGE,
        "globals": [Case("i32", -3), Case("f32", 0.25), Case("i64", 7), Case("f64", 2.5)],
        "certified_data": b"root",
        **fields,
    }
    created: bytes = bench.on("upload_canister_snapshot_metadata", canister, **given)["snapshot_id"]
    return created


# --- from one canister to another ---


def test_what_was_downloaded_and_uploaded_elsewhere_is_the_same_canister(bench: Bench) -> None:
    source, target = bench.puppet(MODULE), bench.create()
    bench.call(source, "count")
    bench.call(source, "turn")
    bench.call(source, "remember", b"in stone")
    bench.call(source, "certify", b"root")
    bench.on("upload_chunk", source, chunk=b"piece")
    due = bench.clock.now_ns + 3_600 * SECOND_NS
    bench.call(source, "set_timer", due.to_bytes(8, "little"))
    taken = bench.on("take_canister_snapshot", source)["id"]
    known = metadata(bench, source, taken)

    carried = ("wasm_module_size", "wasm_memory_size", "stable_memory_size", "globals", "certified_data")
    optional = ("global_timer", "on_low_wasm_memory_hook_status")
    made = prepared(bench, target, **{name: known[name] for name in (*carried, *optional)})
    for kind in ("wasm_module", "wasm_memory", "stable_memory"):
        size = known[f"{kind}_size"]
        for offset in range(0, size, 50_000):
            piece = read(bench, source, taken, kind, offset=offset, size=min(50_000, size - offset))
            upload(bench, target, made, kind, piece, offset)
    for item in known["wasm_chunk_store"]:
        upload(bench, target, made, "wasm_chunk", read(bench, source, taken, "wasm_chunk", **item))
    bench.on("load_canister_snapshot", target, snapshot_id=made)

    assert bench.count(target) == 1
    assert int.from_bytes(bench.call(target, "turn"), "little", signed=True) == -98
    assert bench.query(target, "recall") == b"in stone"
    state = bench.canister(target)
    assert (state.certified_data, state.global_timer_ns) == (b"root", due)
    assert state.chunks == {hashlib.sha256(b"piece").digest(): b"piece"}
    assert state.module is not None
    assert state.module.wasm == MODULE
    uploaded = metadata(bench, target, made)
    same = (*carried, *optional, "wasm_chunk_store")
    assert {name: uploaded[name] for name in same} == {name: known[name] for name in same}
    assert (known["source"], uploaded["source"]) == (Case("taken_from_canister"), Case("metadata_upload"))


def test_metadata_tell_exported_and_mutable_globals_with_their_types(bench: Bench) -> None:
    canister = bench.puppet(MODULE)
    version = bench.canister(canister).version
    known = metadata(bench, canister, bench.on("take_canister_snapshot", canister)["id"])
    assert known["globals"] == [Case("i32", -3), Case("f32", 0.5), Case("i64", -100), Case("f64", 1.5)]
    assert known["canister_version"] == version
    assert known["taken_at_timestamp"] == bench.clock.now_ns
    assert known["global_timer"] == Case("inactive")
    assert known["on_low_wasm_memory_hook_status"] == Case("condition_not_satisfied")
    sizes = (known["wasm_module_size"], known["wasm_memory_size"], known["stable_memory_size"])
    assert sizes == (len(MODULE), 2 * PAGE, 0)


@pytest.mark.parametrize("stated", [None, "inactive", "active"])
def test_an_uploaded_timer_is_set_and_one_that_is_not_stated_left(bench: Bench, stated: str | None) -> None:
    canister = bench.puppet(MODULE)
    own, other = (bench.clock.now_ns + hours * 3_600 * SECOND_NS for hours in (1, 2))
    bench.call(canister, "set_timer", own.to_bytes(8, "little"))
    timer = None if stated is None else Case(stated, other if stated == "active" else None)
    made = prepared(bench, canister, global_timer=timer)
    upload(bench, canister, made, "wasm_module", MODULE)
    bench.on("load_canister_snapshot", canister, snapshot_id=made)
    assert bench.canister(canister).global_timer_ns == {None: own, "inactive": 0, "active": other}[stated]


def test_an_uploaded_timer_goes_off_when_it_is_due(bench: Bench) -> None:
    canister = bench.puppet(MODULE)
    made = prepared(bench, canister, global_timer=Case("active", bench.clock.now_ns + 5 * SECOND_NS))
    upload(bench, canister, made, "wasm_module", MODULE)
    bench.on("load_canister_snapshot", canister, snapshot_id=made)
    bench.clock.advance(4)
    bench.run()
    assert bench.count(canister) == 0
    bench.clock.advance(1)
    bench.run()
    assert bench.count(canister) == 1


def test_the_history_names_an_upload_as_the_source(bench: Bench) -> None:
    canister, observer = bench.puppet(MODULE), bench.puppet()
    made = prepared(bench, canister)
    upload(bench, canister, made, "wasm_module", MODULE)
    bench.on("load_canister_snapshot", canister, snapshot_id=made)
    argument = {"canister_id": Principal(canister), "num_requested_changes": 1}
    (change,) = manage_through(bench, observer, "canister_info", argument)["recent_changes"]
    assert change["details"].value["source"] == Case("metadata_upload")


# --- pieces ---


def test_pieces_must_lie_within_what_there_is(bench: Bench) -> None:
    canister = bench.puppet(MODULE)
    taken = bench.on("take_canister_snapshot", canister)["id"]
    for kind, size in (("wasm_module", len(MODULE)), ("wasm_memory", 2 * PAGE), ("stable_memory", 0)):
        assert len(read(bench, canister, taken, kind, offset=0, size=min(size, MAX_SLICE_BYTES))) == size
        assert read(bench, canister, taken, kind, offset=size, size=0) == b""
        for offset, length in ((size, 1), (0, size + 1), ((1 << 64) - 1, 1)):
            with pytest.raises(CallRejectedError, match="IC0408 Invalid subslice"):
                read(bench, canister, taken, kind, offset=offset, size=length)
    with pytest.raises(CallRejectedError, match="IC0408 Requested slice too large: 2000001 > 2000000"):
        read(bench, canister, taken, "wasm_memory", offset=0, size=2_000_001)
    with pytest.raises(CallRejectedError, match="no chunk with hash"):
        read(bench, canister, taken, "wasm_chunk", hash=bytes(32))


def test_uploads_must_lie_within_what_the_metadata_say(bench: Bench) -> None:
    canister = bench.create()
    made = prepared(bench, canister)
    for kind, size in (("wasm_module", len(MODULE)), ("wasm_memory", 2 * PAGE), ("stable_memory", PAGE)):
        upload(bench, canister, made, kind, b"end", size - 3)
        assert read(bench, canister, made, kind, offset=size - 3, size=3) == b"end"
        for offset in (size - 2, (1 << 64) - 1):
            with pytest.raises(CallRejectedError, match="IC0408 Invalid subslice"):
                upload(bench, canister, made, kind, b"end", offset)


def test_uploads_to_the_chunk_store_are_bounded_and_paid_for(bench: Bench) -> None:
    canister = bench.create()
    made = prepared(bench, canister)
    before = bench.canister(canister).memory_metrics()["snapshots_size"]
    upload(bench, canister, made, "wasm_chunk", b"piece")
    upload(bench, canister, made, "wasm_chunk", b"piece")
    assert bench.canister(canister).memory_metrics()["snapshots_size"] == before + (1 << 20)
    with pytest.raises(CallRejectedError, match="1048577 bytes, at most 1048576"):
        upload(bench, canister, made, "wasm_chunk", bytes((1 << 20) + 1))
    for number in range(99):
        upload(bench, canister, made, "wasm_chunk", bytes([number]))
    with pytest.raises(CallRejectedError, match="full with 100 chunks"):
        upload(bench, canister, made, "wasm_chunk", b"one more")


def test_a_snapshot_of_the_canisters_own_state_can_not_be_written_to(bench: Bench) -> None:
    canister = bench.puppet()
    taken = bench.on("take_canister_snapshot", canister)["id"]
    with pytest.raises(CallRejectedError, match="IC0409 Only canister snapshots created by metadata upload"):
        upload(bench, canister, taken, "wasm_memory", b"x")


def test_reading_and_uploading_cost_five_million_instructions_and_one_for_each_byte(bench: Bench) -> None:
    canister = bench.create()
    made = prepared(bench, canister)
    for kind in ("upload", "read"):
        before = bench.canister(canister).consumed["instructions"]
        if kind == "upload":
            upload(bench, canister, made, "wasm_memory", bytes(1_000))
        else:
            read(bench, canister, made, "wasm_memory", offset=0, size=1_000)
        assert bench.canister(canister).consumed["instructions"] - before == 5_000_000 + 1_000


_WRITES = st.lists(st.tuples(st.integers(0, 2 * PAGE), st.binary(min_size=1, max_size=6_000)), max_size=8)


@settings(max_examples=20, deadline=None)
@given(_WRITES)
def test_pieces_in_any_order_overwrite_each_other(writes: list[tuple[int, bytes]]) -> None:
    bench = Bench()
    canister = bench.create()
    made = prepared(bench, canister)
    expected = bytearray(2 * PAGE)
    for offset, piece in writes:
        offset = min(offset, 2 * PAGE - len(piece))
        upload(bench, canister, made, "wasm_memory", piece, offset)
        expected[offset : offset + len(piece)] = piece
    assert read(bench, canister, made, "wasm_memory", offset=0, size=2 * PAGE) == expected


# --- what is refused ---


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"wasm_module_size": (100 << 20) + 1},
            "wasm_module_size is 104857601, the largest possible value is 104857600",
        ),
        ({"wasm_memory_size": (6 << 30) + PAGE}, "wasm_memory_size is"),
        ({"stable_memory_size": (500 << 30) + PAGE}, "stable_memory_size is"),
        ({"wasm_memory_size": (1 << 64) - 1}, "wasm_memory_size is"),
        ({"wasm_memory_size": 1}, "isn't whole pages of 65536 bytes"),
        ({"globals": [Case("i32", 0)] * 1_001}, "1001 globals given"),
        ({"globals": [Case("v128", 1 << 128)]}, "a global of type v128 has the value"),
        ({"certified_data": bytes(33)}, "certified_data has 33 bytes"),
    ],
)
def test_metadata_over_a_limit_are_refused(bench: Bench, fields: dict[str, Any], problem: str) -> None:
    canister = bench.create()
    with pytest.raises(CallRejectedError, match=f"IC0504 Could not validate the snapshot's metadata: .*{problem}"):
        prepared(bench, canister, **fields)
    assert bench.canister(canister).snapshots == {}


def test_a_snapshot_larger_than_the_balance_can_keep_is_refused(bench: Bench) -> None:
    canister = bench.create(10**12)
    with pytest.raises(CallRejectedError, match="IC0532 Canister cannot grow memory"):
        prepared(bench, canister, stable_memory_size=400 << 30)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"globals": []}, "globals of types none"),
        ({"globals": [Case("i32", 0), Case("f32", 0.0), Case("f64", 0.0), Case("i64", 0)]}, "globals of types"),
        ({"wasm_memory_size": PAGE}, "fewer than its module's memory begins with"),
        ({"on_low_wasm_memory_hook_status": Case("executed")}, "the on-low-Wasm-memory hook is executed"),
    ],
)
def test_what_does_not_fit_the_module_can_not_be_loaded(bench: Bench, fields: dict[str, Any], problem: str) -> None:
    canister = bench.puppet(MODULE)
    bench.call(canister, "count")
    made = prepared(bench, canister, **fields)
    upload(bench, canister, made, "wasm_module", MODULE)
    with pytest.raises(CallRejectedError, match=f"IC0408 The snapshot can't be loaded: .*({problem})"):
        bench.on("load_canister_snapshot", canister, snapshot_id=made)
    assert bench.count(canister) == 1


def test_more_memory_than_the_module_may_have_can_not_be_loaded(bench: Bench) -> None:
    module = bytes(wasmtime.wat2wasm("(module (memory 1 2))"))
    canister = bench.puppet()
    made = prepared(bench, canister, wasm_module_size=len(module), wasm_memory_size=3 * PAGE, globals=[])
    upload(bench, canister, made, "wasm_module", module)
    with pytest.raises(CallRejectedError, match="IC0408 The snapshot can't be loaded: the memory can't grow"):
        bench.on("load_canister_snapshot", canister, snapshot_id=made)
    assert bench.count(canister) == 0


def test_the_status_of_the_hook_must_agree_with_the_memory_that_is_left(bench: Bench) -> None:
    canister = bench.puppet(MODULE)
    bench.on("update_settings", canister, settings={"wasm_memory_limit": 4 * PAGE, "wasm_memory_threshold": 3 * PAGE})
    for status in ("condition_not_satisfied", "ready"):
        made = prepared(bench, canister, on_low_wasm_memory_hook_status=Case(status))
        upload(bench, canister, made, "wasm_module", MODULE)
        if status == "ready":
            bench.on("load_canister_snapshot", canister, snapshot_id=made)
        else:
            with pytest.raises(CallRejectedError, match="hook is condition_not_satisfied"):
                bench.on("load_canister_snapshot", canister, snapshot_id=made)


def test_a_module_that_was_not_uploaded_wholly_can_not_be_loaded(bench: Bench) -> None:
    canister = bench.puppet(MODULE)
    made = prepared(bench, canister)
    upload(bench, canister, made, "wasm_module", MODULE[:1000])
    with pytest.raises(CallRejectedError, match="IC0505"):
        bench.on("load_canister_snapshot", canister, snapshot_id=made)
    assert bench.canister(canister).history[-1].kind == "code_deployment"


def test_uploads_count_as_snapshots_and_may_replace_one(bench: Bench) -> None:
    canister = bench.create()
    made = [prepared(bench, canister) for _ in range(10)]
    with pytest.raises(CallRejectedError, match="maximum number of snapshots allowed: 10"):
        prepared(bench, canister)
    newest = prepared(bench, canister, replace_snapshot=made[0])
    assert [item["id"] for item in bench.on("list_canister_snapshots", canister)] == [*made[1:], newest]


# --- who may ---


@pytest.mark.parametrize("public", [False, True])
def test_a_setting_says_who_may_read_and_controllers_alone_upload(bench: Bench, public: bool) -> None:
    canister = bench.puppet(MODULE, snapshot_visibility=Case("public" if public else "controllers"))
    target = {"canister_id": Principal(canister), "snapshot_id": prepared(bench, canister)}
    slice_ = Case("wasm_module", {"offset": 0, "size": 4})
    reads = {
        "read_canister_snapshot_metadata": target,
        "read_canister_snapshot_data": {**target, "kind": slice_},
    }
    for method, argument in reads.items():
        if public:
            bench.check_management(method, argument, STRANGER)
            assert bench.manage(method, argument, STRANGER)
        else:
            with pytest.raises(CanisterError, match="Only controllers of canister"):
                bench.check_management(method, argument, STRANGER)
            with pytest.raises(CallRejectedError, match="IC0512"):
                bench.manage(method, argument, STRANGER)
    upload_argument = {**target, "kind": Case("wasm_chunk"), "chunk": b"x"}
    with pytest.raises(CanisterError, match="Only controllers of canister"):
        bench.check_management("upload_canister_snapshot_data", upload_argument, STRANGER)
    with pytest.raises(CallRejectedError, match="IC0512"):
        bench.manage("upload_canister_snapshot_data", upload_argument, STRANGER)
