"""Readers that execute in another thread while the instance that they read of goes on; readers that are used again."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing

import pytest

from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import Entry, Env, ExecutionAbandonedError, Outcome, Steps, finish
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.reader import Reader, reader_of
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.runtime.workers import Workers
from support.runtime_harness import BILLION, STRATEGIES, Strategy, assembled, env, failure, le64, reply

PAGES = 40
# `fill` writes its argument at the beginning of each page of both memories, and into a global. `look` looks at all of
# them again and again: it answers with the number of pages if it only ever saw the global's value.
WAT = f"""(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (memory {PAGES})
  (global $value (mut i64) (i64.const 0))
  (func (export "canister_init") (drop (call $grow (i64.const {PAGES}))))
  (func (export "canister_update fill") (local $page i32)
    (call $arg (i32.const 0) (i32.const 0) (i32.const 8))
    (global.set $value (i64.load (i32.const 0)))
    (loop $next
      (i64.store offset=4096 (i32.mul (local.get $page) (i32.const 65536)) (global.get $value))
      (call $write (i64.extend_i32_u (i32.mul (local.get $page) (i32.const 65536))) (i64.const 0) (i64.const 8))
      (local.set $page (i32.add (local.get $page) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $page) (i32.const {PAGES}))))
    (call $reply))
  (func (export "canister_update grow") (drop (memory.grow (i32.const 3))) (call $reply))
  (func (export "canister_query look") (local $page i32) (local $times i32) (local $same i32)
    (loop $again
      (local.set $page (i32.const 0))
      (local.set $same (i32.const 0))
      (loop $next
        (call $read (i64.const 8) (i64.extend_i32_u (i32.mul (local.get $page) (i32.const 65536))) (i64.const 8))
        (if (i32.and
              (i64.eq (i64.load (i32.const 8)) (global.get $value))
              (i64.eq (i64.load offset=4096 (i32.mul (local.get $page) (i32.const 65536))) (global.get $value)))
          (then (local.set $same (i32.add (local.get $same) (i32.const 1)))))
        (local.set $page (i32.add (local.get $page) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $page) (i32.const {PAGES}))))
      (local.set $times (i32.add (local.get $times) (i32.const 1)))
      (br_if $again
        (i32.and (i32.lt_u (local.get $times) (i32.const 300)) (i32.eq (local.get $same) (i32.const {PAGES})))))
    (i64.store (i32.const 0) (i64.extend_i32_u (local.get $same)))
    (i64.store (i32.const 8) (global.get $value))
    (i64.store (i32.const 16) (i64.extend_i32_u (memory.size)))
    (call $append (i32.const 0) (i32.const 24)) (call $reply))
  (func (export "canister_query trap") (local $turns i32)
    (loop $next
      (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $turns) (i32.const 500000))))
    unreachable)
  (func (export "canister_query endless") (loop $again (br $again))))"""

# Its argument is a module. It ends while a thread executes an endless query and another one waits for that thread. Time
# passes by looking at the clock: the thread executes thousands of slices before it lets others have their turn.
PROGRAM = """
import itertools
import sys

from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import Entry, Env
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.reader import reader_of
from canister_factory.replica.runtime.slices import Slices
from canister_factory.replica.runtime.stable_memory import StableMemory
from canister_factory.replica.runtime.workers import Workers

engine = Engine(slices=Slices(itertools.count(step=5_000).__next__), query_workers=Workers("test", 1))
owner = Instance(engine, engine.compile(bytes.fromhex(sys.argv[1])), StableMemory())
env = Env(canister_id=b"", time_ns=0, method="endless", in_replicated_execution=False)
readers = [reader_of(owner, owner._stable.reader(), once=True) for _ in range(2)]
queries = [it.execution(Entry.QUERY, env, instruction_limit=10**12, commit=False) for it in readers]
executing, _ = [next(query) for query in queries]
while not executing.running():
    pass
"""


@pytest.fixture(params=STRATEGIES)
def owner(request: pytest.FixtureRequest) -> Iterator[Instance]:
    strategy: Strategy = request.param
    yield from opened(Engine(memory=strategy, query_workers=Workers("test", 2)))


def opened(engine: Engine) -> Iterator[Instance]:
    with closing(Instance(engine, engine.compile(assembled(WAT)), StableMemory())) as instance:
        assert instance.execute(Entry.INIT, env(), instruction_limit=BILLION).error is None
        fill(instance, 1)
        yield instance


def fill(instance: Instance, value: int) -> None:
    outcome = instance.execute(Entry.UPDATE, env("fill", le64(value)), instruction_limit=BILLION)
    assert outcome.error is None


def asked(instance: Instance, method: str = "look") -> Steps[Outcome]:
    query: Env = env(method, in_replicated_execution=False)
    return instance.execution(Entry.QUERY, query, instruction_limit=BILLION, commit=False)


def seen(outcome: Outcome) -> list[int]:
    """Pages with the right value, that value, pages of memory."""
    data = reply(outcome)
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]


def open_reader(owner: Instance) -> Reader:
    reader = reader_of(owner, owner._stable.reader(), once=True)
    assert isinstance(reader, Reader)
    return reader


def busy(owner: Instance) -> threading.Event:
    """Both threads do something else until the event is set: an execution that begins meanwhile isn't over at once."""
    workers, free = owner.engine.query_workers, threading.Event()
    assert workers is not None
    for _ in range(2):
        workers.submit(lambda: free.wait(10))
    return free


