"""Snapshots of canisters: what they bring back, who may have them, how many there are and what they cost."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import CanisterError
from support.management_calls import manage_through
from support.replica_bench import (
    OWNER,
    SECOND_NS,
    STRANGER,
    Bench,
    CallRejectedError,
)
from support.replica_puppet import puppet, with_custom_section
from support.snapshot_calls import WITH_GLOBALS, load, take, turn


@pytest.fixture
def bench() -> Bench:
    return Bench()


def changes(bench: Bench, canister: bytes, count: int) -> list[dict[str, Any]]:
    """The newest entries of a canister's history, as a canister is told."""
    observer = bench.puppet()
    argument = {"canister_id": Principal(canister), "num_requested_changes": count}
    recent: list[dict[str, Any]] = manage_through(bench, observer, "canister_info", argument)["recent_changes"]
    return recent


# --- what comes back ---


def test_loading_brings_back_code_memories_globals_certified_data_and_chunks(bench: Bench) -> None:
    canister = bench.puppet(WITH_GLOBALS)
    bench.call(canister, "count")
    bench.call(canister, "remember", b"in stone")
    bench.call(canister, "certify", b"root")
    bench.on("upload_chunk", canister, chunk=b"piece")
    assert turn(bench, canister) == 101
    taken = take(bench, canister)
    bench.call(canister, "count")
    bench.call(canister, "certify", b"other")
    turn(bench, canister)
    bench.on("clear_chunk_store", canister)
    bench.install(canister, with_custom_section(puppet(), "other"), mode="reinstall")

    load(bench, canister, taken)

    assert bench.count(canister) == 1
    assert bench.query(canister, "recall") == b"in stone"
    assert turn(bench, canister) == 102
    state = bench.canister(canister)
    assert state.module is not None
    assert state.module.wasm == WITH_GLOBALS
    assert state.certified_data == b"root"
    assert list(state.chunks.values()) == [b"piece"]


def test_a_snapshot_can_be_loaded_again_and_again(bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "remember", b"in stone")
    taken = take(bench, canister)
    for _ in range(2):
        bench.call(canister, "count")
        bench.call(canister, "remember", b"in sand")
        load(bench, canister, taken)
        assert bench.count(canister) == 0
        assert bench.query(canister, "recall") == b"in stone"


def test_memory_that_grew_since_is_small_again(bench: Bench) -> None:
    grows = '(func (export "canister_update grow") (drop (memory.grow (i32.const 3))) (call $reply_count))'
    canister = bench.puppet(puppet(grows))
    taken = take(bench, canister)
    bench.call(canister, "grow")
    assert bench.on("canister_status", canister)["memory_metrics"]["wasm_memory_size"] == 5 * 65536
    load(bench, canister, taken)
    assert bench.on("canister_status", canister)["memory_metrics"]["wasm_memory_size"] == 2 * 65536
    bench.call(canister, "grow")
    later = take(bench, canister)
    bench.install(canister, puppet(grows), mode="reinstall")
    load(bench, canister, later)
    assert bench.on("canister_status", canister)["memory_metrics"]["wasm_memory_size"] == 5 * 65536


def test_timer_balance_settings_and_logs_stay_the_canisters_own(bench: Bench) -> None:
    canister = bench.puppet()
    taken = take(bench, canister)
    due = bench.clock.now_ns + 60 * SECOND_NS
    bench.call(canister, "set_timer", due.to_bytes(8, "little"))
    bench.on("update_settings", canister, settings={"freezing_threshold": 1_000})
    load(bench, canister, taken)
    state = bench.canister(canister)
    assert (state.global_timer_ns, state.settings.freezing_threshold) == (due, 1_000)


def test_loading_moves_the_version_by_one_and_taking_leaves_it(bench: Bench) -> None:
    canister = bench.puppet()
    before = bench.canister(canister).version
    taken = take(bench, canister)
    assert bench.canister(canister).version == before
    load(bench, canister, taken)
    assert bench.canister(canister).version == before + 1


def test_loading_is_the_newest_change_of_code(bench: Bench) -> None:
    canister = bench.puppet()
    taken = take(bench, canister)
    bench.clock.advance(7)
    load(bench, canister, taken)
    assert bench.canister(canister).installed_ns == bench.clock.now_ns


