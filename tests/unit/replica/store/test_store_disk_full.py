"""A disk without room: what is refused, what is tried again, and what is kept."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from canister_factory.replica.subnet.broken import SubnetBrokenError
from canister_factory.replica.subnet.durability import CheckpointError
from support.faulty_files import FaultyFiles, failing
from support.replica_bench import SECOND_NS, Bench
from support.store_history import contents, opener


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def bench(tmp_path: Path, files: FaultyFiles) -> Bench:
    return Bench(opener(tmp_path, files=files))


def full(files: FaultyFiles, count: int = 1 << 30) -> None:
    """From now on the disk is full, for so many operations."""
    files.at, files.count, files.fault = files.done, count, failing(errno.ENOSPC)


def test_a_message_for_which_there_is_no_room_changes_nothing_and_is_taken_later(
    tmp_path: Path, files: FaultyFiles, bench: Bench
) -> None:
    canister = bench.puppet()
    bench.subnet.persist()
    before = contents(bench.subnet)
    full(files)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=rf"{tmp_path} .*No space left on device") as refused:
            bench.submit(canister, "echo", bytes(2_000_000))
        assert refused.value.passing
        assert contents(bench.subnet) == before
    files.count = 0
    bench.call(canister, "count")
    bench.subnet.persist()
    bench.restart()
    assert bench.count(canister) == 1


def test_a_round_is_not_executed_while_there_is_no_room(files: FaultyFiles, bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "set_timer", (bench.clock.now_ns + SECOND_NS).to_bytes(8, "little"))
    full(files)
    with pytest.raises(CheckpointError):
        bench.submit(canister, "echo", bytes(2_000_000))
    bench.clock.advance(2)
    with pytest.raises(CheckpointError) as refused:
        bench.subnet.execute_round()
    assert refused.value.passing
    assert bench.count(canister) == 0
    files.count = 0
    bench.run()
    assert bench.count(canister) == 1


def test_what_room_was_made_for_is_written_on_a_full_disk(files: FaultyFiles, bench: Bench) -> None:
    canister = bench.puppet()
    files.kinds.clear()
    bench.call(canister, "count")
    bench.subnet.persist()
    assert files.kinds == ["write", "sync", "write"], "the records at once, and the mark; no room had to be made"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.7])
def test_a_write_that_the_disk_cut_short_is_wiped_and_tried_again(
    tmp_path: Path, files: FaultyFiles, bench: Bench, share: float
) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    bench.subnet.persist()
    (journal,) = tmp_path.glob("journal-*")
    before = journal.read_bytes()
    bench.call(canister, "count")
    full(files, 1)
    files.share = share
    with pytest.raises(CheckpointError, match=r"written \(No space left on device\).*--state-dir") as refused:
        bench.subnet.persist()
    assert (refused.value.durable, refused.value.passing) == (False, True)
    assert journal.read_bytes() == before, "what was torn is cut off before anything else is written"
    bench.call(canister, "count")
    bench.subnet.persist()
    bench.restart()
    assert bench.call(canister, "count") == b"\x04\0\0\0"


def test_what_could_not_be_forced_to_disk_ends_all_work(files: FaultyFiles, bench: Bench) -> None:
    canister = bench.puppet()
    bench.subnet.persist()
    bench.call(canister, "count")
    files.at, files.fault = files.done + 1, failing(errno.EIO)
    with pytest.raises(CheckpointError) as refused:
        bench.subnet.persist()
    assert (refused.value.durable, refused.value.passing) == (None, False)
    with pytest.raises(SubnetBrokenError):
        bench.submit(canister, "count")


def test_a_snapshot_that_finds_no_space_is_put_off_with_all_that_changed(
    tmp_path: Path, files: FaultyFiles, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(opener(tmp_path, files=files, messages=2))
    canister = bench.puppet()
    bench.subnet.persist()
    for turn in range(4):
        bench.call(canister, "count")
        bench.call(canister, "remember", b"turn   %d" % turn)
        full(files)
        files.at += 3  # the journal's records, their sync and the mark have room
        bench.subnet.persist()
        files.count = 0
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the snapshot is put off, nothing is lost"
    ]
    (journal,) = tmp_path.glob("journal-*")
    bench.call(canister, "count")
    bench.subnet.persist()
    assert not journal.exists(), "the snapshot was taken"
    bench.restart()
    assert bench.count(canister) == 5
    assert bench.query(canister, "recall") == b"turn   3"
