"""How snapshots are made and kept: in turns, sharing what is the same, over restarts, and undone by anchors."""

from __future__ import annotations

from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.store.state_codec import encode_state
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.durability import CheckpointError
from canister_factory.replica.subnet.schedule import Pace
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import (
    MANAGEMENT,
    Bench,
    engine,
    management_argument,
)
from support.replica_puppet import puppet
from support.snapshot_calls import WITH_GLOBALS, load, snapshot, take, turn
from support.store_history import opener


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- a large memory is copied in steps, between which others have their turns ---

LARGE = puppet("""
  (func (export "canister_update grow") (drop (memory.grow (i32.const 64))) (call $reply_count))
  (func (export "canister_update mark") (i32.store (i32.const 4000000) (i32.const 77)) (call $reply_count))
  (func (export "canister_query marked") (call $append (i32.const 4000000) (i32.const 4)) (call $reply))
""")
SHORT = Pace(turn_slices=1, round_slices=1)


def large(bench: Bench) -> bytes:
    canister = bench.puppet(LARGE)
    bench.call(canister, "grow")
    bench.call(canister, "mark")
    return canister


@pytest.mark.parametrize("method", ["take_canister_snapshot", "load_canister_snapshot"])
def test_others_are_answered_while_a_large_memory_is_copied(bench: Bench, method: str) -> None:
    canister, other = large(bench), bench.puppet()
    taken = take(bench, canister)
    argument = {"canister_id": Principal(canister), "snapshot_id": taken}
    request = bench.submit(MANAGEMENT, method, management_argument(method, argument))
    bench.subnet.execute_round(pace=SHORT)
    assert list(bench.subnet.state.begun) == [canister]
    counted = bench.submit(other, "count")
    while bench.outcome(counted) is None:
        bench.subnet.execute_round(pace=SHORT)
    assert bench.outcome(request) is None
    bench.run()
    assert bench.outcome(request) is not None
    assert bench.query(canister, "marked") == (77).to_bytes(4, "little")


def test_what_is_uploaded_while_a_snapshot_is_loaded_elsewhere_is_loaded_too(bench: Bench) -> None:
    source, target = large(bench), bench.create()
    made = bench.on(
        "upload_canister_snapshot_metadata",
        source,
        wasm_module_size=len(LARGE),
        wasm_memory_size=66 * 65_536,
        stable_memory_size=0,
        globals=[],
        certified_data=b"",
    )["snapshot_id"]

    def piece(kind: str, chunk: bytes, offset: int = 0) -> bytes:
        named = {"canister_id": Principal(source), "snapshot_id": made, "kind": Case(kind, {"offset": offset})}
        return management_argument("upload_canister_snapshot_data", {**named, "chunk": chunk})

    bench.call(MANAGEMENT, "upload_canister_snapshot_data", piece("wasm_module", LARGE))
    loading = {"canister_id": Principal(target), "snapshot_id": made}
    bench.submit(MANAGEMENT, "load_canister_snapshot", management_argument("load_canister_snapshot", loading))
    bench.subnet.execute_round(pace=SHORT)
    assert list(bench.subnet.state.begun) == [target]
    uploaded = bench.submit(MANAGEMENT, "upload_canister_snapshot_data", piece("wasm_memory", b"\x2a", 4_000_000))
    while bench.outcome(uploaded) is None:
        bench.subnet.execute_round(pace=SHORT)
    assert list(bench.subnet.state.begun) == [target]
    bench.run()
    assert bench.query(target, "marked") == b"\x2a\0\0\0"


@pytest.mark.parametrize("ended", [False, True])
def test_a_copy_in_steps_comes_back_after_a_restart(tmp_path: Path, ended: bool) -> None:
    bench = _durable(tmp_path)
    canister = large(bench)
    request = bench.submit(
        MANAGEMENT,
        "take_canister_snapshot",
        management_argument("take_canister_snapshot", {"canister_id": Principal(canister)}),
    )
    bench.subnet.execute_round(pace=SHORT)
    assert list(bench.subnet.state.begun) == [canister]
    if ended:
        bench.run()
    bench.subnet.persist()
    before = encode_state(bench.subnet.state)
    bench.restart()
    assert encode_state(bench.subnet.state) == before
    bench.run()
    taken = bench.outcome(request)
    assert taken is not None
    assert taken.is_reply
    (kept,) = bench.canister(canister).snapshots.values()
    assert kept.main.read(4_000_000, 1) == bytes([77])


def test_snapshots_share_the_wasm_memory_that_is_the_same(bench: Bench) -> None:
    canister = large(bench)
    first = take(bench, canister)
    bench.call(canister, "count")
    second = take(bench, canister)
    blocks = [dict(snapshot(bench, canister, key).main.export_state().extents) for key in (first, second)]
    offset = 4_000_000 // 4_096 * 4_096
    assert blocks[0][offset] is blocks[1][offset]
    assert blocks[0][0] != blocks[1][0]


