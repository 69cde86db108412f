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
