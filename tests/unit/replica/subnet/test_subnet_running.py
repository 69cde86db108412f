"""Canisters that run and stop, the rest of the management canister's methods, and what ingress may ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime import copy_on_write
from canister_factory.replica.runtime.copy_on_write import copy_on_write_works
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.management_interface import method_type
from canister_factory.replica.subnet.request_status import RequestState
from support.management_calls import manage_through
from support.replica_bench import MANAGEMENT, STRANGER, Bench, CallRejectedError, management_argument
from support.replica_puppet import call_argument, puppet


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- running and stopping ---


def test_a_stopped_canister_takes_no_messages_until_started(bench: Bench) -> None:
    canister = bench.puppet()
    bench.on("stop_canister", canister)
    calls: list[Callable[[], object]] = [
        lambda: bench.call(canister, "count"),
        lambda: bench.query(canister, "read"),
    ]
    for refused in calls:
        with pytest.raises(CallRejectedError, match="IC0508"):
            refused()
    with pytest.raises(CanisterError, match="is stopped"):
        bench.check(canister, "count")
    bench.on("start_canister", canister)
    assert bench.call(canister, "count") == b"\x01\0\0\0"


def test_stopping_waits_for_open_calls_and_answers_everybody_then(bench: Bench) -> None:
    busy, slow = bench.puppet(), bench.puppet()
    call = bench.submit(busy, "forward", call_argument(slow, "count"))
    bench.subnet.execute_round(max_messages=1)
    stop = management_argument("stop_canister", {"canister_id": Principal(busy)})
    stops = [bench.submit(MANAGEMENT, "stop_canister", stop) for _ in range(2)]
    late = bench.submit(busy, "count")
    with bench.held(slow):
        bench.run()
    assert [bench.outcome(request) for request in stops] == [None, None]
    assert bench.outcome(late).error_code == "IC0509"  # type: ignore[union-attr]
    bench.run()
    assert all(bench.subnet.request_status(request).state is RequestState.REPLIED for request in (*stops, call))  # type: ignore[union-attr]
    assert bench.on("canister_status", busy)["status"] == Case("stopped")


def test_a_stop_that_takes_too_long_is_rejected_and_starting_cancels_one(bench: Bench) -> None:
    busy = bench.puppet()
    stop = management_argument("stop_canister", {"canister_id": Principal(busy)})
    bench.submit(busy, "forward", call_argument(busy, "forward", call_argument(busy, "count")))
    bench.subnet.execute_round(max_messages=1)
    request = bench.submit(MANAGEMENT, "stop_canister", stop)
    with bench.held(busy):
        bench.run()
    bench.clock.advance(301)
    bench.subnet.execute_round(max_messages=0)
    assert bench.outcome(request).error_code == "IC0206"  # type: ignore[union-attr]
    request = bench.submit(MANAGEMENT, "stop_canister", stop)
    start = management_argument("start_canister", {"canister_id": Principal(busy)})
    bench.submit(MANAGEMENT, "start_canister", start)
    with bench.held(busy):
        bench.run()
    assert bench.outcome(request).error_code == "IC0511"  # type: ignore[union-attr]


def test_only_a_stopped_canister_is_deleted_and_then_it_is_gone(bench: Bench) -> None:
    canister = bench.puppet()
    with pytest.raises(CallRejectedError, match=r"IC0510.*must be stopped"):
        bench.on("delete_canister", canister)
    bench.on("stop_canister", canister)
    bench.on("delete_canister", canister)
    with pytest.raises(CallRejectedError, match="not found"):
        bench.query(canister, "read")


# --- other methods, other arguments ---


def test_deposited_cycles_arrive_and_a_top_up_makes_new_ones(bench: Bench) -> None:
    giver, taker = bench.puppet(), bench.create(0)
    manage_through(bench, giver, "deposit_cycles", {"canister_id": Principal(taker)}, cycles=10**12)
    bench.on("provisional_top_up_canister", taker, amount=5)
    assert bench.canister(taker).balance == 10**12 + 5


def test_randomness_differs_from_call_to_call(bench: Bench) -> None:
    drawn = {bench.manage("raw_rand") for _ in range(3)}
    assert len(drawn) == 3
    assert all(len(bytes_) == 32 for bytes_ in drawn)


def test_logs_are_read_by_a_query_of_those_who_may_see_them(bench: Bench) -> None:
    canister = bench.puppet()
    with pytest.raises(CallRejectedError, match=r"IC0502.*unreachable"):
        bench.call(canister, "count_and_trap")
    argument = management_argument("fetch_canister_logs", {"canister_id": Principal(canister)})
    reply = bench.query(MANAGEMENT, "fetch_canister_logs", argument)
    (logs,) = decode(reply, method_type("fetch_canister_logs").results)
    assert b"unreachable" in logs["canister_log_records"][0]["content"]
    with pytest.raises(CallRejectedError, match="IC0512"):
        bench.query(MANAGEMENT, "fetch_canister_logs", argument, sender=STRANGER)


def test_malformed_arguments_and_unknown_methods_are_said_so(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match="failed to decode"):
        bench.call(MANAGEMENT, "start_canister", b"garbage")
    with pytest.raises(CallRejectedError, match="IC0536"):
        bench.call(MANAGEMENT, "fly_to_the_moon")
    with pytest.raises(CallRejectedError, match="IC0536"):
        bench.query(MANAGEMENT, "start_canister")


# --- what ingress may ask ---


@pytest.mark.parametrize("method", ["create_canister", "deposit_cycles", "canister_info", "raw_rand"])
def test_methods_for_canisters_are_refused_to_users(bench: Bench, method: str) -> None:
    with pytest.raises(CanisterError, match="cannot be called by ingress messages"):
        bench.check(MANAGEMENT, method)


def test_ingress_is_checked_before_it_is_taken(bench: Bench) -> None:
    canister = bench.puppet()
    bench.check(canister, "count")
    cases = [
        ((b"\0\0\0\0\0\0\0\x01\x01\x01", "count"), {}, "IC0301"),
        ((canister, "nothing"), {}, "IC0536"),
        ((bench.create(), "count"), {}, "IC0537"),
        ((canister, "count"), {"target": MANAGEMENT}, "IC0408"),
        ((bench.create(0), "count"), {}, "IC0207"),
    ]
    for arguments, options, error_code in cases:
        with pytest.raises(CanisterError) as refused:
            bench.check(*arguments, **options)  # type: ignore[arg-type]
        assert refused.value.error_code == error_code


def test_inspect_message_decides(bench: Bench) -> None:
    accept = """(func (export "canister_inspect_message")
      (if (i32.gt_u (call $arg_size) (i32.const 0)) (then (call $accept_message))))"""
    canister = bench.puppet(puppet(accept))
    bench.check(canister, "count", b"please")
    with pytest.raises(CanisterError, match="rejected the message") as refused:
        bench.check(canister, "count")
    assert (refused.value.code, refused.value.error_code) == (RejectCode.CANISTER_REJECT, "IC0406")


@pytest.mark.skipif(not copy_on_write_works(), reason="each canister has a file only where pages are copied on write")
def test_where_no_more_files_can_be_open_new_code_is_refused_and_others_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    canister, empty = bench.puppet(), bench.create()
    monkeypatch.setattr(copy_on_write, "files_allowed", lambda: copy_on_write._FILES_RESERVED)
    with pytest.raises(CallRejectedError, match="ulimit -n"):
        bench.install(empty)
    with pytest.raises(CallRejectedError, match="ulimit -n"):
        bench.install(canister, mode=Case("reinstall"))
    assert bench.call(canister, "count") == b"\x01\0\0\0"
    assert bench.count(canister) == 1
    monkeypatch.undo()
    bench.install(empty)
    assert bench.count(empty) == 0
