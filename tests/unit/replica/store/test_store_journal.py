"""The journal: what a file tells of its records, whatever became of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.replica.store.files import DamagedError, Files, SyncFailedError
from canister_factory.replica.store.journal import FIRST_BYTES, Journal
from support.faulty_files import FaultyFiles, failing

SALT, OTHER_SALT = b"s" * 16, b"t" * 16
HEADER_BYTES = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal-1"


def written(path: Path, *batches: list[bytes]) -> None:
    """A new journal to which these batches were appended, each with a flush."""
    journal = Journal.create(Files(power=False), path, SALT)
    for batch in batches:
        for record in batch:
            journal.make_room(len(record))
            journal.append(record)
        journal.flush()
    journal.close()


def written_by(files: Files, path: Path) -> Path:
    """A new journal without records."""
    Journal.create(files, path, SALT).close()
    return path


def read(path: Path) -> list[bytes]:
    journal = Journal(Files(power=False), path, SALT)
    try:
        return list(journal.records())
    finally:
        journal.close()


@given(st.lists(st.lists(st.binary(min_size=1, max_size=3000), max_size=3), max_size=4))
@settings(max_examples=30)
def test_records_are_read_as_they_were_appended(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal-1"
    written(path, *batches)
    assert read(path) == [record for batch in batches for record in batch]


def test_a_file_grows_ahead_of_its_records(path: Path) -> None:
    written(path)
    assert path.stat().st_size == FIRST_BYTES
    written(path, [bytes(FIRST_BYTES)])
    assert path.stat().st_size >= 2 * FIRST_BYTES


def test_the_more_a_journal_has_of_large_records_the_further_it_grows_ahead(path: Path) -> None:
    """Each time is a flush to the disk before the message may be executed."""
    journal = Journal.create(Files(power=False), path, SALT)
    sizes = []
    for _ in range(50):
        journal.make_room(2_000_000)
        journal.append(bytes(2_000_000))
        journal.flush()
        sizes.append(path.stat().st_size)
    journal.close()
    assert len(set(sizes)) <= 12
    assert sizes[-1] <= 50 * 2_000_000 + (1 << 24) + 3_000_000


def test_small_records_take_little_room_ahead(path: Path) -> None:
    journal = Journal.create(Files(power=False), path, SALT)
    journal.make_room(8_000_000)
    journal.append(bytes(8_000_000))
    for _ in range(300):
        journal.make_room(10_000)
        journal.append(bytes(10_000))
    journal.flush()
    journal.close()
    assert path.stat().st_size <= 11_000_000 + (2 << 20)


def test_what_was_not_flushed_is_not_there(path: Path) -> None:
    journal = Journal.create(Files(power=False), path, SALT)
    journal.append(b"lost")
    journal.close()
    assert read(path) == []


@pytest.mark.parametrize("place", ["header", "content", "end"])
def test_a_record_that_was_answered_and_is_damaged_is_refused(path: Path, place: str) -> None:
    written(path, [b"first"], [b"second, the last"])
    content = bytearray(path.read_bytes())
    start = content.index(b"second")
    content[{"header": start - 20, "content": start + 3, "end": start + 15}[place]] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="journal-1 is damaged at byte"):
        read(path)
    assert path.read_bytes() == content, "nothing was wiped"


def test_a_batch_without_a_mark_behind_it_is_torn_whatever_is_there_of_it(path: Path) -> None:
    written(path, [b"first"], [b"second" * 1000, b"third" * 1000, b"fourth"])
    content = bytearray(path.read_bytes())
    mark = len(content.rstrip(b"\0")) - HEADER_BYTES
    content[mark : mark + HEADER_BYTES] = bytes(HEADER_BYTES)
    start = content.index(b"second")
    content[start : start + 100] = bytes(100)  # a block that a power failure left out; those behind it are there
    path.write_bytes(content)
    assert read(path) == [b"first"]
    assert b"third" not in path.read_bytes()


def test_a_mark_alone_that_is_damaged_costs_nothing(path: Path) -> None:
    written(path, [b"first"])
    content = bytearray(path.read_bytes())
    content[len(content.rstrip(b"\0")) - 5] ^= 1
    path.write_bytes(content)
    assert read(path) == [b"first"]
    assert read(path) == [b"first"]


def test_another_journal_within_a_record_proves_nothing(path: Path, tmp_path: Path) -> None:
    other = Journal.create(Files(power=False), tmp_path / "journal-2", OTHER_SALT)
    for _ in range(9):
        other.append(b"y")
        other.flush()
    other.close()
    inner = (tmp_path / "journal-2").read_bytes().rstrip(b"\0")
    written(path, [b"first"], [inner])
    content = bytearray(path.read_bytes())
    end = len(content.rstrip(b"\0"))
    content[end - HEADER_BYTES - 10 : end] = bytes(HEADER_BYTES + 10)
    path.write_bytes(content)
    assert read(path) == [b"first"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "is empty"), (b"CFjournal2", "is no journal"), (os.urandom(FIRST_BYTES), "is no journal")],
)
def test_a_file_that_is_no_journal_is_refused(path: Path, content: bytes, problem: str) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=problem):
        read(path)


def test_the_journal_of_another_state_is_refused(path: Path) -> None:
    Journal.create(Files(power=False), path, OTHER_SALT).close()
    with pytest.raises(DamagedError, match="journal-1 belongs to another state"):
        read(path)


@pytest.mark.parametrize("records", [0, 3])
def test_a_file_that_was_cut_off_between_records_is_refused(path: Path, records: int) -> None:
    written(path, *[[b"record"]] * records)
    for size in (100, FIRST_BYTES - 1):
        os.truncate(path, size)
        with pytest.raises(DamagedError, match="journal-1 was cut off"):
            read(path)


@pytest.mark.parametrize(("power", "syncs"), [(True, 1), (False, 0)])
def test_a_flush_forces_its_records_to_disk_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, power: bool, syncs: int
) -> None:
    journal = Journal.create(Files(power=power), path, SALT)
    forced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", forced.append)
    for record in (b"one", b"two", b"three"):
        journal.append(record)
    journal.flush()
    journal.flush()
    journal.close()
    assert len(forced) == syncs


def test_a_mark_that_could_not_be_written_is_made_up_for(path: Path) -> None:
    files = FaultyFiles(fault=lambda: OSError(28, "full"), share=0.5)
    journal = Journal.create(files, path, SALT)
    journal.append(b"one")
    files.at = files.done + 2
    journal.flush()
    journal.append(b"two")
    journal.flush()
    journal.close()
    assert read(path) == [b"one", b"two"]


def test_what_is_done_meanwhile_comes_after_the_write_and_with_the_sync(path: Path) -> None:
    files = FaultyFiles()
    journal = Journal(files, written_by(files, path), SALT)
    seen: list[str] = []
    for fails in (False, True):
        journal.append(b"record")
        files.kinds.clear()
        files.at, files.fault = (files.done + 1, failing(errno.EIO)) if fails else (-1, None)
        seen.clear()
        if fails:
            with pytest.raises(SyncFailedError):
                journal.flush(lambda: seen.extend(files.kinds))
        else:
            journal.flush(lambda: seen.extend(files.kinds))
        assert seen[0] == "write"
        assert files.kinds == (["write", "sync"] if fails else ["write", "sync", "write"])
    files.end()
    journal.close()


def test_what_could_not_be_written_leaves_nothing_to_do_meanwhile(path: Path) -> None:
    files = FaultyFiles()
    journal = Journal(files, written_by(files, path), SALT)
    journal.append(b"record")
    files.at, files.fault = files.done, failing(errno.ENOSPC)
    done: list[str] = []
    with pytest.raises(OSError, match="No space left"):
        journal.flush(lambda: done.append("it"))
    assert not done
    journal.flush(lambda: done.append("it"))
    assert done
    files.end()
    journal.close()


# --- large records ---------------------------------------------------------------------------------------------------

MIXED = [b"a" * 10, b"b" * 100_000, b"c" * 20, b"d", b"e" * 200_000, b"f" * 70_000]


class WatchedFiles(Files):
    """Keeps what was written, in order."""

    def __init__(self) -> None:
        super().__init__(power=False)
        self.written: list[bytes | memoryview] = []

    def write(self, file: int, data: bytes | memoryview, offset: int) -> None:
        self.written.append(data)
        super().write(file, data, offset)


def test_large_records_are_written_uncopied_and_what_is_between_them_together(path: Path) -> None:
    files = WatchedFiles()
    journal = Journal.create(files, path, SALT)
    for record in MIXED:
        journal.make_room(len(record))
        journal.append(record)
    files.written.clear()
    journal.flush()
    journal.close()
    large = [data for data in files.written if len(data) >= 1 << 16]
    assert [id(data) for data in large] == [id(record) for record in MIXED if len(record) >= 1 << 16]
    sizes = [HEADER_BYTES + 10 + HEADER_BYTES, 100_000, HEADER_BYTES + 20 + HEADER_BYTES + 1 + HEADER_BYTES, 200_000]
    assert [len(data) for data in files.written[:4]] == sizes
    assert read(path) == MIXED


@pytest.mark.parametrize("number", range(6))
def test_whichever_of_its_writes_fails_a_flush_can_be_tried_again(path: Path, number: int) -> None:
    files = FaultyFiles(power=False)
    journal = Journal.create(files, path, SALT)
    journal.append(b"before")
    journal.flush()
    for record in MIXED:
        journal.make_room(len(record))
        journal.append(record)
    files.at, files.share, files.fault = files.done + number, 0.5, failing(errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        journal.flush()
    files.fault = None
    assert read(path) == [b"before"]
    journal.flush()
    journal.close()
    assert read(path) == [b"before", *MIXED]


# --- written ahead ---------------------------------------------------------------------------------------------------


def test_a_record_in_parts_is_one(path: Path) -> None:
    journal = Journal.create(Files(power=False), path, SALT)
    journal.append(b"a", b"bc", b"", b"d")
    journal.append(b"e")
    journal.flush()
    journal.close()
    assert read(path) == [b"abcd", b"e"]


def test_what_is_written_ahead_is_not_written_again(path: Path) -> None:
    files = WatchedFiles()
    journal = Journal.create(files, path, SALT)
    files.written.clear()
    journal.append(MIXED[0])
    journal.append(MIXED[1])
    assert not journal.written_ahead
    journal.write_ahead()
    assert journal.written_ahead
    assert read(path) == MIXED[:2], "a start may find them"
    journal.append(MIXED[2])
    journal.append(MIXED[4])
    journal.write_ahead()
    journal.append(MIXED[3])
    journal.flush()
    assert not journal.written_ahead
    journal.append(MIXED[5])
    journal.flush()
    journal.close()
    assert read(path) == [MIXED[number] for number in (0, 1, 2, 4, 3, 5)]
    marks, headers = 2, 6
    assert sum(map(len, files.written)) == sum(map(len, MIXED)) + (marks + headers) * HEADER_BYTES


@pytest.mark.parametrize("number", range(3))
def test_a_disk_that_refuses_what_is_written_ahead_may_take_it_later(path: Path, number: int) -> None:
    files = FaultyFiles(power=False)
    journal = Journal.create(files, path, SALT)
    for record in MIXED[:2]:
        journal.make_room(len(record))
        journal.append(record)
    files.at, files.share, files.fault = files.done + number, 0.5, failing(errno.ENOSPC)
    journal.write_ahead()
    assert journal.written_ahead, "a part of it may be there"
    files.at = -1
    journal.append(MIXED[2])
    journal.flush()
    assert not journal.written_ahead
    journal.close()
    assert read(path) == MIXED[:3]


def test_a_flush_that_fails_takes_back_what_was_written_ahead(path: Path) -> None:
    files = FaultyFiles(power=False)
    journal = Journal.create(files, path, SALT)
    journal.append(MIXED[1])
    journal.write_ahead()
    journal.append(MIXED[2])
    files.at, files.fault = files.done, failing(errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        journal.flush()
    files.at = -1
    assert read(path) == []
    journal.flush()
    journal.close()
    assert read(path) == MIXED[1:3]


def test_the_disk_begins_with_what_is_written_ahead_and_what_is_large_is_not_kept_in_memory(path: Path) -> None:
    told: list[tuple[int, int]] = []

    class Told(Files):
        def expect_no_reads(self, file: int, offset: int, size: int) -> None:
            told.append((offset, size))

    journal = Journal.create(Told(power=False), path, SALT)
    journal.append(MIXED[1])
    journal.flush()
    assert told == []
    large = MIXED[4] * 2
    journal.append(large)
    journal.write_ahead()
    (offset, size), content = told[0], path.read_bytes()
    assert content[offset : offset + size].endswith(large)
    journal.flush()
    assert told == [(offset, size)] * 2, "when it has begun, and when it is there"
    journal.close()