def test_what_is_committed_while_it_executes_is_not_seen(owner: Instance) -> None:
    for value in range(100, 900, 100):
        fill(owner, value)
        free = busy(owner)
        with closing(open_reader(owner)) as reader:
            query = asked(reader)
            executing = next(query)
            assert executing is not None
            fill(owner, value + 1)
            free.set()
            while not executing.done():
                fill(owner, value + 1)
            assert seen(finish(query)) == [PAGES, value, PAGES]


def test_two_execute_at_once_each_on_the_state_when_it_was_opened(owner: Instance) -> None:
    free = busy(owner)
    with closing(open_reader(owner)) as first:
        looking = asked(first)
        next(looking)
        fill(owner, 2)
        with closing(open_reader(owner)) as second:
            looking_too = asked(second)
            next(looking_too)
            fill(owner, 3)
            free.set()
            assert seen(finish(looking_too))[:2] == [PAGES, 2]
        assert seen(finish(looking))[:2] == [PAGES, 1]


def test_a_trap_in_another_thread_is_the_executions_error(owner: Instance) -> None:
    with closing(open_reader(owner)) as reader:
        assert failure(finish(asked(reader, "trap"))).error_code == "IC0502"


def test_closing_ends_what_executes_in_another_thread(owner: Instance) -> None:
    reader = open_reader(owner)
    endless = asked(reader, "endless")
    executing = next(endless)
    reader.close()
    assert executing is not None
    assert executing.done()
    with pytest.raises(ExecutionAbandonedError):
        next(endless)


def test_what_is_given_up_while_another_thread_executes_it_ends_first(owner: Instance) -> None:
    with closing(open_reader(owner)) as reader:
        for _ in range(20):
            endless = asked(reader, "endless")
            executing = next(endless)
            assert executing is not None
            endless.close()
            assert executing.done()
            assert not reader.busy
        assert reader.park()
        reader.renew(owner, owner._stable.reader(), once=True)
        assert seen(finish(asked(reader))) == [PAGES, 1, PAGES]


def test_closing_does_not_wait_for_what_has_not_begun(owner: Instance) -> None:
    free = busy(owner)
    reader = open_reader(owner)
    endless = asked(reader, "endless")
    next(endless)
    reader.close()
    assert not free.is_set()
    free.set()
    with pytest.raises(ExecutionAbandonedError):
        next(endless)


def test_a_parked_reader_is_used_again_for_a_later_state(owner: Instance) -> None:
    reader = open_reader(owner)
    with closing(reader):
        assert seen(finish(asked(reader))) == [PAGES, 1, PAGES]
        live = reader._live
        for value in (2, 3):
            assert reader.park()
            fill(owner, value)
            reader.renew(owner, owner._stable.reader(), once=True)
            fill(owner, 77)
            assert seen(finish(asked(reader))) == [PAGES, value, PAGES]
        assert reader._live is live
        assert reader.park()
        owner.execute(Entry.UPDATE, env("grow"), instruction_limit=BILLION)
        reader.renew(owner, owner._stable.reader(), once=True)
        assert seen(finish(asked(reader))) == [PAGES, 77, PAGES + 3]
        assert reader._live is live


def test_a_parked_reader_whose_memory_became_too_large_is_made_anew(owner: Instance) -> None:
    owner.anchor()
    owner.execute(Entry.UPDATE, env("grow"), instruction_limit=BILLION)
    reader = open_reader(owner)
    with closing(reader):
        assert seen(finish(asked(reader)))[2] == PAGES + 3
        live = reader._live
        assert reader.park()
        owner.revert()
        reader.renew(owner, owner._stable.reader(), once=True)
        assert seen(finish(asked(reader))) == [PAGES, 1, PAGES]
        assert reader._live is not live


def test_a_reader_that_never_executed_or_still_does_is_not_parked_but_closed(owner: Instance) -> None:
    assert not open_reader(owner).park()
    reader = open_reader(owner)
    endless = asked(reader, "endless")
    executing = next(endless)
    assert executing is not None
    wait([executing])
    assert not reader.park()
    with pytest.raises(ExecutionAbandonedError):
        next(endless)


def test_a_process_can_end_while_a_thread_executes() -> None:
    program = [sys.executable, "-c", PROGRAM, assembled(WAT).hex()]
    ended = subprocess.run(program, timeout=30, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
