"""Executions in slices: what they do is the same, what is suspended can be seen by nobody, and can be given up."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.replica.runtime.execution import Entry, ExecutionAbandonedError, Outcome, Steps
from canister_factory.replica.runtime.memory import InstanceState, MemoryState
from canister_factory.replica.runtime.reader import reader_of
from canister_factory.replica.runtime.slices import SLICE_INSTRUCTIONS
from support.runtime_harness import BILLION, STRATEGIES, Canister, Strategy, applied, env, failure, le64, reply, taken
from support.slicing import slices_of

# Each turn of the loop counts in memory, a global and stable memory; `spin` answers the counter.
WORKER = """(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "time" (func $time (result i64)))
  (import "ic0" "performance_counter" (func $used (param i32) (result i64)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (memory 2)
  (global $count (mut i64) (i64.const 0))
  (func $work (local $turns i64)
    (call $arg (i32.const 0) (i32.const 0) (i32.const 8))
    (local.set $turns (i64.load (i32.const 0)))
    (drop (call $stable_grow (i64.const 1)))
    (block $done (loop $next
      (br_if $done (i64.eqz (local.get $turns)))
      (local.set $turns (i64.sub (local.get $turns) (i64.const 1)))
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (i64.store (i32.const 70000) (global.get $count))
      (drop (call $time))
      (i64.store (i32.const 8) (call $used (i32.const 0)))
      (call $stable_write (i64.const 0) (i64.const 0) (i64.const 5000))
      (br $next))))
  (func $answer (call $append (i32.const 70000) (i32.const 8)) (call $append (i32.const 8) (i32.const 8)) (call $reply))
  (func (export "canister_update work") (call $work) (call $answer))
  (func (export "canister_update fail") (call $work) (unreachable))
  (func (export "canister_query work_in_query") (call $work) (call $answer))
  (func (export "canister_query count") (call $answer))
  (func (export "canister_update endless") (loop $again (br $again)))
)"""


def run(steps: Steps[Outcome]) -> tuple[Outcome, int]:
    """The outcome, and how many slices it took."""
    slices = 1
    while True:
        try:
            assert next(steps) is None
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome, slices
        slices += 1


def working(canister: Canister, method: str, turns: int, *, limit: int = BILLION) -> Steps[Outcome]:
    entry = Entry.QUERY if "query" in method or method == "count" else Entry.UPDATE
    return canister.instance.execution(
        entry, env(method, le64(turns)), instruction_limit=limit, commit=entry is Entry.UPDATE
    )


def state(canister: Canister) -> tuple[InstanceState, MemoryState]:
    exported = canister.instance.export_state()
    return replace(exported, memory=plain(exported.memory)), plain(canister.stable.export_state())


def plain(memory: MemoryState) -> MemoryState:
    return MemoryState(memory.length, ((0, bytes(applied(memory))),))


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(
    turns=st.lists(st.tuples(st.sampled_from(["work", "fail", "work_in_query"]), st.integers(0, 40)), max_size=4),
    size=st.integers(1, 30_000),
    limit=st.sampled_from([BILLION, 100_000]),
)
@settings(max_examples=25, deadline=None)
def test_slices_change_neither_result_nor_instructions_nor_state(
    strategy: Strategy, turns: list[tuple[str, int]], size: int, limit: int
) -> None:
    with Canister(WORKER, strategy) as whole:
        expected = [repr(run(working(whole, method, number, limit=limit))[0]) for method, number in turns]
        expected_state = state(whole)
    with slices_of(size), Canister(WORKER, strategy) as sliced:
        assert [repr(run(working(sliced, method, number, limit=limit))[0]) for method, number in turns] == expected
        assert state(sliced) == expected_state


def test_what_host_functions_do_counts_for_the_slice() -> None:
    with Canister(WORKER) as canister:
        outcome, slices = run(working(canister, "work", 4000))
        least = outcome.instructions // SLICE_INSTRUCTIONS
        assert least > 10
        assert 0.9 * least <= slices <= least + least // 50 + 2


def test_an_endless_execution_ends_at_its_limit_in_slices_of_the_same_size() -> None:
    with Canister(WORKER) as canister:
        steps = working(canister, "endless", 0, limit=10 * SLICE_INSTRUCTIONS)
        outcome, slices = run(steps)
        assert (failure(outcome).error_code, slices) == ("IC0522", 10)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_suspended_execution_is_seen_by_nobody_and_can_be_given_up(strategy: Strategy) -> None:
    with Canister(WORKER, strategy) as canister:
        run(working(canister, "work", 1))
        before = state(canister)
        assert canister.instance.global_values == (1,)
        taken(canister.instance.memory)
        taken(canister.stable)
        steps = working(canister, "work", 4000)
        next(steps)
        assert canister.instance.busy
        assert state(canister) == before
        assert (taken(canister.instance.memory).extents, taken(canister.stable).extents) == ((), ())
        steps.close()
        assert not canister.instance.busy
        assert state(canister) == before
        assert reply(run(working(canister, "work", 1))[0])[:8] == le64(2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_checkpoint_in_the_middle_of_an_execution_takes_what_it_wrote_when_it_has_ended(strategy: Strategy) -> None:
    with Canister(WORKER, strategy) as canister:
        run(working(canister, "work", 1))
        saved = applied(taken(canister.stable))
        steps = working(canister, "work", 2000)
        next(steps)
        saved = applied(taken(canister.stable), saved)
        run(steps)
        assert applied(taken(canister.stable), saved) == applied(canister.stable.export_state())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_reader_keeps_seeing_the_state_that_was_committed_when_it_began(strategy: Strategy) -> None:
    with Canister(WORKER, strategy) as canister:
        run(working(canister, "work", 3))
        suspended = working(canister, "work", 2000)
        next(suspended)
        with closing(reader_of(canister.instance, canister.stable.fork())) as reader:
            query = reader.execution(
                Entry.QUERY, env("work_in_query", le64(2000)), instruction_limit=BILLION, commit=False
            )
            next(query)  # it is in the middle of its work when the other one commits
            assert reply(run(suspended)[0])[:8] == le64(2003)
            assert reply(run(working(canister, "work", 1))[0])[:8] == le64(2004)
            assert reply(run(query)[0])[:8] == le64(2003)
        assert reply(run(working(canister, "count", 0))[0])[:8] == le64(2004)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_reader_keeps_what_it_committed_for_its_own_next_execution_only(strategy: Strategy) -> None:
    with Canister(WORKER, strategy) as canister:
        run(working(canister, "work", 3))
        with closing(reader_of(canister.instance, canister.stable.fork())) as reader:
            for expected in (4, 5, 6):
                outcome = reader.execute(Entry.UPDATE, env("work", le64(1)), instruction_limit=BILLION)
                assert reply(outcome)[:8] == le64(expected)
                failure(reader.execute(Entry.UPDATE, env("fail", le64(1)), instruction_limit=BILLION))
                canister.instance.execute(Entry.UPDATE, env("work", le64(10)), instruction_limit=BILLION)
        assert reply(run(working(canister, "count", 0))[0])[:8] == le64(33)


def test_closing_an_instance_ends_the_execution_that_is_suspended_in_it() -> None:
    canister = Canister(WORKER)
    steps = working(canister, "endless", 0)
    next(steps)
    canister.instance.close()
    with pytest.raises(ExecutionAbandonedError):
        next(steps)


@pytest.mark.parametrize(("memory", "kind"), [("", "i32"), ("i64", "i64")])
def test_large_copies_of_stable_memory_stop_in_between_and_copy_the_same(memory: str, kind: str) -> None:
    wat = f"""(module
      (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
      (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
      (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
      (memory {memory} 200)
      (data ({kind}.const 5) "first") (data ({kind}.const 5000000) "last")
      (func (export "canister_update write")
        (drop (call $grow (i64.const 200)))
        (call $write (i64.const 70000) (i64.const 5) (i64.const 5000000)))
      (func (export "canister_update read") (call $read (i64.const 6000000) (i64.const 70000) (i64.const 5000000)))
      (func (export "canister_update beyond") (call $read (i64.const 0) (i64.const 0) (i64.const 99999999999))))"""
    with Canister(wat) as canister:
        for method in ("write", "read"):
            outcome, slices = run(working(canister, method, 0))
            assert outcome.error is None
            assert 5_000_000 < outcome.instructions < 5_002_000
            assert slices >= 5_000_000 // (2 * SLICE_INSTRUCTIONS)
        content = applied(canister.instance.export_state().memory)
        assert content[6_000_000:11_000_000] == content[5:5_000_005]
        outcome, _ = run(working(canister, "beyond", 0))
        assert "stable memory out of bounds" in failure(outcome).message
        assert len(outcome.log[0].splitlines()) == 2, "of the functions that it was in, only the canister's are named"
