"""Where a file has data, and how often its file system is asked for that."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from canister_factory.replica.runtime.file_copies import copy, data_in

PAGE = 4_096

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memories are in such files on Linux alone")


@pytest.fixture
def files() -> Iterator[tuple[int, int]]:
    """A file with data in pages 0 to 3 and 8 to 11 of 16, and one without any."""
    source, target = os.memfd_create("source"), os.memfd_create("target")
    for file in (source, target):
        os.ftruncate(file, 16 * PAGE)
    for page in (0, 8):
        os.pwrite(source, bytes([page + 1]) * 4 * PAGE, page * PAGE)
    yield source, target
    for file in (source, target):
        os.close(file)


def pages(*runs: tuple[int, int]) -> list[tuple[int, int]]:
    return [(start * PAGE, end * PAGE) for start, end in runs]


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        ([(0, 16)], [(0, 4), (8, 12)]),
        ([(1, 2), (3, 9), (10, 16)], [(1, 2), (3, 4), (8, 9), (10, 12)]),
        ([(4, 8), (8, 9)], [(8, 9)]),
        ([(5, 6), (6, 7), (9, 10)], [(9, 10)]),
        ([(2, 2), (12, 16)], []),
        ([], []),
    ],
)
def test_of_each_run_the_data_is_found(
    files: tuple[int, int], runs: list[tuple[int, int]], found: list[tuple[int, int]]
) -> None:
    assert data_in(files[0], pages(*runs)) == pages(*found)


def test_a_stretch_of_data_is_looked_for_once_however_many_runs_there_are_in_it(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = files
    os.pwrite(source, b"x" * 16 * PAGE, 0)
    asked: list[int] = []
    seek = os.lseek

    def counted(file: int, offset: int, how: int) -> int:
        asked.append(how)
        return seek(file, offset, how)

    monkeypatch.setattr(os, "lseek", counted)
    runs = pages(*((page, page + 1) for page in range(0, 16, 2)))
    assert data_in(source, runs) == runs
    assert asked == [os.SEEK_DATA, os.SEEK_HOLE]


def test_what_is_copied_stands_at_the_same_place_and_nothing_else_does(files: tuple[int, int]) -> None:
    source, target = files
    copy(source, target, 9 * PAGE, 11 * PAGE)
    assert os.pread(target, 16 * PAGE, 0) == bytes(9 * PAGE) + b"\x09" * 2 * PAGE + bytes(5 * PAGE)
    assert data_in(target, pages((0, 16))) == pages((9, 11))
