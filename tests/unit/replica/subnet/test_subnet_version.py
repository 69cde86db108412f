"""The canister version: when it moves, who sees which, and that callers state theirs truthfully.

Source: interface specification, "Canister version" and "Abstract behavior".
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import RejectCode
from canister_factory.replica.subnet.messages import Answer
from support.management_calls import manage_through
from support.replica_bench import MANAGEMENT, OWNER, Bench, CallRejectedError, management_argument
from support.replica_puppet import call_argument, puppet

SEEN = '(func (export "canister_query seen") (call $append (i32.const 8) (i32.const 8)) (call $reply))'
SEE = "(i64.store (i32.const 8) (call $version))"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def version(bench: Bench, canister_id: bytes) -> int:
    """What `ic0.canister_version` says in a query, which changes nothing."""
    return int.from_bytes(bench.query(canister_id, "version"), "little")


def upgrade_to(bench: Bench, canister_id: bytes, wasm: bytes) -> None:
    bench.install(canister_id, wasm, Case("upgrade", None))


def test_a_new_canister_has_version_0_and_the_first_installation_makes_it_1(bench: Bench) -> None:
    canister = bench.create()
    assert bench.on("canister_status", canister)["version"] == 0
    bench.install(canister)
    assert version(bench, canister) == 1
    assert [change.canister_version for change in bench.canister(canister).history] == [0, 1]


@pytest.mark.parametrize("mode", ["install", "reinstall"])
def test_init_sees_the_version_that_it_makes(bench: Bench, mode: str) -> None:
    canister = bench.create()
    code = puppet(f'(func (export "canister_init") {SEE}) {SEEN}')
    if mode == "reinstall":
        bench.install(canister)
    before = bench.canister(canister).version
    bench.install(canister, code, mode)
    assert bench.query(canister, "seen")[0] == before + 1 == version(bench, canister)


def test_pre_upgrade_sees_the_old_version_and_post_upgrade_the_new_one(bench: Bench) -> None:
    before = puppet(
        f'(func (export "canister_pre_upgrade") {SEE} (drop (call $stable_grow (i64.const 1)))'
        " (call $stable_write (i64.const 0) (i64.const 8) (i64.const 8)))"
    )
    after = puppet(f'(func (export "canister_post_upgrade") {SEE}) {SEEN}')
    canister = bench.puppet(before)
    upgrade_to(bench, canister, after)
    assert (bench.query(canister, "recall")[0], bench.query(canister, "seen")[0]) == (1, 2)
    assert version(bench, canister) == 2


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("update_settings", 1),
        ("uninstall_code", 1),
        ("start_canister", 1),
        ("stop_canister", 2),  # stopping, then stopped
        ("canister_status", 0),
        ("stored_chunks", 0),
    ],
)
def test_a_management_call_moves_the_version(bench: Bench, method: str, steps: int) -> None:
    canister = bench.puppet()
    rest = {"settings": {"freezing_threshold": 1000}} if method == "update_settings" else {}
    bench.on(method, canister, **rest)
    assert bench.canister(canister).version == 1 + steps


def test_stopping_what_has_stopped_and_starting_it_again_move_it_each_time(bench: Bench) -> None:
    canister = bench.puppet()
    for method, expected in (("stop_canister", 3), ("stop_canister", 4), ("start_canister", 5), ("start_canister", 6)):
        bench.on(method, canister)
        assert bench.canister(canister).version == expected


@pytest.mark.parametrize(
    ("method", "steps"), [("count", 1), ("silent", 1), ("refuse", 1), ("read", 1), ("count_and_trap", 0)]
)
def test_each_successful_replicated_execution_moves_it_by_1(bench: Bench, method: str, steps: int) -> None:
    canister = bench.puppet()
    bench.submit(canister, method)
    bench.run()
    assert version(bench, canister) == 1 + steps


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("forward", 2),  # the update, then the callback
        ("forward_and_trap_later", 2),  # the callback trapped, the cleanup ran
        ("forward_and_trap_now", 0),
    ],
)
def test_a_callback_counts_as_one_whether_or_not_it_is_cleaned_up(bench: Bench, method: str, steps: int) -> None:
    canister, other = bench.puppet(), bench.puppet()
    bench.submit(canister, method, call_argument(other, "count"))
    bench.run()
    assert version(bench, canister) == 1 + steps


def test_a_timer_moves_it(bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "set_timer", (bench.clock.now_ns + 1).to_bytes(8, "little"))
    bench.clock.advance(1)
    bench.run()
    assert version(bench, canister) == 3


def refused_install(bench: Bench, canister: bytes) -> None:
    bench.install(canister, puppet('(func (export "canister_init") (unreachable))'), "reinstall")


def refused_upgrade(bench: Bench, canister: bytes) -> None:
    upgrade_to(bench, canister, puppet('(func (export "canister_post_upgrade") (unreachable))'))


def refused_settings(bench: Bench, canister: bytes) -> None:
    bench.on("update_settings", canister, settings={"compute_allocation": 101})


@pytest.mark.parametrize("attempt", [refused_install, refused_upgrade, refused_settings])
def test_what_fails_moves_nothing(bench: Bench, attempt: Callable[[Bench, bytes], None]) -> None:
    canister = bench.puppet()
    with pytest.raises(CallRejectedError):
        attempt(bench, canister)
    assert version(bench, canister) == 1
    assert bench.canister(canister).history_length == 2


def test_the_history_has_the_version_after_each_change(bench: Bench) -> None:
    canister = bench.puppet()
    bench.on("update_settings", canister, settings={"controllers": [Principal(OWNER), Principal(canister)]})
    bench.on("update_settings", canister, settings={"freezing_threshold": 5})
    upgrade_to(bench, canister, puppet())
    bench.on("uninstall_code", canister)
    assert [change.canister_version for change in bench.canister(canister).history] == [0, 1, 2, 4, 5]


def test_controllers_that_are_given_make_an_entry_even_if_they_stay_the_same(bench: Bench) -> None:
    canister = bench.create()
    bench.on("update_settings", canister, settings={"controllers": [Principal(OWNER)]})
    bench.on("update_settings", canister, settings={"freezing_threshold": 7})
    history = bench.canister(canister).history
    assert [(change.kind, change.canister_version) for change in history] == [
        ("creation", 0),
        ("controllers_change", 1),
    ]
    assert bench.canister(canister).version == 2


@pytest.mark.parametrize("method", ["create_canister", "update_settings", "uninstall_code"])
def test_a_canister_that_states_another_version_than_its_own_is_rejected(bench: Bench, method: str) -> None:
    canister = bench.puppet()
    bench.on("update_settings", canister, settings={"controllers": [Principal(OWNER), Principal(canister)]})
    target = bench.create(controllers=[Principal(canister)])
    argument = {"canister_id": Principal(target), "settings": {}}
    stated = bench.canister(canister).version
    manage_through(bench, canister, method, {**argument, "sender_canister_version": stated}, cycles=10**12)
    stale = management_argument(method, {**argument, "sender_canister_version": stated})
    with pytest.raises(CallRejectedError, match=f"{stated}.*{stated + 2}"):
        bench.call(canister, "forward", call_argument(MANAGEMENT, method, stale, 10**12))


def test_what_a_stale_version_is_rejected_with(bench: Bench) -> None:
    canister = bench.puppet()
    argument = management_argument("create_canister", {"sender_canister_version": 7})
    request = bench.submit(canister, "forward", call_argument(MANAGEMENT, "create_canister", argument, 10**12))
    bench.subnet.execute_round(max_messages=2)
    (rejection,) = [message.response for message in bench.subnet.state.queue if isinstance(message, Answer)]
    assert (rejection.code, rejection.error_code) == (RejectCode.CANISTER_ERROR, "IC0504")
    bench.run()
    assert bench.outcome(request) is not None


def test_the_version_that_a_user_states_is_not_compared(bench: Bench) -> None:
    canister = bench.puppet()
    bench.on("uninstall_code", canister, sender_canister_version=666)
    assert bench.canister(canister).module is None
