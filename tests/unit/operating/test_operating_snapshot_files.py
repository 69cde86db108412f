"""A backend's snapshot on disk: what a run began is found again, and nobody else's is taken for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.ic.management_snapshot_types import CanisterSnapshot, GlobalValue
from canister_factory.operating.restore import needed_cycles
from canister_factory.operating.snapshot_files import (
    PIECE_BYTES,
    Begun,
    Piece,
    SnapshotDirectory,
    SnapshotState,
    places,
)
from canister_factory.owner.errors import BackupError

CANISTER = Principal(b"\0\0\0\0\0\0\0\x07\x01\x01")
MINUTE_NS = 60 * 10**9
BEGUN = Begun(canister_id=CANISTER, at_ns=100 * MINUTE_NS, before=[b"old"])


def listed(name: bytes, minute: int) -> CanisterSnapshot:
    return CanisterSnapshot(id=name, taken_at_timestamp=minute * MINUTE_NS, total_size=1)


def state(**fields: object) -> SnapshotState:
    return SnapshotState.model_validate(
        {
            "canister_id": CANISTER,
            "snapshot_id": b"snapshot",
            "taken_at_ns": 1,
            "module_hash": bytes(32),
            "api_version": "1.0.0",
            "sizes": {"wasm_module": 5, "wasm_memory": PIECE_BYTES + 1, "stable_memory": 0},
            "pieces": {"wasm_module": [b"m"], "wasm_memory": [b"a", b"b"], "stable_memory": []},
            "chunk_store": [b"c"],
            "chunk_sizes": [3],
            "globals": [GlobalValue(i64=-1), GlobalValue(f64=0.5)],
            "certified_data": b"",
            "controllers": [CANISTER],
            "freezing_threshold_s": 90 * 86_400,
            **fields,
        }
    )


def test_a_runs_own_snapshot_is_the_new_one_of_its_time() -> None:
    others = [listed(b"old", 99), listed(b"later", 300)]
    assert BEGUN.own(others) is None
    assert BEGUN.own([*others, listed(b"mine", 101)]) == b"mine"
    known = BEGUN.model_copy(update={"snapshot": b"later"})
    assert known.own(others) == b"later"
    assert known.own(others[:1]) is None, "it was deleted"


def test_a_snapshot_that_may_be_somebody_elses_is_left_and_named() -> None:
    with pytest.raises(BackupError, match=f"one of the snapshots {b'a'.hex()}, {b'b'.hex()} of {CANISTER}"):
        BEGUN.own([listed(b"a", 100), listed(b"b", 102)])


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    directory = SnapshotDirectory.create_for(CANISTER, b"key", tmp_path / "backup")
    name = directory.add(state())
    assert SnapshotDirectory.open(directory.path).state(name) == state()
    assert [piece.kind for piece in state().all_pieces()] == ["wasm_module", "wasm_memory", "wasm_memory", "wasm_chunk"]
    assert state().size == 5 + PIECE_BYTES + 1 + 3
    shorter = state(sizes={"wasm_module": 5, "wasm_memory": 1, "stable_memory": 0})
    (directory.path / "states" / f"{name}.json").write_text(shorter.model_dump_json())
    with pytest.raises(BackupError, match="its pieces don't amount to its wasm_memory"):
        directory.state(name)
    other = state(globals=[GlobalValue(i64=-2), GlobalValue(f64=0.5)])
    (directory.path / "states" / f"{name}.json").write_text(other.model_dump_json())
    with pytest.raises(BackupError, match="its hash isn't that of its name"):
        directory.state(name)


def test_pieces_of_one_run_are_not_taken_for_those_of_the_next(tmp_path: Path) -> None:
    directory = SnapshotDirectory.create_for(CANISTER, b"key", tmp_path / "backup")
    first = directory.taking()
    first.start(BEGUN)
    first.add(Piece("wasm_memory", 0, 5, b"x" * 32))
    first.add(Piece("wasm_memory", 5, 5, b"y" * 32))
    with (directory.path / "taking.log").open("a") as log:
        log.write("wasm_memory 10 7a7a")  # the process was killed here
    again = directory.taking()
    assert again.begun() == BEGUN
    assert again.done == {("wasm_memory", 0): b"x" * 32, ("wasm_memory", 5): b"y" * 32}
    again.start(BEGUN)
    assert directory.taking().begun() == BEGUN
    assert again.done == {}
    later = directory.taking()
    later.begun()
    assert later.done == {}
    later.end()
    assert directory.taking().begun() is None


def test_threads_that_write_the_same_piece_are_in_nobodys_way(tmp_path: Path) -> None:
    directory = SnapshotDirectory.create_for(CANISTER, b"key", tmp_path / "backup")
    data = bytes(PIECE_BYTES)
    name = sha256(data).digest()
    with ThreadPoolExecutor(8) as threads:
        for writing in [threads.submit(directory.put_chunk, name, data) for _ in range(32)]:
            writing.result()
    assert directory.chunk(name) == data
    assert list(directory.path.glob("**/*.part")) == []


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 10 * PIECE_BYTES])
def test_pieces_cover_everything_once(size: int) -> None:
    end = 0
    for offset, length in places(size):
        assert offset == end
        assert 0 < length <= PIECE_BYTES
        end += length
    assert end == size


def test_what_a_restore_needs_grows_with_what_is_restored() -> None:
    small, large = state(), state(chunk_sizes=[10**9])
    assert needed_cycles(large) - needed_cycles(small) > 10**9 * 2_000