# --- going back, and restarts ---


def test_an_anchor_brings_back_the_snapshots_that_there_were(bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    first = take(bench, canister)
    anchor = bench.subnet.anchor()
    bench.call(canister, "count")
    second = take(bench, canister)
    load(bench, canister, first)
    bench.on("delete_canister_snapshot", canister, snapshot_id=first)
    bench.subnet.revert(anchor)
    assert list(bench.canister(canister).snapshots) == [first]
    bench.call(canister, "count")
    assert bench.count(canister) == 2
    assert take(bench, canister) == second
    load(bench, canister, first)
    assert bench.count(canister) == 1


def _durable(directory: Path) -> Bench:
    return Bench(lambda clock: Subnet(engine(), clock_ns=clock, checkpoint=Checkpoint(directory, engine())))


@pytest.mark.parametrize("orderly", [True, False])
def test_snapshots_survive_a_restart(tmp_path: Path, orderly: bool) -> None:
    bench = _durable(tmp_path)
    canister = bench.puppet(WITH_GLOBALS)
    bench.call(canister, "count")
    bench.call(canister, "remember", b"in stone")
    turn(bench, canister)
    bench.on("upload_chunk", canister, chunk=b"piece")
    kept, dropped = take(bench, canister), take(bench, canister)
    if orderly:
        bench.subnet.close()
        bench.restart()
    bench.on("delete_canister_snapshot", canister, snapshot_id=dropped)
    bench.install(canister, puppet(), mode="reinstall")
    bench.subnet.persist()
    listed = bench.on("list_canister_snapshots", canister)
    if orderly:
        bench.subnet.close()

    bench.restart()

    assert bench.on("list_canister_snapshots", canister) == listed
    load(bench, canister, kept)
    assert (bench.count(canister), turn(bench, canister)) == (1, 102)
    assert bench.query(canister, "recall") == b"in stone"
    assert list(bench.canister(canister).chunks.values()) == [b"piece"]


def test_a_snapshot_is_written_once_and_read_again(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, messages=1))
    canister = bench.puppet()
    bench.call(canister, "remember", b"in stone")
    first = take(bench, canister)
    bench.subnet.persist()
    written = {path.name for path in (tmp_path / "images").glob(f"{first.hex()}-*")}
    assert {name.split("-")[1] for name in written} == {"main", "stable"}
    bench.call(canister, "count")
    bench.call(canister, "count")
    bench.subnet.persist()
    assert {path.name for path in (tmp_path / "images").glob(f"{first.hex()}-*")} == written
    second = take(bench, canister)
    bench.on("delete_canister_snapshot", canister, snapshot_id=first)
    bench.subnet.persist()
    assert {path.name.split("-")[0] for path in (tmp_path / "images").iterdir()} == {canister.hex(), second.hex()}
    original = snapshot(bench, canister, second)
    bench.restart()
    loaded = snapshot(bench, canister, second)
    assert loaded is not original
    assert (loaded.wasm, loaded.main.export_state()) == (original.wasm, original.main.export_state())


def test_a_memory_that_was_loaded_from_a_snapshot_is_saved_whole(tmp_path: Path) -> None:
    """What changed since the last snapshot of the subnet isn't what differs from the state that was loaded."""
    bench = Bench(opener(tmp_path, messages=1))
    canister = bench.puppet()
    bench.call(canister, "remember", b"first...")
    bench.subnet.persist()
    taken = take(bench, canister)
    bench.call(canister, "remember", b"second..")
    bench.subnet.persist()
    bench.call(canister, "count")
    bench.subnet.persist()
    load(bench, canister, taken)
    bench.subnet.persist()
    bench.subnet.close()
    bench.restart()
    assert bench.query(canister, "recall") == b"first..."
    assert bench.count(canister) == 0


def test_a_snapshot_without_its_content_is_refused(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path))
    taken = take(bench, bench.puppet())
    bench.subnet.close()
    (image,) = (tmp_path / "images").glob(f"{taken.hex()}-main-*")
    image.unlink()
    with pytest.raises(CheckpointError, match=rf"{image} is missing"):
        bench.restart()


def test_the_stable_memory_of_a_snapshot_is_shared_until_it_is_written(bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "remember", b"in stone")
    taken = take(bench, canister)
    state: CanisterState = bench.canister(canister)
    shared = snapshot(bench, canister, taken).stable.export_state().extents
    assert shared[0][1] is state.stable.export_state().extents[0][1]
    bench.call(canister, "remember", b"in sand!")
    assert snapshot(bench, canister, taken).stable.read(0, 8) == b"in stone"
