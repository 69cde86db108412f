"""What runs without being called: global timers and heartbeats."""

from __future__ import annotations

import pytest

from canister_factory.candid.values import Case
from support.replica_bench import SECOND_NS, Bench
from support.replica_puppet import puppet

HEARTBEAT = '(func (export "canister_heartbeat") (call $count))'
TIMER_IN_INIT = """(func (export "canister_init") (drop (call $timer (i64.const 1))))"""


@pytest.fixture
def bench() -> Bench:
    return Bench()


def set_timer(bench: Bench, canister: bytes, in_seconds: int) -> int:
    due = bench.clock.now_ns + in_seconds * SECOND_NS
    bench.call(canister, "set_timer", due.to_bytes(8, "little"))
    return due


def test_a_timer_fires_once_at_its_time(bench: Bench) -> None:
    canister = bench.puppet()
    due = set_timer(bench, canister, 10)
    assert bench.subnet.next_wakeup_ns() == due
    bench.clock.advance(9)
    bench.run()
    assert bench.count(canister) == 0
    bench.clock.advance(1)
    bench.run()
    bench.clock.advance(100)
    bench.run()
    assert bench.count(canister) == 1
    assert bench.subnet.next_wakeup_ns() is None


@pytest.mark.parametrize("mode", [Case("upgrade", None), Case("reinstall")])
def test_new_code_has_no_timer(bench: Bench, mode: Case) -> None:
    canister = bench.puppet()
    set_timer(bench, canister, 10)
    bench.install(canister, mode=mode)
    assert bench.subnet.next_wakeup_ns() is None


def test_a_timer_may_be_set_by_init(bench: Bench) -> None:
    canister = bench.puppet(puppet(TIMER_IN_INIT))
    bench.run()
    assert bench.count(canister) == 1


def test_a_stopped_canister_keeps_its_timer_until_it_is_started(bench: Bench) -> None:
    canister = bench.puppet()
    due = set_timer(bench, canister, 10)
    bench.on("stop_canister", canister)
    bench.clock.advance(20)
    bench.run()
    assert bench.subnet.next_wakeup_ns() is None
    bench.on("start_canister", canister)
    assert bench.subnet.next_wakeup_ns() == due
    bench.run()
    assert bench.count(canister) == 1


def test_heartbeats_come_about_every_second_however_many_rounds_there_are(bench: Bench) -> None:
    canister = bench.puppet(puppet(HEARTBEAT))
    bench.clock.advance(1)
    for _ in range(5):
        bench.run()
    assert bench.count(canister) == 1
    assert bench.subnet.next_wakeup_ns() == bench.clock.now_ns + SECOND_NS


def test_a_trapping_heartbeat_leaves_a_log_and_nothing_else(bench: Bench) -> None:
    canister = bench.puppet(
        puppet('(func (export "canister_heartbeat") (call $count) (call $trap (i32.const 64) (i32.const 6)))')
    )
    bench.clock.advance(1)
    bench.run()
    assert bench.count(canister) == 0
    assert "puppet" in bench.canister(canister).logs[-1].content
    assert not bench.canister(canister).contexts
