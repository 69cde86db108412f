"""A commit of much memory is prepared in pieces; until its end nothing of it is seen, and it can be taken back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from canister_factory.replica.runtime.copy_on_write import CopyOnWriteMemory
from canister_factory.replica.runtime.execution import Entry, Outcome, Steps, finish
from canister_factory.replica.runtime.reader import reader_of
from support.runtime_harness import BILLION, STRATEGIES, Canister, Strategy, applied, env, taken

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
