"""A commit of much memory is prepared in pieces; until its end nothing of it is seen, and it can be taken back."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from canister_factory.replica.runtime import copy_on_write
from canister_factory.replica.runtime.copy_on_write import CopyOnWriteMemory, copy_on_write_works
from canister_factory.replica.runtime.execution import Entry, Outcome, Steps, finish
from canister_factory.replica.runtime.memory import CHUNK
from canister_factory.replica.runtime.reader import reader_of
from support.runtime_harness import BILLION, STRATEGIES, Canister, Strategy, applied, env, taken

only_copied_on_write = pytest.mark.skipif(not copy_on_write_works(), reason="this kernel can't list written pages")

TOUCHED = 20_000_000
WAT = f"""(module
  (import "ic0" "msg_reply" (func $reply))
  (memory 320)
  (func $touch (param $every i32) (param $with i32) (local $at i32)
    (loop $next
      (i32.store (local.get $at) (local.get $with))
      (local.set $at (i32.add (local.get $at) (local.get $every)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const {TOUCHED})))))
  (func (export "canister_update all") (call $touch (i32.const 4096) (i32.const 1)))
  (func (export "canister_update one")
    (i32.store (i32.const 5000000) (i32.add (i32.const 7) (i32.load (i32.const 5000000)))))
  (func (export "canister_update none"))
  (func (export "canister_update grow") (drop (memory.grow (i32.const 1))))
  (func (export "canister_update half")
    (call $touch (i32.const 8192) (i32.const 2))
    (drop (memory.grow (i32.const 400)))
    (memory.fill (i32.const 25000000) (i32.const 9) (i32.const 20000000)))
  (func (export "canister_query touch") (call $touch (i32.const 4096) (i32.const 5)) (call $reply)))"""


@pytest.fixture(params=STRATEGIES)
def canister(request: pytest.FixtureRequest) -> Iterator[Canister]:
    strategy: Strategy = request.param
    with Canister(WAT, strategy) as opened:
        yield opened


def steps(canister: Canister, method: str, *, hold: bool = False) -> Steps[Outcome]:
    return canister.instance.execution(Entry.UPDATE, env(method), instruction_limit=BILLION, hold=hold)


def content(canister: Canister) -> bytearray:
    return applied(canister.instance.export_state().memory)


def after_all(before: bytearray) -> bytearray:
    expected = bytearray(before)
    for at in range(0, TOUCHED, 4096):
        expected[at : at + 4] = b"\1\0\0\0"
    return expected


def after_half(before: bytearray) -> bytearray:
    expected = bytearray(before) + bytes(400 * 65536)
    for at in range(0, TOUCHED, 8192):
        expected[at : at + 4] = b"\2\0\0\0"
    expected[25_000_000:45_000_000] = b"\x09" * 20_000_000
    return expected


def test_it_is_seen_at_its_end_and_by_no_reader_that_began_before(canister: Canister) -> None:
    finish(steps(canister, "half"))
    taken(canister.instance.memory)
    before = content(canister)
    working = steps(canister, "all")
    with closing(reader_of(canister.instance, canister.stable.fork())) as reader:
        number = 0
        for _ in working:
            number += 1
            assert content(canister) == before
        if canister.instance.engine.new_memory is CopyOnWriteMemory:
            assert number >= (len(before) - (4 << 20)) // (4 << 20), "a piece at a time, but for what is a hole"
        assert content(canister) == after_all(before)
        assert applied(taken(canister.instance.memory), before) == after_all(before)
        query = reader.execution(Entry.QUERY, env("touch"), instruction_limit=BILLION, commit=False)
        assert finish(query).error is None
        assert applied(reader.export_state().memory) == before


def test_a_reader_of_a_saved_image_is_told_before_the_next_snapshot_writes_there(
    canister: Canister, tmp_path: Path
) -> None:
    finish(steps(canister, "half"))
    before = content(canister)
    image = tmp_path / "image"
    image.write_bytes(before)
    canister.instance.memory.use_file(os.open(image, os.O_RDONLY), len(before))
    with closing(reader_of(canister.instance, canister.stable.fork())) as reader:
        finish(steps(canister, "all"))
        with image.open("r+b") as file:  # in its place: a reader has the file open
            file.write(after_all(before))
        assert applied(reader.export_state().memory) == before


def test_a_saved_image_is_copied_in_pieces_by_the_first_that_writes(canister: Canister, tmp_path: Path) -> None:
    """However little that is: hundreds of megabytes take long enough for others to notice."""
    finish(steps(canister, "all"))
    before = content(canister)
    after = bytearray(before)
    after[5_000_000:5_000_004] = b"\7\0\0\0"
    image = tmp_path / "image"
    image.write_bytes(before)
    memory = canister.instance.memory
    memory.use_file(os.open(image, os.O_RDONLY), len(before))
    copies = isinstance(memory, CopyOnWriteMemory)
    finish(steps(canister, "none"))
    assert memory.is_saved == copies, "nothing was written"
    pieces = len(list(steps(canister, "one")))
    assert pieces >= len(before) // (4 << 20) * copies
    assert content(canister) == after
    assert taken(memory).extents == ((5_000_000 // 4096 * 4096, bytes(after[4_997_120:5_001_216])),)

    image.write_bytes(after)
    memory.use_file(os.open(image, os.O_RDONLY), len(after))
    for number in range(pieces):
        working = steps(canister, "one")
        for _ in range(number):
            next(working)
            assert content(canister) == after
        working.close()
        assert (content(canister), memory.is_saved) == (after, True)
    pieces = len(list(steps(canister, "grow")))
    assert pieces >= len(after) // (4 << 20) * copies
    assert content(canister) == after + bytes(65_536)
    assert image.read_bytes() == after


@only_copied_on_write
def test_a_commit_for_which_there_was_no_room_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"content!" * 32_768)
    area = mmap.mmap(-1, 4 * CHUNK)
    memory = CopyOnWriteMemory()
    with closing(memory):
        memory.use_file(os.open(image, os.O_RDONLY), len(area))
        memory.attach(ctypes.addressof(ctypes.c_char.from_buffer(area)))
        area[0] = ord("C")
        with monkeypatch.context() as patched:
            patched.setattr(copy_on_write, "copy", lambda *_: os.close(-1))
            with pytest.raises(OSError, match="Bad file descriptor"):
                memory.commit(len(area))
        assert memory.is_saved
        memory.commit(len(area))
        assert not memory.is_saved
        assert memory.read(0, len(area)) == b"C" + image.read_bytes()[1:]


@only_copied_on_write
def test_where_that_finds_no_room_nothing_has_happened_and_the_next_one_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Canister(WAT, CopyOnWriteMemory) as canister:
        finish(steps(canister, "all"))
        before = content(canister)
        image = tmp_path / "image"
        image.write_bytes(before)
        canister.instance.memory.use_file(os.open(image, os.O_RDONLY), len(before))
        copied: list[int] = []

        def until_full(source: int, target: int, start: int, end: int) -> None:
            copied.append(start)
            if len(copied) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            patched.setattr(copy_on_write, "copy", until_full)
            with pytest.raises(OSError, match="No space left"):
                finish(steps(canister, "one"))
        assert (content(canister), canister.instance.memory.is_saved) == (before, True)
        finish(steps(canister, "one"))
        assert content(canister)[5_000_000] == 7


def test_it_may_come_with_growth(canister: Canister) -> None:
    before = content(canister)
    finish(steps(canister, "half"))
    assert content(canister) == after_half(before)
    finish(steps(canister, "all"))
    assert content(canister) == after_all(after_half(before))


def test_it_can_be_given_up_at_each_piece(canister: Canister) -> None:
    before = content(canister)
    pieces = sum(1 for _ in steps(canister, "all"))
    assert content(canister) == after_all(before)
    before = content(canister)
    for number in range(pieces):
        working = steps(canister, "half")
        for _ in range(number):
            next(working)
        working.close()
        assert content(canister) == before


def test_it_can_be_taken_back_when_it_is_held_and_by_an_anchor(canister: Canister) -> None:
    before = content(canister)
    finish(steps(canister, "half", hold=True))
    canister.instance.conclude(keep=False)
    assert content(canister) == before
    canister.instance.anchor()
    finish(steps(canister, "all", hold=True))
    canister.instance.conclude(keep=True)
    assert content(canister) == after_all(before)
    finish(steps(canister, "half"))
    canister.instance.revert()
    assert content(canister) == before
    finish(steps(canister, "all"))
    assert content(canister) == after_all(before)


def test_what_was_prepared_when_the_instance_was_closed_is_not_taken_for_a_later_commit(canister: Canister) -> None:
    before = content(canister)
    canister.instance.anchor()
    working = steps(canister, "all")
    next(working, None)  # where nothing is prepared this is its end
    canister.instance.close()
    working.close()
    canister.instance.revert()
    assert content(canister) == before
    finish(steps(canister, "half"))
    assert content(canister) == after_half(before)
