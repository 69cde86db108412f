"""The operations on files: private, whole, and forced to disk only where that is wanted."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from canister_factory.replica.store.files import Files, SyncFailedError


@pytest.fixture
def files() -> Files:
    return Files(power=False)


def test_a_new_file_is_private_and_replaces_an_old_one(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    files.write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)


def test_a_file_system_that_can_not_reserve_gets_zeroes(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    file = files.create(tmp_path / "file")
    files.write(file, b"start", 0)
    files.reserve(file, 5, 100_000)
    files.close(file)
    assert (tmp_path / "file").read_bytes() == b"start" + bytes(100_000)


def test_much_room_is_allocated_and_little_is_written_too(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(Files, "write", lambda _, file, data, offset: written.append(len(data)))
    monkeypatch.setattr(os, "posix_fallocate", lambda file, offset, size: os.ftruncate(file, offset + size))
    for size in (3 << 20, 100_000):
        file = files.create(tmp_path / "file")
        files.reserve(file, 0, size)
        files.close(file)
        assert (tmp_path / "file").read_bytes() == bytes(size)
    assert sum(written) == 100_000


def test_room_that_is_not_there_is_an_error(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    file = files.create(tmp_path / "file")
    with pytest.raises(OSError, match="full"):
        files.reserve(file, 0, 100)
    files.close(file)
    assert (tmp_path / "file").read_bytes() == b""


def test_a_file_is_published_wholly_or_not_at_all(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "manifest"
    files.publish(path, b"first")
    monkeypatch.setattr(Files, "sync", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        files.publish(path, b"second")
    assert path.read_bytes() == b"first"


def test_a_name_that_may_not_last_is_told_apart(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "sync_directory", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(SyncFailedError):
        files.publish(tmp_path / "manifest", b"second")
    assert (tmp_path / "manifest").read_bytes() == b"second"


@pytest.mark.parametrize(("power", "forced"), [(True, 2), (False, 0)])
def test_only_for_power_failures_anything_is_forced_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: bool, forced: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(os, "fdatasync", calls.append, raising=False)
    monkeypatch.setattr(os, "fsync", calls.append)
    Files(power=power).publish(tmp_path / "file", b"content")
    assert len(calls) == forced


def test_holes_are_told_from_data(files: Files, tmp_path: Path) -> None:
    file = files.create(tmp_path / "file")
    files.truncate(file, 3 << 16)
    files.write(file, b"data", 1 << 16)
    found = [files.has_data(file, number << 16, 1 << 16) for number in range(3)]
    assert found == [False, True, False]
    files.close(file)


def test_the_disk_is_at_work_while_something_else_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met = threading.Barrier(2, timeout=10)
    monkeypatch.setattr(os, "fdatasync", lambda file: met.wait(), raising=False)
    files = Files()
    file = files.create(tmp_path / "file")

    turns: list[int] = []
    files.sync_beside(file, lambda: turns.append(met.wait()))
    files.close(file)
    files.end()
    assert len(turns) == 1


def test_where_nothing_is_forced_to_disk_there_is_no_thread(files: Files, tmp_path: Path) -> None:
    others = threading.enumerate()
    file, done = files.create(tmp_path / "file"), list[str]()
    files.sync_beside(file, lambda: done.append(threading.current_thread().name))
    files.end()
    files.close(file)
    assert done == ["MainThread"]
    assert [thread for thread in threading.enumerate() if thread not in others] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the hint")
@pytest.mark.parametrize("power", [True, False])
def test_the_disk_is_told_to_begin_where_something_has_to_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: bool
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda file, offset, size, advice: told.append((offset, size)))
    files = Files(power=power)
    file = files.create(tmp_path / "file")
    files.write(file, b"content", 0)
    files.expect_no_reads(file, 2, 3)
    files.close(file)
    assert told == ([(2, 3)] if power else [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the hint")
def test_a_file_system_without_the_hint_is_no_failure() -> None:
    read, write = os.pipe()  # the system refuses it for what can't be rewound
    try:
        with pytest.raises(OSError, match="Illegal seek"):
            os.posix_fadvise(read, 0, 1, os.POSIX_FADV_DONTNEED)
        Files().expect_no_reads(read, 0, 1)
    finally:
        os.close(read)
        os.close(write)
