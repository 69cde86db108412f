"""What Linux is asked to do with pages: those that are all to be overwritten are made writable at once."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
from collections.abc import Iterator

import pytest

from canister_factory.replica.runtime.linux_pages import expect_writes, libc, map_nothing, map_privately

PAGES = 500
CONTENT = b"\1" * (PAGES * mmap.PAGESIZE)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what Linux does")


@pytest.fixture
def mapped() -> Iterator[int]:
    """The address of pages of a file, of which nothing was touched yet."""
    space = mmap.mmap(-1, len(CONTENT))
    held = ctypes.c_char.from_buffer(space)
    address = ctypes.addressof(held)
    file = os.memfd_create("pages")
    try:
        os.ftruncate(file, len(CONTENT))
        map_privately(address, len(CONTENT), file, 0)
        yield address
        map_nothing(address, len(CONTENT))
    finally:
        os.close(file)
        del held


def faults_of_writing(address: int, content: bytes) -> int:
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    ctypes.memmove(address, content, len(content))
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def can_populate(address: int) -> bool:
    return bool(libc().madvise(address, mmap.PAGESIZE, 23) == 0)


def test_pages_that_are_expected_to_be_written_cost_no_fault_each(mapped: int) -> None:
    if not can_populate(mapped):
        pytest.skip("this kernel can't (before 5.14)")
    expect_writes(mapped, len(CONTENT))
    assert faults_of_writing(mapped, CONTENT) < 20


def test_without_that_each_page_is_a_fault(mapped: int) -> None:
    assert faults_of_writing(mapped, CONTENT) > PAGES // 20


def test_a_part_that_begins_and_ends_within_pages_keeps_what_is_around_it(mapped: int) -> None:
    ctypes.memmove(mapped, CONTENT, len(CONTENT))
    expect_writes(mapped + 100, 3 * mmap.PAGESIZE)
    ctypes.memmove(mapped + 100, b"\2" * (3 * mmap.PAGESIZE), 3 * mmap.PAGESIZE)
    found = ctypes.string_at(mapped, 4 * mmap.PAGESIZE)
    assert found == b"\1" * 100 + b"\2" * (3 * mmap.PAGESIZE) + b"\1" * (mmap.PAGESIZE - 100)


def test_addresses_where_nothing_is_are_no_error(mapped: int) -> None:
    map_nothing(mapped, len(CONTENT))
    expect_writes(mapped, len(CONTENT))
    map_privately_again = os.memfd_create("again")
    os.ftruncate(map_privately_again, len(CONTENT))
    map_privately(mapped, len(CONTENT), map_privately_again, 0)
    os.close(map_privately_again)
    assert ctypes.string_at(mapped, 8) == bytes(8)
