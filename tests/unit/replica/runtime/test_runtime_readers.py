"""Instances that read a state which another one goes on from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from canister_factory.replica.runtime import copy_on_write
from canister_factory.replica.runtime.copy_on_write import CopyOnWriteMemory
from canister_factory.replica.runtime.execution import Entry
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.memory_copy import copy_in
from canister_factory.replica.runtime.reader import reader_of
from support.runtime_harness import BILLION, STRATEGIES, Canister, Strategy, applied, env, failure, le64, reply

# `store` writes its argument's second half at the first, which may lie in pages that are yet to come; `grow_and_trap`
# leaves a Wasm memory that can't be rolled back in place.
WAT = """(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (memory 2)
  (global $stores (mut i64) (i64.const 0))
  (func (export "canister_update store")
    (call $arg (i32.const 0) (i32.const 0) (i32.const 16))
    (if (i32.ge_u (i32.load (i32.const 0)) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.const 2)))))
    (i64.store (i32.load (i32.const 0)) (i64.load (i32.const 8)))
    (global.set $stores (i64.add (global.get $stores) (i64.const 1)))
    (call $reply))
  (func (export "canister_update trap") (memory.fill (i32.const 0) (i32.const 255) (i32.const 131072)) unreachable)
  (func (export "canister_update grow_and_trap")
    (drop (memory.grow (i32.const 1)))
    (memory.fill (i32.const 0) (i32.const 255) (i32.mul (memory.size) (i32.const 65536)))
    unreachable)
  (func (export "canister_query load")
    (call $arg (i32.const 0) (i32.const 0) (i32.const 8))
    (i64.store (i32.const 0) (i64.load (i32.load (i32.const 0))))
    (i64.store (i32.const 8) (i64.extend_i32_u (memory.size)))
    (i64.store (i32.const 16) (global.get $stores))
    (call $append (i32.const 0) (i32.const 24)) (call $reply)))"""
FIRST, SECOND, GROWN = 4096, 70_000, 140_000


@pytest.fixture(params=STRATEGIES)
def canister(request: pytest.FixtureRequest) -> Iterator[Canister]:
    strategy: Strategy = request.param
    with Canister(WAT, strategy) as opened:
        yield opened


def read_by(canister: Canister) -> Instance:
    return reader_of(canister.instance, canister.stable.reader())


def store(instance: Instance, at: int, value: int) -> None:
    outcome = instance.execute(Entry.UPDATE, env("store", le64(at) + le64(value)), instruction_limit=BILLION)
    assert outcome.error is None


def trap(instance: Instance, method: str) -> None:
    failure(instance.execute(Entry.UPDATE, env(method), instruction_limit=BILLION))


def load(instance: Instance, at: int) -> tuple[int, ...]:
    """The number there, pages of memory, and how often something was stored."""
    query = env("load", le64(at), in_replicated_execution=False)
    data = reply(instance.execute(Entry.QUERY, query, instruction_limit=BILLION, commit=False))
    return tuple(int.from_bytes(data[i : i + 8], "little") for i in (0, 8, 16))


@pytest.mark.parametrize("method", ["trap", "grow_and_trap"])
def test_after_a_trap_a_reader_has_what_it_committed_and_nothing_newer(canister: Canister, method: str) -> None:
    store(canister.instance, FIRST, 1)
    with closing(read_by(canister)) as reader:
        store(canister.instance, FIRST, 2)
        trap(reader, method)
        assert load(reader, FIRST) == (1, 2, 1)
        store(reader, SECOND, 3)
        store(canister.instance, SECOND, 4)
        trap(reader, method)
        assert [load(reader, at) for at in (FIRST, SECOND)] == [(1, 2, 2), (3, 2, 2)]
    assert [load(canister.instance, at) for at in (FIRST, SECOND)] == [(2, 2, 3), (4, 2, 3)]


@pytest.mark.parametrize("method", ["trap", "grow_and_trap"])
def test_what_a_reader_committed_into_new_pages_is_there_after_a_trap(canister: Canister, method: str) -> None:
    with closing(read_by(canister)) as reader:
        for number in range(1, 4):
            store(reader, GROWN, 10 + number)
            store(canister.instance, GROWN, 20 + number)
            trap(reader, method)
            assert load(reader, GROWN) == (10 + number, 4, number)
            assert load(reader, GROWN + 4096) == (0, 4, number)
        content = applied(reader.export_state().memory)
        assert content == le64(GROWN) + le64(13) + bytes(GROWN - 16) + bytes((13,)) + bytes(4 * 65536 - GROWN - 1)
    assert load(canister.instance, GROWN) == (23, 4, 3)


def test_what_a_reader_sees_can_be_taken_over_in_steps_while_the_other_one_goes_on(canister: Canister) -> None:
    with closing(read_by(canister)) as reader:
        store(reader, SECOND, 7)
        store(reader, GROWN, 8)
        heir = Instance(canister.engine, canister.module, canister.stable.fork())
        with closing(heir):
            for _ in copy_in(heir, reader.memory):
                store(canister.instance, SECOND, 9)
            assert [load(heir, at) for at in (SECOND, GROWN)] == [(7, 4, 0), (8, 4, 0)]


def test_a_large_memory_is_taken_over_in_many_steps() -> None:
    with Canister("(module (memory 320))") as large, Canister("(module (memory 1))") as heir:
        assert sum(1 for _ in copy_in(heir.instance, large.instance.memory)) == 20
        assert heir.instance.memory_bytes == 320 * 65536


def test_a_closed_reader_that_somebody_still_holds_is_in_nobodys_way(canister: Canister) -> None:
    reader = read_by(canister)
    reader.close()
    store(canister.instance, FIRST, 5)
    assert load(canister.instance, FIRST) == (5, 2, 1)
    del reader


@pytest.mark.skipif(CopyOnWriteMemory not in STRATEGIES, reason="no files are used here")
def test_readers_open_files_that_no_further_canister_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    with Canister(WAT, CopyOnWriteMemory) as canister:
        store(canister.instance, FIRST, 6)
        monkeypatch.setattr(copy_on_write, "files_allowed", lambda: copy_on_write._FILES_RESERVED)
        with pytest.raises(OSError, match="Too many open files"):
            CopyOnWriteMemory()
        with closing(read_by(canister)) as reader:
            assert load(reader, FIRST) == (6, 2, 1)
