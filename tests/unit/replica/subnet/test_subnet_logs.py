"""Logs of a canister: what becomes of them when its code changes, and who may fetch them.

Source: interface specification, "IC method fetch_canister_logs", "Code installation" of the abstract behavior.
"""

from __future__ import annotations

import pytest

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.subnet.management_interface import method_type
from support.replica_bench import MANAGEMENT, STRANGER, Bench, CallRejectedError, management_argument
from support.replica_puppet import call_argument, puppet

PRINTING_INIT = '(func (export "canister_init") (call $print (i32.const 64) (i32.const 6)))'
TRAPPING_INIT = '(func (export "canister_init") (call $print (i32.const 64) (i32.const 6)) (unreachable))'
TALKS = puppet('(func (export "canister_update talk") (call $print (i32.const 64) (i32.const 6)) (call $reply_count))')
PRINTING_UPGRADE = '(func (export "canister_post_upgrade") (call $print (i32.const 64) (i32.const 6)))'


@pytest.fixture
def bench() -> Bench:
    return Bench()


def trapped(bench: Bench) -> bytes:
    """A canister with one log record."""
    canister = bench.puppet()
    with pytest.raises(CallRejectedError):
        bench.call(canister, "count_and_trap")
    return canister


def records(bench: Bench, canister: bytes) -> list[tuple[int, bytes]]:
    argument = management_argument("fetch_canister_logs", {"canister_id": Principal(canister)})
    (logs,) = decode(
        bench.query(MANAGEMENT, "fetch_canister_logs", argument), method_type("fetch_canister_logs").results
    )
    return [(record["idx"], record["content"]) for record in logs["canister_log_records"]]


def test_reinstalling_purges_the_logs_and_keeps_what_the_new_code_logs(bench: Bench) -> None:
    canister = trapped(bench)
    bench.install(canister, puppet(PRINTING_INIT), "reinstall")
    assert records(bench, canister) == [(1, b"puppet")]


def test_a_reinstallation_that_fails_adds_to_the_logs(bench: Bench) -> None:
    canister = trapped(bench)
    with pytest.raises(CallRejectedError):
        bench.install(canister, puppet(TRAPPING_INIT), "reinstall")
    assert [index for index, _ in records(bench, canister)] == [0, 1, 2]


def test_an_upgrade_adds_to_the_logs_and_uninstalling_purges_them(bench: Bench) -> None:
    canister = trapped(bench)
    bench.install(canister, puppet(PRINTING_UPGRADE), Case("upgrade", None))
    assert [content for _, content in records(bench, canister)][1:] == [b"puppet"]
    bench.on("uninstall_code", canister)
    assert records(bench, canister) == []


def test_logs_are_not_for_canisters_in_replicated_calls(bench: Bench) -> None:
    canister = trapped(bench)
    bench.on("update_settings", canister, settings={"log_visibility": Case("public")})
    argument = management_argument("fetch_canister_logs", {"canister_id": Principal(canister)})
    with pytest.raises(CallRejectedError, match=r"IC0406.*queries"):
        bench.call(canister, "forward", call_argument(MANAGEMENT, "fetch_canister_logs", argument))
    assert bench.query(MANAGEMENT, "fetch_canister_logs", argument, sender=STRANGER)


def test_a_canister_sees_its_own_logs_only_where_it_is_allowed_to(bench: Bench) -> None:
    canister = trapped(bench)
    argument = management_argument("fetch_canister_logs", {"canister_id": Principal(canister)})
    with pytest.raises(CallRejectedError, match="IC0512"):
        bench.query(MANAGEMENT, "fetch_canister_logs", argument, sender=canister)


def test_a_lower_limit_drops_the_oldest_lines_at_once(bench: Bench) -> None:
    canister = bench.puppet(TALKS)
    for _ in range(3):
        bench.call(canister, "talk")
    lines = [record.index for record in bench.canister(canister).logs]
    size = len(bench.canister(canister).logs[0].content)
    bench.on("update_settings", canister, settings={"log_memory_limit": size})
    assert [record.index for record in bench.canister(canister).logs] == lines[-1:]
    bench.on("update_settings", canister, settings={"log_memory_limit": 0})
    assert bench.canister(canister).logs == []


def test_empty_lines_are_limited_too(bench: Bench) -> None:
    talk = "(call $print (i32.const 0) (i32.const 0))" * 5
    canister = bench.puppet(puppet(f'(func (export "canister_update talk") {talk} (call $reply_count))'))
    bench.on("update_settings", canister, settings={"log_memory_limit": 12})
    for _ in range(3):
        bench.call(canister, "talk")
    assert records(bench, canister) == [(index, b"") for index in range(3, 15)]


def test_a_filter_chooses_logs_by_index_or_by_time(bench: Bench) -> None:
    canister = bench.puppet(TALKS)
    for _ in range(4):
        bench.clock.advance(1)
        bench.call(canister, "talk")
    logged = bench.canister(canister).logs

    def fetched(tag: str, start: int, end: int) -> list[int]:
        argument = {"canister_id": Principal(canister), "filter": Case(tag, {"start": start, "end": end})}
        reply = bench.query(MANAGEMENT, "fetch_canister_logs", management_argument("fetch_canister_logs", argument))
        (logs,) = decode(reply, method_type("fetch_canister_logs").results)
        return [record["idx"] for record in logs["canister_log_records"]]

    first, last = logged[0].index, logged[-1].index
    assert fetched("by_idx", first + 1, last) == list(range(first + 1, last))
    assert fetched("by_timestamp_nanos", logged[1].timestamp_ns, logged[3].timestamp_ns) == [first + 1, first + 2]
    assert fetched("by_idx", last, first) == []
