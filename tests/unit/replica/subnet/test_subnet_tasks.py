"""What runs without being called: global timers and heartbeats."""

from __future__ import annotations

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.replica_bench import MANAGEMENT, SECOND_NS, Bench, management_argument
from support.replica_puppet import puppet
from support.runtime_harness import assembled

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


@pytest.mark.parametrize("mode", ["install", "reinstall", "upgrade"])
def test_init_and_post_upgrade_find_no_timer_and_may_set_one(bench: Bench, mode: str) -> None:
    entry = "post_upgrade" if mode == "upgrade" else "init"
    code = puppet(
        f"""(func (export "canister_{entry}") (i64.store (i32.const 8) (call $timer (i64.const 77))))
        (func (export "canister_query before") (call $append (i32.const 8) (i32.const 8)) (call $reply))"""
    )
    canister = bench.create()
    if mode != "install":
        bench.install(canister)
        set_timer(bench, canister, 1000)
    request = management_argument(
        "install_code",
        {
            "mode": Case(mode),
            "canister_id": Principal(canister),
            "wasm_module": code,
            "arg": b"",
        },
    )
    bench.submit(MANAGEMENT, "install_code", request)
    bench.subnet.execute_round(max_messages=1)
    assert bench.canister(canister).global_timer_ns == 77
    assert bench.query(canister, "before") == bytes(8)


def test_a_timer_that_pre_upgrade_sets_is_gone_with_the_old_code(bench: Bench) -> None:
    old = puppet('(func (export "canister_pre_upgrade") (drop (call $timer (i64.const 1))))')
    canister = bench.puppet(old)
    bench.install(canister, mode=Case("upgrade", None))
    assert bench.canister(canister).global_timer_ns == 0
    assert bench.count(canister) == 0


def test_a_timer_stays_where_no_code_answers_it(bench: Bench) -> None:
    canister = bench.puppet(
        assembled("""(module
        (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
        (func (export "canister_init") (drop (call $timer (i64.const 5)))))""")
    )
    bench.clock.advance(100)
    bench.run()
    assert bench.canister(canister).global_timer_ns == 5
    assert bench.subnet.next_wakeup_ns() is None


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


def test_a_timer_is_not_lost_where_the_canister_is_stopped_as_it_goes_off(bench: Bench) -> None:
    """The stop is executed between the time at which the timer is due and the timer."""
    canister = bench.puppet()
    set_timer(bench, canister, 10)
    bench.clock.advance(10)
    bench.submit(
        MANAGEMENT, "stop_canister", management_argument("stop_canister", {"canister_id": Principal(canister)})
    )
    bench.run()
    bench.on("start_canister", canister)
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
