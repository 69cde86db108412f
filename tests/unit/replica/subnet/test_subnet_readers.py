"""Which instance a query executes in: the canister's own, or one that only reads, new or used before."""

from __future__ import annotations

import threading

import pytest

from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.instance import Instance
from canister_factory.replica.runtime.slices import Groups
from canister_factory.replica.runtime.workers import Workers
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.queries import SHORT_SLICES
from canister_factory.replica.subnet.readers import MAX_PARKED, Readers
from canister_factory.replica.subnet.subnet import Subnet
from support.replica_bench import Bench
from support.runtime_harness import assembled
from support.slicing import SHORT_TURNS

# `turns` goes round so often as the argument says.
WAT = """(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
  (memory 1)
  (func (export "canister_query turns")
    (call $arg (i32.const 0) (i32.const 0) (i32.const 4))
    (loop $next
      (i32.store (i32.const 0) (i32.sub (i32.load (i32.const 0)) (i32.const 1)))
      (br_if $next (i32.load (i32.const 0))))
    (call $reply))
  (func (export "canister_update endless") (loop $again (br $again))))"""
SHORT, SOME, LONG, LONGEST = (turns.to_bytes(4, "little") for turns in (1, 150_000, 1_000_000, 15_000_000))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The classes of the instances that queries began in."""
    begun: list[str] = []
    execution = Instance.execution

    def noted(self: Instance, *args: object, **options: object) -> object:
        begun.append(type(self).__name__)
        return execution(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Instance, "execution", noted)
    return begun


def test_a_method_that_took_long_begins_where_it_can_go_on_until_it_is_short_again(
    bench: Bench, used: list[str]
) -> None:
    canister = bench.puppet(assembled(WAT))
    used.clear()
    for argument in (SHORT, LONG, LONG, SHORT, SHORT):
        bench.query(canister, "turns", argument)
    assert used == ["Instance", "Instance", "Reader", "Reader", "Reader", "Instance"]


def test_a_busy_canisters_queries_go_to_a_thread_when_they_take_long_and_then_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(query_workers=Workers("test"))
    bench = Bench(lambda clock: Subnet(engine, clock_ns=clock, pace=SHORT_TURNS))
    canister = bench.puppet(assembled(WAT))
    bench.submit(canister, "endless")
    bench.subnet.execute_round()
    here: list[bool] = []
    execute = Groups.execute

    def noted(self: Groups, *args: int) -> bool:
        here.append(threading.current_thread() is threading.main_thread())
        return execute(self, *args)

    monkeypatch.setattr(Groups, "execute", noted)
    groups: list[list[bool]] = []
    for argument in (SOME, LONGEST, LONGEST):
        here.clear()
        bench.query(canister, "turns", argument)
        groups.append(here.copy())
    engine.end()
    some, first, second = groups
    assert 1 < len(some) <= SHORT_SLICES
    assert all(some)
    assert first.count(True) == SHORT_SLICES
    assert second
    assert not any(second)


def canisters(bench: Bench, count: int) -> list[CanisterState]:
    return [bench.canister(bench.puppet(assembled(WAT))) for _ in range(count)]


def executed(readers: Readers, canister: CanisterState) -> Instance:
    """A reader of this canister that was closed after its use."""
    reader = readers.open(canister, once=True)
    reader.ready()
    readers.close(reader)
    return reader


def test_a_closed_reader_is_the_same_canisters_next_one(bench: Bench) -> None:
    readers, (one, other) = Readers(), canisters(bench, 2)
    reader = executed(readers, one)
    assert executed(readers, other) is not reader
    assert executed(readers, one) is reader


def test_few_are_kept_those_that_were_used_last(bench: Bench) -> None:
    readers, of = Readers(), canisters(bench, MAX_PARKED + 1)
    kept = [executed(readers, canister) for canister in of]
    assert f"parked={MAX_PARKED}" in repr(readers)
    assert executed(readers, of[0]) is not kept[0]
    assert executed(readers, of[-1]) is kept[-1]
    with pytest.raises(RuntimeError, match="is closed"):
        kept[0].ready()


def test_several_readers_of_a_canister_are_kept(bench: Bench) -> None:
    readers, (canister,) = Readers(), canisters(bench, 1)
    both = [readers.open(canister, once=True) for _ in range(2)]
    for reader in both:
        reader.ready()
        readers.close(reader)
        readers.close(reader)
    assert repr(readers) == "<Readers open=0 parked=2>"
    assert {readers.open(canister, once=True) for _ in range(2)} == set(both)
    readers.close_all()
    assert repr(readers) == "<Readers open=0 parked=0>"