def test_the_history_tells_which_snapshot_was_loaded(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    version = bench.canister(canister).version
    result = bench.on("take_canister_snapshot", canister)
    load(bench, canister, result["id"])
    load(bench, other, result["id"])
    expected = {
        "snapshot_id": result["id"],
        "from_canister_id": None,
        "canister_version": version,
        "taken_at_timestamp": result["taken_at_timestamp"],
        "source": Case("taken_from_canister"),
    }
    (own,) = changes(bench, canister, 1)
    assert own["details"] == Case("load_snapshot", expected)
    assert own["canister_version"] == bench.canister(canister).version
    (foreign,) = changes(bench, other, 1)
    assert foreign["details"] == Case("load_snapshot", {**expected, "from_canister_id": Principal(canister)})


def test_a_snapshot_may_be_loaded_onto_another_canister_by_who_controls_both(bench: Bench) -> None:
    source, target = bench.puppet(WITH_GLOBALS), bench.create()
    bench.call(source, "count")
    taken = take(bench, source)
    bench.on("update_settings", source, settings={"controllers": [Principal(STRANGER)]})
    with pytest.raises(CallRejectedError, match="IC0512 Only the controllers of the canister"):
        load(bench, target, taken)
    argument = {"canister_id": Principal(source), "settings": {"controllers": [Principal(OWNER)]}}
    bench.manage("update_settings", argument, STRANGER)
    load(bench, target, taken)
    assert (bench.count(target), turn(bench, target)) == (1, 101)
    assert bench.on("list_canister_snapshots", target) == []


def test_taking_may_uninstall_the_code_at_once(bench: Bench) -> None:
    canister = bench.puppet()
    bench.call(canister, "count")
    taken = take(bench, canister, uninstall_code=True)
    assert bench.on("canister_status", canister)["module_hash"] is None
    (change,) = changes(bench, canister, 1)
    assert change["details"] == Case("code_uninstall")
    load(bench, canister, taken)
    assert bench.count(canister) == 1


def test_a_hash_of_its_environment_variables_is_in_the_history_of_a_creation(bench: Bench) -> None:
    plain = bench.create()
    named = bench.create(environment_variables=[{"name": "a", "value": "1"}])
    (first,), (second,) = changes(bench, plain, 1), changes(bench, named, 1)
    assert first["details"].value["environment_variables_hash"] is None
    assert len(second["details"].value["environment_variables_hash"]) == 32


# --- which there are ---


def test_snapshots_are_listed_with_time_and_size_until_they_are_deleted(bench: Bench) -> None:
    canister = bench.puppet()
    first = bench.on("take_canister_snapshot", canister)
    bench.clock.advance(5)
    second = bench.on("take_canister_snapshot", canister)
    assert bench.on("list_canister_snapshots", canister) == [first, second]
    assert second["taken_at_timestamp"] - first["taken_at_timestamp"] == 5 * SECOND_NS
    assert first["total_size"] == len(puppet()) + 2 * 65536
    bench.on("delete_canister_snapshot", canister, snapshot_id=first["id"])
    assert bench.on("list_canister_snapshots", canister) == [second]
    with pytest.raises(CallRejectedError, match="IC0305 Could not find the snapshot ID") as missing:
        load(bench, canister, first["id"])
    assert missing.value.code == 3


def test_a_canister_has_ten_snapshots_at_most_and_may_replace_one(bench: Bench) -> None:
    canister = bench.puppet()
    taken = [take(bench, canister) for _ in range(10)]
    with pytest.raises(CallRejectedError, match=r"IC0406 .* has reached the maximum number of snapshots allowed: 10"):
        take(bench, canister)
    newest = take(bench, canister, replace_snapshot=taken[3])
    listed = [item["id"] for item in bench.on("list_canister_snapshots", canister)]
    assert listed == [*taken[:3], *taken[4:], newest]
    with pytest.raises(CallRejectedError, match="IC0305"):
        take(bench, canister, replace_snapshot=taken[3])


def test_ids_of_snapshots_are_never_used_again(bench: Bench) -> None:
    canister = bench.puppet()
    first = take(bench, canister)
    bench.on("delete_canister_snapshot", canister, snapshot_id=first)
    assert take(bench, canister) != first


@pytest.mark.parametrize("name", [b"", b"short", bytes(8), b"\xff" * 64])
def test_what_is_no_id_of_a_snapshot_is_not_found(bench: Bench, name: bytes) -> None:
    canister = bench.puppet()
    with pytest.raises(CallRejectedError, match="IC0305"):
        load(bench, canister, name)


def test_a_snapshot_of_another_canister_is_told_as_that(bench: Bench) -> None:
    first, second = bench.puppet(), bench.puppet()
    taken = take(bench, first)
    with pytest.raises(CallRejectedError, match="does not belong to canister"):
        bench.on("delete_canister_snapshot", second, snapshot_id=taken)
    with pytest.raises(CallRejectedError, match="does not belong to canister"):
        bench.on("read_canister_snapshot_metadata", second, snapshot_id=taken)


def test_an_empty_canister_has_nothing_to_take(bench: Bench) -> None:
    canister = bench.create()
    with pytest.raises(CallRejectedError, match="Failed to create snapshot for empty canister"):
        take(bench, canister)
    assert bench.canister(canister).snapshots == {}


def test_a_value_that_is_not_kept_is_not_pretended_to_be(bench: Bench) -> None:
    canister = bench.puppet(puppet("(global $vector (mut v128) (v128.const i64x2 0 0))"))
    with pytest.raises(CallRejectedError, match="a mutable global of type v128"):
        take(bench, canister)


def test_snapshots_go_with_their_canister(bench: Bench) -> None:
    canister, other = bench.puppet(), bench.puppet()
    taken = take(bench, canister)
    bench.on("stop_canister", canister)
    bench.on("delete_canister", canister)
    with pytest.raises(CallRejectedError, match="does not belong"):
        load(bench, other, taken)


def test_a_canister_without_cycles_loses_its_snapshots(bench: Bench) -> None:
    canister = bench.puppet(cycles=4 * 10**11)
    take(bench, canister)
    bench.clock.advance(10**12)
    bench.run()
    assert bench.canister(canister).snapshots == {}


# --- who may ---


@pytest.mark.parametrize("method", ["take_canister_snapshot", "load_canister_snapshot", "delete_canister_snapshot"])
def test_only_controllers_take_load_and_delete(bench: Bench, method: str) -> None:
    canister = bench.puppet(snapshot_visibility=Case("public"))
    argument = {"canister_id": Principal(canister), "snapshot_id": take(bench, canister)}
    with pytest.raises(CanisterError, match="Only controllers of canister"):
        bench.check_management(method, argument, STRANGER)
    with pytest.raises(CallRejectedError, match="IC0512"):
        bench.manage(method, argument, STRANGER)


def test_the_list_is_for_those_whom_a_setting_names(bench: Bench) -> None:
    canister = bench.puppet()
    argument = {"canister_id": Principal(canister)}
    taken = take(bench, canister)

    def seen_by(sender: bytes) -> bool:
        try:
            bench.check_management("list_canister_snapshots", argument, sender)
        except CanisterError:
            with pytest.raises(CallRejectedError, match="IC0512"):
                bench.manage("list_canister_snapshots", argument, sender)
            return False
        return bool(bench.manage("list_canister_snapshots", argument, sender)[0]["id"] == taken)

    assert (seen_by(OWNER), seen_by(STRANGER)) == (True, False)
    viewers = Case("allowed_viewers", [Principal(STRANGER)])
    bench.on("update_settings", canister, settings={"snapshot_visibility": viewers})
    assert (seen_by(OWNER), seen_by(STRANGER), seen_by(b"other\x02")) == (True, True, False)
    bench.on("update_settings", canister, settings={"snapshot_visibility": Case("public")})
    assert seen_by(b"other\x02")


# --- what it costs ---


def test_taking_and_loading_cost_two_billion_instructions_and_one_for_each_byte(bench: Bench) -> None:
    canister = bench.puppet()
    for method in ("take_canister_snapshot", "load_canister_snapshot"):
        known = list(bench.canister(canister).snapshots)
        argument = {"snapshot_id": known[0]} if known else {}
        before = dict(bench.canister(canister).consumed)
        bench.on(method, canister, **argument)
        spent = bench.canister(canister).consumed["instructions"] - before["instructions"]
        assert spent == 2_000_000_000 + len(puppet()) + 2 * 65536


def test_a_snapshot_is_memory_that_is_paid_for(bench: Bench) -> None:
    canister = bench.puppet()
    before = bench.on("canister_status", canister)
    size = bench.on("take_canister_snapshot", canister)["total_size"]
    after = bench.on("canister_status", canister)
    assert after["memory_metrics"]["snapshots_size"] == size
    assert after["memory_size"] - before["memory_size"] == size
    assert after["idle_cycles_burned_per_day"] > before["idle_cycles_burned_per_day"]


def test_a_snapshot_that_would_freeze_the_canister_is_refused_and_costs_nothing(bench: Bench) -> None:
    canister = bench.puppet(cycles=10**18, freezing_threshold=10**11)
    state = bench.canister(canister)
    threshold = state.freezing_threshold_cycles(bench.subnet._prices)
    state.balance = threshold + 50_000_000_000
    bench.on("update_settings", canister, settings={})
    balance = state.balance
    with pytest.raises(CallRejectedError, match=r"IC0532 Canister cannot grow memory by \d+ bytes"):
        take(bench, canister)
    assert balance - state.balance < 10**8
    assert state.snapshots == {}
